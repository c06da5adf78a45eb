"""Hold a mass stop until somebody says that it is meant. Pure.

A script that deletes too much, an empty directory that is synced, a definition that is removed:
each of them asks for the end of everything, one object at a time.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from orrery.ports import Key

FLOOR: Final = 10
"""So many jobs of a region may be stopped in any case."""

SHARE: Final = 10
"""One in so many of a region's jobs may be stopped, where that is more."""

WINDOW: Final = 600.0
"""Seconds for which a stop counts."""


def allowance(jobs: int) -> int:
    """Return how many of a region's *jobs* may be stopped within the window."""
    return max(FLOOR, -(-jobs // SHARE))


def may_stop(
    key: Key, *, wanted: Collection[Key], stopped: Mapping[Key, float], jobs: int, now: float
) -> bool:
    """Tell whether the job of *key* may be stopped, among all that are *wanted* to be stopped.

    *stopped* has the times of the stops so far, *jobs* counts what the region runs. When there are
    too many, none of those that are left is stopped: which ones came first says nothing.
    """
    recent = {other for other, at in stopped.items() if now - at < WINDOW}
    return len({key, *wanted, *recent}) <= allowance(jobs + len(recent.difference(wanted)))


def is_allowed(annotation: str, *, now: float) -> bool:
    """Tell whether the moment in *annotation* lies ahead of *now*, seconds since the epoch.

    What cannot be read allows nothing.
    """
    try:
        until = datetime.fromisoformat(annotation)
    except ValueError:
        return False
    return until.tzinfo is not None and until.timestamp() > now
