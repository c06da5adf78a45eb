"""Orrery runs applications in many regions as if they were one place."""

__version__ = "0.1.0"
