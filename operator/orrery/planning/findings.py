"""What one check finds: a word and a sentence. Pure."""

from typing import NamedTuple

from orrery.api.regionopening import CheckStatusWord


class Finding(NamedTuple):
    """What one check finds."""

    status: CheckStatusWord
    message: str


def passed(message: str) -> Finding:
    """Say that all is well."""
    return Finding("Pass", message)


def failed(message: str) -> Finding:
    """Say that it is not as it should be, and what to do about it."""
    return Finding("Fail", message)


def unknown(message: str) -> Finding:
    """Say that it cannot be told."""
    return Finding("Unknown", message)


def skipped(message: str) -> Finding:
    """Say that it is not looked at, and counts for nothing."""
    return Finding("Skipped", message)
