"""Write conditions as kstatus reads them, keeping the time of the last transition. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from orrery.api.conditions import Condition, ConditionType, Reason, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one condition says, before it gets its times."""

    type: ConditionType
    status: Status
    reason: Reason
    message: str


def ready(status: Status, reason: Reason, message: str) -> Verdict:
    """Say whether the object does what its spec says."""
    return Verdict(ConditionType.READY, status, reason, message)


def abnormal(kind: ConditionType, reason: Reason, message: str) -> Verdict:
    """State an abnormal-true condition: it is present only while true."""
    return Verdict(kind, "True", reason, message)


def settle(
    verdicts: Sequence[Verdict], *, before: Sequence[Condition], generation: int, now: str
) -> list[Condition]:
    """Turn *verdicts* into conditions; a status that stays keeps its transition time."""
    earlier = {c.type: c for c in before}
    return [
        Condition(
            type=verdict.type,
            status=verdict.status,
            observed_generation=generation,
            last_transition_time=(
                earlier[verdict.type].last_transition_time
                if verdict.type in earlier and earlier[verdict.type].status == verdict.status
                else now
            ),
            reason=verdict.reason,
            message=verdict.message,
        )
        for verdict in verdicts
    ]
