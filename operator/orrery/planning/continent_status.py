"""Sum up what is known of a continent into its status. Pure."""

from dataclasses import dataclass

from orrery.api.conditions import ConditionType, Reason
from orrery.api.continent import ContinentStatus
from orrery.planning import conditions


@dataclass(frozen=True, slots=True)
class ContinentFacts:
    """What is known of a continent at one moment."""

    generation: int
    hosts: bool
    """Whether it has, or should have, a cluster for control planes."""
    reason: Reason | None = None
    message: str | None = None
    """Why its cluster cannot be used, when it cannot."""
    dark: bool = False
    """Whether its cluster does not answer."""
    stalled: bool = False
    """Whether waiting will not cure it."""
    version: str = ""
    last_seen: str | None = None
    regions: int = 0


def summarize_continent(
    facts: ContinentFacts, *, before: ContinentStatus, now: str
) -> ContinentStatus:
    """Sum up *facts*; what a dark cluster said last is kept, with the time it said it."""
    return ContinentStatus(
        observed_generation=facts.generation,
        conditions=conditions.settle(
            _verdicts(facts), before=before.conditions, generation=facts.generation, now=now
        ),
        version=facts.version or (before.version if facts.hosts else ""),
        last_seen_time=(before.last_seen_time or facts.last_seen) if facts.dark else None,
        regions=facts.regions,
    )


def _verdicts(facts: ContinentFacts) -> list[conditions.Verdict]:
    if facts.reason is None or facts.message is None:
        words = "the cluster answers" if facts.hosts else "it groups regions and hosts no cluster"
        return [conditions.ready("True", Reason.SUCCEEDED, words)]
    kind = ConditionType.STALLED if facts.stalled else ConditionType.RECONCILING
    return [
        conditions.ready("Unknown" if facts.dark else "False", facts.reason, facts.message),
        conditions.abnormal(kind, facts.reason, facts.message),
    ]
