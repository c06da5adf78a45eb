"""Tell what is worth a Kubernetes event between two statuses of a Region. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from orrery.api.conditions import Condition, ConditionType
from orrery.api.region import RegionStatus
from orrery.planning.news import EventType, News
from orrery.planning.region_status import USABLE

_UNTOLD: Final = frozenset({None, "Pending", "Provisioning"})
"""Phases that each region goes through, and whose sentences change all the time."""

_WORDS: Final[Mapping[str, str]] = {"TearingDown": "being torn down"}


def news_of_region(before: RegionStatus, after: RegionStatus) -> Sequence[News]:
    """Tell of another phase, and of an impairment that is new, another one, or over."""
    found: list[News] = []
    if after.phase is not None and after.phase not in {before.phase, *_UNTOLD}:
        condition = _found(after, ConditionType.READY)
        if after.phase == "Terminating":  # Ready still tells how the region does.
            condition = _found(after, ConditionType.RECONCILING) or condition
        if condition is not None:
            words = _WORDS.get(after.phase, after.phase.lower())
            text = f"the region is {words}: {condition.message}"
            kind: EventType = "Normal" if after.phase in USABLE else "Warning"
            found.append(News(kind, condition.reason, text))
    was, now = (_found(status, ConditionType.DEGRADED) for status in (before, after))
    if now is not None and (was is None or was.reason != now.reason):
        found.append(News("Warning", now.reason, now.message))
    return found


def _found(status: RegionStatus, kind: ConditionType) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)
