"""Decide which regions take a changed RegionClass now, and which wait and why. Pure.

A region is *in motion* from when it takes a revision until it has been well with it for the time
that its wave asks for. At no time more are in motion than allowed, nothing starts while one that
has the new revision is not well, and what cannot be seen is passed over and caught up later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orrery.api.base import seconds
from orrery.api.classrollout import REMAINING, ClassRollout
from orrery.planning.waves import Wave, waves_of
from orrery.planning.wording import enumerated, joined

Phase = Literal[
    "Complete", "Rolling", "Waiting", "Paused", "AwaitingApproval", "Failed", "RolledBack"
]
"""Waiting: for nothing that the rollout itself brings about."""

NAMED = 5
"""Regions that a sentence names."""


@dataclass(frozen=True, slots=True)
class RegionView:
    """What is known of one Managed region of the class."""

    name: str
    labels: Mapping[str, str]
    known: bool = True
    """Whether it has been looked up what the region was given."""
    updated: bool = False
    """Whether that is what the class says now."""
    settled: bool = False
    """Whether the region has been well with it for long enough."""
    fresh: bool = False
    """Whether it is being built for the first time: it takes the newest, and is no part of this."""
    refused: bool = False
    """Whether it was rolled back from what the class says now."""
    returns: bool = False
    """Whether it has something to go back to."""
    lost: bool = False
    """Whether nobody knows any more what it was given: it cannot be worse off."""
    problem: str = ""
    """Why it is not well, as a sentence; empty while it is."""
    hopeless: bool = False
    """Whether waiting will not cure the problem."""
    lasts: float = 0
    """Seconds for which it has been well, or not well, with what it was given."""
    unseen: bool = False
    """Whether its Nomad does not answer."""
    out_of_reach: str = ""
    """Why nothing can be changed there now, as a sentence; empty when it can."""

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now, and how it stands."""

    phase: Phase
    message: str
    """One sentence, the same from pass to pass until something happens."""
    take: tuple[str, ...] = ()
    """Regions that take the class as it is now."""
    go_back: tuple[str, ...] = ()
    """Regions that go back to what they had before."""
    settle: tuple[str, ...] = ()
    """Regions that have been well for long enough."""
    unsettle: tuple[str, ...] = ()
    """Regions that had been, and have failed since: a cure goes to them first."""
    wave: str = ""
    failed: tuple[str, ...] = ()
    desired: int = 0
    updated: int = 0


def plan_class_rollout(
    views: Sequence[RegionView], rollout: ClassRollout, *, revision: str, approved: str = ""
) -> Decision:
    """Decide what the regions of a class do now.

    *approved* names the last wave that somebody approved for this very *revision*; the waves before
    it are approved with it.
    """
    return _Rollout(views, rollout, revision, approved).decide()


