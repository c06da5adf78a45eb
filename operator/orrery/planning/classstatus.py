"""Sum up how far a change of a RegionClass is into its status. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orrery.api.classrollout import ClassDisplay, ClassRegions, RegionClassStatus
from orrery.api.conditions import ConditionType, Reason
from orrery.planning import conditions
from orrery.planning.classrollout import Decision

_REASONS: Final[Mapping[str, Reason]] = {
    "Complete": Reason.SUCCEEDED,
    "Rolling": Reason.PROGRESSING,
    "Waiting": Reason.PROGRESSING,
    "Paused": Reason.PAUSED,
    "AwaitingApproval": Reason.WAITING_FOR_APPROVAL,
    "Failed": Reason.ROLLOUT_FAILED,
    "RolledBack": Reason.ROLLOUT_FAILED,
}
_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """What is known of a class at one moment: a decision, or why there is none."""

    generation: int
    decision: Decision | None = None
    revision: str = ""
    reason: Reason | None = None
    message: str = ""
    stalled: bool = False


def summarize_class(facts: ClassFacts, *, before: RegionClassStatus, now: str) -> RegionClassStatus:
    """Sum up *facts*; a class that cannot be used keeps what was told of its regions."""
    decision = facts.decision
    verdicts = _verdicts(facts)
    regions = before.regions
    if decision is not None:
        regions = ClassRegions(desired=decision.desired, updated=decision.updated)
    counted = f"{regions.updated}/{regions.desired}" if regions else ""
    return RegionClassStatus(
        observed_generation=facts.generation,
        conditions=conditions.settle(
            verdicts, before=before.conditions, generation=facts.generation, now=now
        ),
        revision=facts.revision or before.revision,
        regions=regions,
        wave=(decision.wave or None) if decision else before.wave,
        display=ClassDisplay(regions=counted, status=verdicts[0].message[:_SHOWN]),
    )


def _verdicts(facts: ClassFacts) -> list[conditions.Verdict]:
    decision = facts.decision
    if decision is None:
        reason, message, stalled = facts.reason, facts.message, facts.stalled
        assert reason is not None, "a class without a decision has a problem"
    else:
        reason, message = _REASONS[decision.phase], decision.message
        stalled = reason is Reason.ROLLOUT_FAILED
    if reason is Reason.SUCCEEDED:
        return [conditions.ready("True", reason, message)]
    kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
    return [
        conditions.ready("False", reason, message),
        conditions.abnormal(kind, reason, message),
    ]
