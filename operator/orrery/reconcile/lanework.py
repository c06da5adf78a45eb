"""What a region's lane does with a key: one pass over one job, and telling who waits for it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from orrery import names
from orrery.api.conditions import Reason
from orrery.engine.lag import Lag
from orrery.engine.result import Again, Done, Result, Retry
from orrery.errors import Conflict, NotYet, OrreryError, OutcomeUnknown, Refused
from orrery.planning.protocol import Owner
from orrery.planning.rollup import RegionalState, describe
from orrery.ports import Clock, Key, Kind
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.loop import guarded
from orrery.reconcile.probes import Probes
from orrery.reconcile.regional import Pass, converge
from orrery.reconcile.report import BUG
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

UNDER_WAY = frozenset({"Updating", "Degraded"})
"""Phases in which something is bound to happen."""

LOOK_AGAIN = 30.0
"""Seconds after which a job that is under way is looked at, should no event come."""

FIRST_LOOK = 2.0
"""The same for one that was just registered."""


LEFTOVERS = -1
"""Stands for secrets that are not yet exactly the wanted ones."""


class LaneWork:
    """One pass over one job of one region."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        clock: Clock,
        lag: Lag,
        telemetry: Telemetry,
        install: str,
        changed: Callable[[Key], None],
        emit: Callable[[Key, str, str, str], None],
        tell_region: Callable[[str], None],
        is_current: Callable[[Key, int], Awaitable[bool]],
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._lag = lag
        self._telemetry = telemetry
        self._install = install
        self._changed = changed
        self._emit = emit
        self._tell_region = tell_region
        self._is_current = is_current
        self._probes = Probes(clock, telemetry=telemetry, install=install, told=tell_region)

    async def __call__(self, region: str, key: Key) -> Result:
        """Work on *key* in *region*."""
        member = self._fleet.member(region)
        if member is None or member.actor is None:
            return Done()
        if key.kind is Kind.REGION:
            return await self._probes(region, member)
        if not self._concerns(member, region, key):
            if not self._fleet.knows(key) and member.actor.view.seen(key) is not None:
                member.actor.view.moved.add(key)
            return Done()
        this = self._pass(member, region, key)
        return await guarded(
            lambda: self._work(member, this),
            kind="Job",
            name=str(key),
            region=region,
            clock=self._clock,
            telemetry=self._telemetry,
            report=lambda error: self._report(this, error),
            on_bug=lambda: self._report_bug(this),
        )

    async def _work(self, member: Member, this: Pass) -> Result:
        before = self._fleet.state(this.region, this.key)
        try:
            after = await converge(this)
        except (NotYet, Conflict, OutcomeUnknown) as error:
            self._store(this, before, this.state)
            if error.reason == Reason.STOPS_HELD and not this.was_held:
                self._tell_region(this.region)
            raise
        blocked = after is not None and after.reason is Reason.FOREIGN_JOB
        if this.assignment is not None and not blocked:
            self._finish(member, this)
        self._store(this, before, after)
        if blocked:
            return Retry()
        if this.repaired:
            found = "; ".join(this.repaired[:3])
            self._emit(
                this.key,
                "Warning",
                "DriftRepaired",
                f"{this.region}: undid a change that somebody made there: {found}",
            )
        if after is None or after.phase not in UNDER_WAY:
            return Done()
        return Again(FIRST_LOOK + self._lag.patience if this.registered else LOOK_AGAIN)

    def _finish(self, member: Member, this: Pass) -> None:
        """Take the work off the list, unless newer work came meanwhile."""
        assert this.assignment is not None
        if this.assignment.same_as(member.assignments.get(this.key)):
            del member.assignments[this.key]
        elif member.actor is not None and this.key in member.assignments:
            member.actor.lane.add(this.key)
        if this.assignment.tombstones:
            for tombstone in this.assignment.tombstones:
                member.tombstones.pop(tombstone.uid, None)
        if this.assignment.tombstones or this.was_held:
            self._tell_region(this.region)
        mark = LEFTOVERS if this.leftovers else this.assignment.secrets_mark
        if mark:
            member.secrets[this.key] = mark
        else:
            member.secrets.pop(this.key, None)

    def _store(self, this: Pass, before: RegionalState | None, after: RegionalState | None) -> None:
        """Keep what was seen; whoever sums it up hears of it when it differs."""
        if not self._fleet.knows(this.key):
            return  # The object went while the pass was under way.
        states = self._fleet.states(this.key)
        now = states.get(this.region)
        if after is None:
            states.pop(this.region, None)
            self._changed(this.key)
            return
        if now is not None:
            after = replace(after, wanted=now.wanted, current=now.current)
        if this.assignment is not None and this.assignment.document is not None:
            current = after.digest == this.assignment.digest and after.reason is None
            after = replace(after, current=current)
        states[this.region] = after
        seen = this.view.seen(this.key)
        drifted = seen is None or seen.stop or seen.index != after.index
        held = member.held if (member := self._fleet.member(this.region)) else ()
        told = after == before == now  # A pass over the deployment may have told of *now*.
        if not told or (drifted and this.assignment is None and this.key not in held):
            self._changed(this.key)
        if (trouble := _trouble(before, after)) is not None:
            self._emit(this.key, "Warning", trouble, f"{this.region}: {describe(after)}")
        if before is None or after.phase != before.phase:
            log.info(
                "the job is %s, %s of %s instances are healthy",
                after.phase.lower(),
                after.ready,
                after.desired,
                extra={
                    "kind": "GlobalDeployment",
                    "object": str(this.key),
                    "region": this.region,
                    "phase": after.phase,
                },
            )

    def _report(self, this: Pass, error: OrreryError) -> None:
        """Show a refusal on the deployment; what will pass by itself is the region's to tell."""
        if not isinstance(error, Refused):
            return
        if error.reason == Reason.JOB_REFUSED:
            # Somebody may have deleted the namespace: it is created anew when it is missing.
            this.view.namespaces_unsure = True
            this.view.namespaces.discard(this.namespace)
        self._fail(this, Reason(error.reason), error.message)

    async def _report_bug(self, this: Pass) -> None:
        """Show on the deployment that a pass failed for a reason that is ours."""
        self._fail(this, Reason.INTERNAL_ERROR, BUG)

    def _fail(self, this: Pass, reason: Reason, message: str) -> None:
        before = self._fleet.state(this.region, this.key)
        failed = replace(
            before or this.state, phase="Failed", reason=reason, message=message, current=False
        )
        self._store(this, before, failed)

    def _concerns(self, member: Member, region: str, key: Key) -> bool:
        """Tell whether the key is known: an event of an orphan or a stranger is no work."""
        return key in member.assignments or (self._fleet.state(region, key) is not None)

    def _pass(self, member: Member, region: str, key: Key) -> Pass:
        assert member.actor is not None
        assignment: Assignment | None = member.assignments.get(key)
        if member.region.spec.paused:
            assignment = None
        return Pass(
            key=key,
            region=region,
            nomad=member.actor.nomad,
            view=member.actor.view,
            state=self._fleet.state(region, key) or RegionalState(),
            assignment=assignment,
            owner=Owner(self._install, key.namespace, key.name),
            namespace=names.nomad_namespace(self._install, key.namespace),
            may_stop=lambda: member.may_stop(key, self._clock),
            is_current=lambda generation: self._is_current(key, generation),
            was_held=key in member.held_stops,
            had_secrets=key in member.secrets,
        )


def _trouble(before: RegionalState | None, after: RegionalState) -> Reason | None:
    """Name what went wrong with a job since it was last looked at, by this process or another."""
    if after.phase == "Failed" and (before is None or before.phase != "Failed"):
        return after.reason or Reason.UNHEALTHY
    if after.reason is Reason.UNHEALTHY and (before is None or before.reason is not after.reason):
        return after.reason
    return None
