"""Reconcile a GlobalDeployment: choose regions, derive what each runs, hand it to their lanes.

No region is awaited here: each has a lane of its own, and what the lanes find comes back as
`RegionalState`, which the report sums up.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from orrery import names
from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.api.globaldeployment import GlobalDeploymentStatus
from orrery.api.validation import ValidationFailure, validate_deployment
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import Conflict, InvalidSpec, NotYet, Refused
from orrery.planning import conditions, rollup
from orrery.planning.admission import admit
from orrery.planning.news import news
from orrery.planning.placement import choose, describe_nothing, describe_unknown
from orrery.planning.rollup import Findings, RegionalState
from orrery.planning.split import split
from orrery.ports import Clock, Hub, HubEvent, Key
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.deletion import Deletion
from orrery.reconcile.dispatch import Dispatch
from orrery.reconcile.fleet import Fleet
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.rendering import digest_each, render_each
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.reconcile.scope import Scope
from orrery.reconcile.secrets import SecretReader
from orrery.render.digest import spec_revision
from orrery.render.variables import secret_references

Phase = Callable[[Scope], Awaitable[None]]


class DeploymentReconciler:
    """Reconciles GlobalDeployments, one pass at a time per object."""

    def __init__(
        self,
        *,
        hub: Hub,
        fleet: Fleet,
        inventory: Inventory,
        writer: StatusWriter,
        secrets: SecretReader,
        clock: Clock,
        install: str,
        deletion: Deletion,
    ) -> None:
        self._hub = hub
        self._secrets = secrets
        self._deletion = deletion
        self._fleet = fleet
        self._inventory = inventory
        self._writer = writer
        self._clock = clock
        self._install = install
        self._dispatch = Dispatch(fleet, inventory, install)

    async def reconcile(self, key: Key, priority: Priority) -> Result:
        """Enforce the whole spec of *key*, reading the whole state."""
        body = self._inventory.get(key)
        if body is None:
            self._fleet.forget(key)
            self._deletion.ended(key)
            self._writer.forget(key)
            return Done()
        scope = self._open(key, body, priority)
        try:
            for phase in self._phases(scope):
                await phase(scope)
        except (InvalidSpec, NotYet) as error:
            scope.error = error
        except Refused as error:
            scope.error = NotYet(Reason.HUB_REFUSED, error.message, retry_after=60)
        if scope.error is not None and scope.metadata.deletion_timestamp is None:
            self.compare(scope)
        wait = await self.report(scope)
        if wait is None and isinstance(scope.error, NotYet):
            wait = scope.error.retry_after
        if wait is None and scope.states and scope.wake_after is not None:
            wait = scope.wake_after
        return Done() if wait is None else Again(wait)

    async def report_bug(self, key: Key) -> None:
        """Say on the object that a pass failed for a reason that is ours."""
        body = self._inventory.get(key)
        if body is None:
            return
        scope = self._open(key, body, Priority.RESYNC)
        scope.error = NotYet(Reason.INTERNAL_ERROR, BUG)
        await self.report(scope)

    def _phases(self, scope: Scope) -> Sequence[Phase]:
        """List what one pass does, in order; deletion is another list, not another path."""
        spec = scope.body.get("spec")
        policy = spec.get("deletionPolicy") if isinstance(spec, Mapping) else None
        if scope.metadata.deletion_timestamp is None:
            return (
                self.accept,
                self.ensure_finalizer,
                self.choose_regions,
                self.derive,
                self.read_secrets,
                self.render,
                self.announce,
                self.assign,
                self.unassign,
            )
        if policy == "Orphan":
            return (self.abandon, self.release)
        return (
            self._deletion.hold_while_paused,
            self._deletion.hold_while_the_definition_leaves,
            self.unassign,
            self._deletion.bury,
            self.release,
        )

    async def accept(self, scope: Scope) -> None:
        """Check the spec as a whole: the API server's rules once more, in case it has none."""
        try:
            scope.deployment = validate_deployment(
                {part: value for part, value in scope.body.items() if part != "status"}
            )
        except ValidationFailure as failure:
            raise InvalidSpec(Reason.INVALID_SPEC, str(failure)) from failure

    async def ensure_finalizer(self, scope: Scope) -> None:
        """Hold the object until its jobs are stopped; nothing is registered before that."""
        if names.FINALIZER not in scope.metadata.finalizers:
            await self._hub.add_finalizer(scope.key, scope.metadata.uid, names.FINALIZER)

    async def choose_regions(self, scope: Scope) -> None:
        """Choose the regions that run it."""
        assert scope.deployment is not None
        scope.fleet_revision = self._fleet.revision
        placement, candidates = scope.deployment.spec.placement, self._fleet.candidates()
        closed = self._fleet.closed_to(scope.key)
        scope.choice = admit(choose(placement, candidates), closed, named=bool(placement.regions))
        for each in scope.choice.closed:
            scope.states.pop(each.name, None)
            self._fleet.withdraw(each.name, scope.key)
        self._dispatch.sort_out(scope)
        if not scope.choice.selected:
            unknown = describe_unknown(scope.choice) or (describe_nothing(placement, candidates),)
            named = scope.choice.unknown or scope.choice.closed
            reason = Reason.REGION_NOT_AVAILABLE if named else Reason.NO_REGION
            raise NotYet(reason, "; ".join(unknown), retry_after=60)

    async def derive(self, scope: Scope) -> None:
        """Derive what each region runs."""
        assert scope.deployment is not None
        assert scope.choice is not None
        selected = set(scope.choice.selected)
        scope.regionals = split(
            scope.deployment.spec,
            namespace=scope.key.namespace,
            name=scope.key.name,
            regions=[c for c in self._fleet.candidates() if c.name in selected],
        )

    async def read_secrets(self, scope: Scope) -> None:
        """Read each Secret once, whatever the number of regions."""
        wanted = sorted(
            {ref.secret for r in scope.regionals.values() for ref in secret_references(r)}
        )
        afresh = scope.priority is Priority.USER
        found = {
            name: await self._secrets.read(scope.key.namespace, name, afresh=afresh)
            for name in wanted
        }
        scope.secrets = {name: secret for name, secret in found.items() if secret is not None}

    async def render(self, scope: Scope) -> None:
        """Render what each region runs, once for regions that are alike.

        The whole is refused when no region can run it.
        """
        assert scope.deployment is not None
        scope.assignments = render_each(
            scope.regionals,
            scope.deployment,
            fleet=self._fleet,
            install=self._install,
            secrets=scope.secrets,
        )
        refusals = [o for o in scope.assignments.values() if not isinstance(o, Assignment)]
        if len(refusals) == len(scope.assignments) and len({r.message for r in refusals}) == 1:
            raise refusals[0]

    async def announce(self, scope: Scope) -> None:
        """Name the regions in the status before anything is registered there for the first time.

        Whoever comes after a crash, to find the object being deleted, would else not know where to
        look for its jobs.
        """
        told = {region for continent in scope.before.continents for region in continent.regions}
        if scope.assignments.keys() <= told | scope.states.keys():
            return
        for region in scope.assignments:
            scope.states.setdefault(region, RegionalState())
        await self._write(scope, at_once=True)

    async def assign(self, scope: Scope) -> None:
        """Give each open region what it should run, unless its list shows that it does."""
        self._hold_to_fleet(scope)
        for region in self._fleet.farthest_first(scope.assignments):
            outcome = scope.assignments[region]
            if isinstance(outcome, Assignment):
                self._dispatch.give(scope, region, outcome)
            else:
                self._dispatch.refuse(scope, region, outcome)

    def compare(self, scope: Scope) -> None:
        """Compare what runs with the spec there is now, though that cannot be carried out."""
        if scope.deployment is not None and scope.choice is None:
            return  # The hub kept the pass from getting as far as the spec.
        digests: Mapping[str, str] = {}
        if scope.deployment is not None:
            digests = digest_each(
                scope.regionals, scope.deployment, fleet=self._fleet, install=self._install
            )
        self._dispatch.leave(scope, digests)
        scope.compared = True

    async def abandon(self, scope: Scope) -> None:
        """Leave the jobs running: the object goes, they stay."""
        scope.states.clear()

    async def unassign(self, scope: Scope) -> None:
        """Have the job removed from every region that should not run it."""
        selected = set(scope.choice.selected) if scope.choice else set()
        if scope.choice:  # What has come to light in a closed region since then is carried on.
            selected.update(each.name for each in scope.choice.closed)
        here = set(self._fleet.regions_running(scope.key)) | set(scope.states)
        leaving = sorted(here - selected)
        paused = scope.deployment is not None and scope.deployment.spec.paused
        if not leaving or paused:
            return
        if not await self._confirmed(scope):
            raise Conflict("ObjectChanged", "the object changed after the watch told of it")
        self._hold_to_fleet(scope)
        for region in leaving:
            self._dispatch.take_back(scope, region)

    def _hold_to_fleet(self, scope: Scope) -> None:
        """Act only on the fleet that was chosen from: what came meanwhile may be chosen, too.

        A region that comes while this pass waits for the hub would else be taken for one that is
        not selected, and its job for one to stop; a class, for one without drivers.
        """
        if scope.choice is not None and scope.fleet_revision != self._fleet.revision:
            raise Conflict("FleetChanged", "a region or its class changed during the pass")

    async def release(self, scope: Scope) -> None:
        """Let the object go once no region is left."""
        if scope.states:
            return
        await self._hub.remove_finalizer(scope.key, scope.metadata.uid, names.FINALIZER)
        scope.released = True

    async def report(self, scope: Scope) -> float | None:
        """Sum up and write the status, if it changed; return the seconds to wait otherwise."""
        return None if scope.released else await self._write(scope)

    async def _write(self, scope: Scope, *, at_once: bool = False) -> float | None:
        after = rollup.summarize(
            self._findings(scope),
            self._as_seen(scope),
            self._fleet.continents(),
            before=scope.before,
            now=timestamp(self._clock),
        )
        if not rollup.differs_for_people(scope.before, after):
            return None
        wait = await self._writer.write(scope.key, scope.metadata.uid, after, at_once=at_once)
        if wait is None:
            told = news(scope.before.conditions, after.conditions)
            scope.before = after
            if told is not None:
                event = HubEvent(
                    scope.key, scope.metadata.uid, told.type, told.reason, told.message
                )
                await self._hub.emit_event(event)
        return wait

    def _findings(self, scope: Scope) -> Findings:
        blocked = None
        if scope.error is not None:
            reason = Reason(scope.error.reason)
            blocked = conditions.ready("False", reason, scope.error.message)
        deployment = scope.deployment
        paused = deployment.spec.paused if deployment else False
        return Findings(
            generation=scope.metadata.generation,
            revision=spec_revision(deployment.spec) if deployment else "",
            paused=paused,
            deleting=scope.metadata.deletion_timestamp is not None,
            blocked=blocked,
            stalled=isinstance(scope.error, InvalidSpec),
            left=scope.compared if scope.error else scope.choice is not None and paused,
            selected=scope.choice.selected if scope.choice else (),
            unknown_regions=describe_unknown(scope.choice) if scope.choice else (),
        )

    def _as_seen(self, scope: Scope) -> dict[str, RegionalState]:
        """Show a region that cannot be seen as such, over the last state that was seen of it."""
        seen = {}
        for region, state in scope.states.items():
            member = self._fleet.member(region)
            hidden = member is None or member.is_dark or (member.is_shut and state.index)
            seen[region] = replace(state, phase="Unreachable") if hidden else state
        return seen

    def _open(self, key: Key, body: Mapping[str, object], priority: Priority) -> Scope:
        metadata = Metadata.model_validate(body["metadata"])
        before = GlobalDeploymentStatus.model_validate(self._writer.last(key, metadata.uid, body))
        if not self._fleet.knows(key):
            self._fleet.remember(key, _remembered(before))
        return Scope(
            key=key,
            metadata=metadata,
            body=body,
            before=before,
            states=self._fleet.states(key),
            priority=priority,
        )

    async def _confirmed(self, scope: Scope) -> bool:
        """Read the object fresh: nothing is stopped on the word of a watch that may be late."""
        fresh = await self._hub.read(scope.key)
        if fresh is None:
            return False
        metadata = Metadata.model_validate(fresh["metadata"])
        seen = scope.metadata
        return (metadata.uid, metadata.generation, metadata.deletion_timestamp) == (
            seen.uid,
            seen.generation,
            seen.deletion_timestamp,
        )


def _remembered(status: GlobalDeploymentStatus) -> dict[str, RegionalState]:
    """Read back from the status what we last left in each region.

    The digest, the same in most regions, is held once: there are millions of these. A message
    without a reason is a remark on the spec of that time.
    """
    states = {}
    for continent in status.continents:
        for region, told in continent.regions.items():
            ready, _, desired = told.ready.partition("/")
            states[region] = RegionalState(
                phase=told.phase,
                ready=int(ready or 0),
                desired=int(desired or 0),
                digest=sys.intern(told.revision),
                index=told.index,
                reason=told.reason,
                message=told.message if told.reason else None,
            )
    return states
