"""Gather, decide, render, act, report: one file per kind."""