class _Rollout:
    def __init__(
        self, views: Sequence[RegionView], rollout: ClassRollout, revision: str, approved: str
    ) -> None:
        self.views = {view.name: view for view in sorted(views, key=lambda v: v.name)}
        self.rollout = rollout
        self.revision = revision
        self.waves = waves_of(rollout, {v.name: v.labels for v in views if not v.fresh})
        names = [*(wave.name for wave in rollout.waves), REMAINING]
        self.approved = frozenset(names[: names.index(approved) + 1] if approved in names else ())
        self.wave_of = {region: wave for wave in self.waves for region in wave.regions}
        self.parts = [view for view in self.views.values() if not view.fresh]
        self.deadline = seconds(rollout.progress_deadline)
        self.behind = [view for view in self.parts if not view.updated]
        self.failed = {v.name: v.problem for v in self.parts if v.updated and self._failed(v)}
        self.settle = tuple(v.name for v in self.parts if self._has_soaked(v))
        self.moving = [
            view.name
            for view in self.parts
            if (view.updated or view.refused)
            and not view.settled
            and view.name not in self.settle
            and not self._failed(view)
        ]

    def decide(self) -> Decision:
        unknown = [v.name for v in self.parts if not v.known and not v.out_of_reach]
        if unknown:
            return self._say("Waiting", f"it is being looked up what {_regions(unknown)} run")
        if any(view.refused for view in self.parts) or self._rolls_back():
            return self._roll_back()
        if not self.behind and not self.moving and not self.failed:
            return self._say("Complete", self._all_updated())
        wave = self._wave_of_now()
        return self._held(wave) or self._go_on(wave)

    def _held(self, wave: Wave | None) -> Decision | None:
        """Say what keeps every region from starting, if anything does."""
        if len(self.failed) > self.rollout.max_failed_regions:
            return self._say("Failed", f"stopped: {self._failures()}", wave=wave)
        if self.rollout.paused and self.behind:
            message = f"spec.rollout.paused is true{self._under_way()}"
            return self._say("Paused", message, wave=wave)
        troubled = self._troubled()
        if troubled and self.behind:
            return self._say("Waiting", f"nothing starts while {troubled}", wave=wave)
        return None

    def _go_on(self, wave: Wave | None) -> Decision:
        take: list[str] = []
        for region in self._in_their_order():
            if len(self.moving) + len(take) < self.wave_of[region].max_concurrent:
                take.append(region)
        if not take and not self.moving:  # The change may be the cure of what is not well.
            take = self._sick()[:1]
        if take or self.moving:
            busy = sorted({*take, *self.moving})
            return self._say("Rolling", self._in_motion(busy), take=take, wave=wave)
        if not self.behind:
            return self._say("Complete", self._all_updated())
        for held in self._reached_waves():
            if not self._may_enter(held) and not all(self.views[r].updated for r in held.regions):
                message = (
                    f"wave {held.name} waits for the approval of revision {self.revision}, which "
                    "`orrery class approve` gives"
                )
                return self._say("AwaitingApproval", message, wave=held)
        return self._say("Waiting", f"passed over: {self._passed_over()}", wave=wave)

    def _in_their_order(self) -> list[str]:
        """List the regions that may start; first those that a revision now given up left behind."""
        able = [view for view in self.behind if not view.out_of_reach]
        adrift = [
            v.name for v in able if self._is_adrift(v) and self._may_enter(self.wave_of[v.name])
        ]
        well = {view.name for view in able if view.well} - set(adrift)
        return adrift + [r for wave in self._open_waves() for r in wave.regions if r in well]

    def _sick(self) -> list[str]:
        sick = {view.name for view in self.behind if view.problem and not view.out_of_reach}
        return [r for wave in self._open_waves() for r in wave.regions if r in sick]

    def _roll_back(self) -> Decision:
        moving_back = [n for n in self.moving if self.views[n].refused]
        allowed = max((wave.max_concurrent for wave in self.waves), default=1)
        going = [v for v in self.parts if v.updated and v.returns]
        going.sort(key=lambda v: (v.name not in self.failed, v.settled, v.name))
        able = [view.name for view in going if not view.out_of_reach]
        back = tuple(able[: max(0, allowed - len(moving_back))])
        if going or moving_back:
            message = f"revision {self.revision} is rolled back: {self._blame()}"
            return self._say("RolledBack", message, go_back=back)
        message = (
            f"revision {self.revision} was rolled back: {self._blame()}; change the class, or have "
            "what it was before written into it by `orrery class rollback`"
        )
        return self._say("RolledBack", message)

    def _rolls_back(self) -> bool:
        # One that went dark with the change stops it, and tells too little to undo it everywhere.
        seen = [name for name in self.failed if not self.views[name].unseen]
        too_many = len(seen) > self.rollout.max_failed_regions
        return too_many and self.rollout.on_failure == "RollBack"

    def _blame(self) -> str:
        refused = [view.name for view in self.parts if view.refused]
        return f"it failed in {_regions(sorted({*refused, *self.failed}))}"

    def _failed(self, view: RegionView) -> bool:
        """Tell whether a region counts as failed; what it does after a rollout is not its doing.

        Unknown is not failed: a region that nobody sees, or reaches, holds the others and no more.
        """
        if not view.problem or view.out_of_reach:
            return False
        if view.settled and (view.unseen or not self.behind):
            return False
        return view.hopeless or view.lasts >= self.deadline

    def _has_soaked(self, view: RegionView) -> bool:
        """Tell whether a region in motion has arrived; on its way back it need only be well."""
        if view.settled or view.problem or not view.known or view.lost:
            return False
        if view.refused:
            return True
        return view.updated and view.lasts >= self.wave_of[view.name].soak

    def _is_adrift(self, view: RegionView) -> bool:
        """Tell whether a region was left in motion by a revision that nobody wants any more."""
        return not view.updated and (view.lost or (view.known and not view.settled))

    def _troubled(self) -> str:
        return "; ".join(
            f"{view.name} is not well: {view.problem}"
            for view in self.parts
            if view.updated and view.settled and view.problem and not view.out_of_reach
            if view.name not in self.failed
        )

    def _may_enter(self, wave: Wave) -> bool:
        return not wave.needs_approval or wave.name in self.approved

    def _open_waves(self) -> Iterator[Wave]:
        """Yield the waves whose regions may start: all before them are through."""
        for wave in self._reached_waves():
            if self._may_enter(wave):
                yield wave

    def _reached_waves(self) -> Iterator[Wave]:
        for wave in self.waves:
            yield wave
            if not self._is_through(wave):
                return

    def _is_through(self, wave: Wave) -> bool:
        """Tell whether a wave holds the next one no longer.

        What cannot be changed now is passed over, but not all of a wave: it is there to try.
        """
        views = [self.views[region] for region in wave.regions]
        done = [v for v in views if self._has_arrived(v)]
        open_ = [v for v in views if v not in done and v.name not in self.failed]
        passed_over = [v for v in open_ if not v.updated and (v.out_of_reach or not v.well)]
        return bool(done) and len(passed_over) == len(open_)

    def _has_arrived(self, view: RegionView) -> bool:
        return view.updated and (view.settled or view.name in self.settle)

    def _wave_of_now(self) -> Wave | None:
        reached = list(self._reached_waves())
        return reached[-1] if reached else None

    def _in_motion(self, busy: Sequence[str]) -> str:
        problems = [f"{n}: {self.views[n].problem}" for n in self.moving if self.views[n].problem]
        words = f"{_regions(busy)} {'takes' if len(busy) == 1 else 'take'} revision {self.revision}"
        return f"{words}: {'; '.join(problems[:NAMED])}" if problems else words

    def _under_way(self) -> str:
        return f"; {_regions(self.moving)} goes on" if self.moving else ""

    def _failures(self) -> str:
        return "; ".join(
            f"region {name} is not well with revision {self.revision}: {problem}"
            for name, problem in list(self.failed.items())[:NAMED]
        )

    def _passed_over(self) -> str:
        told = [
            f"{v.name}: {v.out_of_reach or v.problem or 'its wave has not come'}"
            for v in self.behind
        ]
        return joined(told, NAMED)

    def _all_updated(self) -> str:
        if not self.views:
            return "no Managed region has this class"
        built = [v.name for v in self.views.values() if v.fresh and not self._has_arrived(v)]
        if len(built) == len(self.views):
            return f"being built with revision {self.revision}: {_regions(built)}"
        if built:
            return (
                f"all others have revision {self.revision}, being built with it: {_regions(built)}"
            )
        return f"all regions have revision {self.revision}"

    def _say(
        self,
        phase: Phase,
        message: str,
        *,
        take: Sequence[str] = (),
        go_back: Sequence[str] = (),
        wave: Wave | None = None,
    ) -> Decision:
        done = [v for v in self.views.values() if self._has_arrived(v)]
        return Decision(
            phase=phase,
            message=message,
            take=tuple(sorted(take)),
            go_back=tuple(go_back),
            settle=self.settle,
            unsettle=tuple(n for n in self.failed if self.views[n].settled),
            wave=wave.name if wave and phase != "Complete" else "",
            failed=tuple(self.failed),
            desired=len(self.views),
            updated=sum(v.name not in self.failed for v in done),
        )


def _regions(names: Sequence[str]) -> str:
    return enumerated(names, NAMED)
