"""Sum up what is known of a continent into its status. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orrery.api.conditions import Condition, ConditionType, Reason
from orrery.api.continent import ContinentStatus
from orrery.planning import conditions
from orrery.planning.wording import enumerated

_NAMED: Final = 10
"""As many regions as a sentence bears."""


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
    named_by: Sequence[str] = ()
    """The regions that hold it, when it is being deleted; sorted."""


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


def news_of(before: ContinentStatus, after: ContinentStatus) -> list[tuple[str, Condition]]:
    """Return the conditions that people are told of by an event, each with the event's type."""
    held = [c for c in after.conditions if c.reason == Reason.REGIONS_REMAIN]
    told = any(c.reason == Reason.REGIONS_REMAIN for c in before.conditions)
    news = [("Warning", condition) for condition in held if not told]
    if before.conditions and before.conditions[0].status != after.conditions[0].status:
        ready = after.conditions[0]
        news.insert(0, ("Normal" if ready.status == "True" else "Warning", ready))
    return news


def _verdicts(facts: ContinentFacts) -> list[conditions.Verdict]:
    verdicts = _of_cluster(facts)
    if not facts.named_by:
        return verdicts
    listed = enumerated(facts.named_by, _NAMED)
    message = f"it is being deleted, which waits for the regions that name it: {listed}"
    held = conditions.abnormal(ConditionType.RECONCILING, Reason.REGIONS_REMAIN, message)
    return [*(v for v in verdicts if v.type is not ConditionType.RECONCILING), held]


def _of_cluster(facts: ContinentFacts) -> list[conditions.Verdict]:
    if facts.reason is None or facts.message is None:
        words = "the cluster answers" if facts.hosts else "it groups regions and hosts no cluster"
        return [conditions.ready("True", Reason.SUCCEEDED, words)]
    kind = ConditionType.STALLED if facts.stalled else ConditionType.RECONCILING
    return [
        conditions.ready("Unknown" if facts.dark else "False", facts.reason, facts.message),
        conditions.abnormal(kind, facts.reason, facts.message),
    ]
