"""Tell what is worth a Kubernetes event between two statuses of a GlobalDeployment. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orrery.api.conditions import Condition, ConditionType, Reason

_PASSING = frozenset({Reason.PROGRESSING, Reason.PAUSED, Reason.DELETING})
"""Reasons to be at work, or not to be, that are no trouble."""

TOLD_ELSEWHERE = frozenset({Reason.UNHEALTHY, Reason.REVERTED, Reason.FOREIGN_JOB})
"""What a region's own event tells already, with more detail."""


EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class News:
    """One event: *type* is Normal or Warning."""

    type: EventType
    reason: str
    message: str


def news(before: Sequence[Condition], after: Sequence[Condition]) -> News | None:
    """Tell of trouble that is new, or over; a rollout that goes well is no news."""
    was, now = _trouble(before), _trouble(after)
    if now is not None and (was is None or was.reason != now.reason):
        told = now.reason in TOLD_ELSEWHERE
        return None if told else News("Warning", now.reason, now.message)
    ready = next((c for c in after if c.type == ConditionType.READY), None)
    if was is not None and now is None and ready is not None and ready.status == "True":
        return News("Normal", "Recovered", ready.message)
    return None


def _trouble(conditions: Sequence[Condition]) -> Condition | None:
    """Find the worst that is wrong, if anything is."""
    by_type = {condition.type: condition for condition in conditions}
    waiting = by_type.get(ConditionType.RECONCILING)
    blocked = waiting if waiting is not None and waiting.reason not in _PASSING else None
    return by_type.get(ConditionType.STALLED) or blocked or by_type.get(ConditionType.DEGRADED)
