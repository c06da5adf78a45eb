"""Open a region step by step: which step it is in, and whether it may go on. Pure.

A step begins and never ends: each adds namespaces to those before. A check that does not pass
keeps the next step from beginning, and nothing else: what was opened is never closed by itself.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orrery.api.base import seconds
from orrery.api.regionopening import EVERYONE, CheckStatus, Opening, OpeningStage, OpeningStatus
from orrery.moments import seconds_of, text_at
from orrery.planning.checks import Check, gaps
from orrery.planning.wording import joined

_NAMED: Final = 3
"""Checks that one sentence names in full."""


@dataclass(frozen=True, slots=True)
class OpeningFacts:
    """What decides whether a region goes on."""

    now: str
    """This moment, as in RFC 3339, in UTC and whole seconds."""
    opening: Opening
    checks: Sequence[Check]
    told: Mapping[str, CheckStatus]
    """The same checks as they will be told, with the times of their last transitions."""
    usable: bool
    """Whether the region answers: else nothing goes on."""
    cordoned: bool = False
    approved: str = ""
    """The step that somebody approved."""
    at_once: bool = False
    """Whether somebody asked to skip the steps."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a region is after a look."""

    status: OpeningStatus
    waits_for: str = ""
    """What the next step waits for, as a sentence; empty when it is open to everyone."""
    wake_at: float | None = None
    """Wall-clock seconds at which something is due by itself."""


def advance(before: OpeningStatus, facts: OpeningFacts) -> Step:
    """Go as far as the facts let it."""
    if before.opened:
        return Step(OpeningStatus(opened=before.opened))
    reached = before.model_copy(update={"waits_for_approval": None})
    while (hindrance := _hindrance(reached, facts)) is None:
        following = None if facts.at_once else _following(facts.opening, reached.stage)
        if following is None:
            return Step(OpeningStatus(opened=facts.now))
        reached = OpeningStatus(stage=following.name, since=facts.now)
    status = reached.model_copy(update={"waits_for_approval": hindrance.approval})
    return Step(status, hindrance.words, hindrance.until)


@dataclass(frozen=True, slots=True)
class _Hindrance:
    """What keeps the next step from beginning."""

    words: str
    until: float | None = None
    """Wall-clock seconds at which it is gone, where that is known."""
    approval: str | None = None
    """The step that has to be approved."""


def _hindrance(at: OpeningStatus, facts: OpeningFacts) -> _Hindrance | None:
    barred = _barred(facts)
    if barred or facts.at_once:
        return _Hindrance(barred) if barred else None
    current, following = _stage(facts.opening, at.stage), _following(facts.opening, at.stage)
    if current is not None and (until := _soak_end(current, at, facts)) is not None:
        return _Hindrance(f"stage {current.name} to soak until {text_at(until)}", until)
    name = following.name if following else EVERYONE
    needs_approval = facts.opening.mode == "Manual" or bool(following and following.approval)
    if needs_approval and facts.approved != name:
        return _Hindrance(f'"{name}" to be approved: `orrery region approve REGION`', approval=name)
    return None


def _barred(facts: OpeningFacts) -> str:
    """Say what keeps any step from beginning; empty when nothing does."""
    if not facts.usable:
        return "the region to answer"
    if facts.cordoned:
        return "the region to be uncordoned"
    return joined([f"{check.name}: {check.message}" for check in gaps(facts.checks)], _NAMED)


def _soak_end(stage: OpeningStage, at: OpeningStatus, facts: OpeningFacts) -> float | None:
    """Say until when *stage* soaks, None when it has.

    All checks must have passed for so long: a failure in between starts it over.
    """
    passing = [
        facts.told[check.name].last_transition_time
        for check in facts.checks
        if check.status == "Pass" and check.name in facts.told
    ]
    begin = max(map(seconds_of, [at.since or facts.now, *passing]))
    end = begin + seconds(stage.soak)
    return end if end > seconds_of(facts.now) else None


def _following(opening: Opening, stage: str | None) -> OpeningStage | None:
    """Return the stage after *stage*, None when everyone is next.

    After one that the spec does not have any more comes the first.
    """
    names = [each.name for each in opening.stages]
    position = names.index(stage) + 1 if stage is not None and stage in names else 0
    return opening.stages[position] if position < len(names) else None


def _stage(opening: Opening, name: str | None) -> OpeningStage | None:
    return next((stage for stage in opening.stages if stage.name == name), None)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whose deployments may be placed in a region for the first time."""

    everyone: bool = True
    stages: Sequence[OpeningStage] = ()
    """The stages that have begun."""
    selected: Collection[str] = field(default=frozenset())
    """Namespaces that their selectors find."""
    because: str = ""
    """Why a namespace is not admitted, as the end of a sentence that begins with the region."""

    def admits(self, namespace: str) -> bool:
        """Tell whether a deployment of *namespace* may come."""
        if self.everyone or namespace in self.selected:
            return True
        percent = max((stage.percent or 0 for stage in self.stages), default=0)
        return share(namespace) < percent


ANYBODY: Final = Admission()


def admission(
    status: OpeningStatus | None,
    opening: Opening | None,
    *,
    cordoned: bool,
    namespaces: Mapping[str, Mapping[str, str]],
) -> Admission:
    """Say who is admitted; *namespaces* are the labels of those that there are.

    Without a *status*, the region needs no opening.
    """
    if cordoned:
        return Admission(everyone=False, because="is cordoned and takes nothing new")
    if status is None or status.opened:
        return ANYBODY
    begun = stages_begun(status, opening)
    return Admission(
        everyone=False,
        stages=begun,
        selected=frozenset(
            name
            for name, labels in namespaces.items()
            if any(
                s.namespace_selector and s.namespace_selector.matches(dict(labels)) for s in begun
            )
        ),
        because="is opened step by step, and not to this namespace yet"
        if begun
        else "is not open yet",
    )


def stages_begun(status: OpeningStatus, opening: Opening | None) -> list[OpeningStage]:
    """List the stages that have begun, in their order."""
    stages = opening.stages if opening else []
    names = [stage.name for stage in stages]
    if status.stage is None or status.stage not in names:
        return []
    return list(stages[: names.index(status.stage) + 1])


def share(namespace: str) -> int:
    """Map a namespace to a number from 0 to 99: the same one for ever, in every region."""
    digest = hashlib.sha256(namespace.encode()).digest()
    return int.from_bytes(digest[:8]) % 100
