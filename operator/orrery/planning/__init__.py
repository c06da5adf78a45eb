"""Decisions as functions of values. Pure."""
