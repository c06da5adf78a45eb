"""Reconcile a Region: check what it refers to, connect to its Nomad, report what is seen."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.api.region import Region, RegionStatus, Tombstone
from orrery.api.regionclass import Driver
from orrery.api.validation import ValidationFailure, validate_region, validate_region_class
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import InvalidSpec, NotYet, Refused
from orrery.planning.protocol import Owner
from orrery.planning.region_news import news_of_region
from orrery.planning.region_status import summarize_region
from orrery.planning.twins import older_twin
from orrery.ports import Clock, Credentials, Hub, HubEvent, Key, Kind
from orrery.reconcile.actor import RegionActor
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.credentials import credentials
from orrery.reconcile.fleet import Fleet, Member, drivers_of
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.openings import Openings
from orrery.reconcile.probes import order_probes
from orrery.reconcile.regionscope import RegionScope, facts_of
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.reconcile.teardown import RETRY, Teardown
from orrery.telemetry import Telemetry

RECHECK = 300.0
"""Seconds after which a region's Secret is read again: tokens and certificates rotate."""


class ActorFactory(Protocol):
    """Makes the actor of a region from its credentials."""

    def __call__(self, name: str, credentials: Credentials) -> RegionActor:
        """Make an actor that is not started yet; raises `InvalidSpec` for unusable credentials."""


class RegionReconciler:
    """Reconciles Regions, one pass at a time per object."""

    def __init__(
        self,
        *,
        hub: Hub,
        fleet: Fleet,
        inventory: Inventory,
        writer: StatusWriter,
        make_actor: ActorFactory,
        fleet_changed: Callable[[], None],
        deployment_changed: Callable[[Key], None],
        consider_control_plane: Callable[[Member], None],
        install: str,
        clock: Clock,
        telemetry: Telemetry,
        namespace: str,
    ) -> None:
        self._hub = hub
        self._fleet = fleet
        self._inventory = inventory
        self._writer = writer
        self._make_actor = make_actor
        self._fleet_changed = fleet_changed
        self._deployment_changed = deployment_changed
        self._consider_control_plane = consider_control_plane
        self._install = install
        self._clock = clock
        self._telemetry = telemetry
        self._namespace = namespace
        self._teardown = Teardown(
            hub=hub,
            inventory=inventory,
            install=install,
            namespace=namespace,
            consider_control_plane=consider_control_plane,
        )
        self._openings = Openings(hub=hub, fleet=fleet, inventory=inventory, clock=clock)
        self._credentials: dict[str, Credentials] = {}
        self._marks: dict[str, object] = {}
        self._built: dict[str, object] = {}
        """From what each control plane was last asked to be built."""

    def take_stock(self) -> None:
        """Count in every region, so that none is taken for gone before its first pass."""
        for key in self._inventory.keys(Kind.REGION):
            body = self._inventory.get(key)
            assert body is not None
            with suppress(ValidationFailure, InvalidSpec, NotYet):
                member = self._count_in(validate_region(body), body)
                self._fleet.equip(member, self._drivers(member))

    async def reconcile(self, key: Key) -> Result:
        """Enforce the whole spec of *key*, reading the whole state."""
        body = self._inventory.get(key)
        if body is None:
            await self._leave(key)
            return Done()
        scope = RegionScope(key, Metadata.model_validate(body["metadata"]), body)
        scope.told_phase = self._writer.last(key, scope.metadata.uid, body).get("phase")
        try:
            for phase in self._phases():
                if not scope.released:
                    await phase(scope)
        except (InvalidSpec, NotYet) as error:
            scope.error = error
        except Refused as error:
            scope.error = NotYet(Reason.HUB_REFUSED, error.message, retry_after=60)
        if scope.released:
            return Done()
        due = await self._open(scope)
        self._tell_fleet(scope)
        wait = await self.report(scope)
        if wait is None:
            rest = RETRY if scope.leaving else RECHECK
            wait = scope.error.retry_after if isinstance(scope.error, NotYet) else rest
        return Again(wait if due is None else min(wait, due))

    def _phases(self) -> Sequence[Callable[[RegionScope], Awaitable[None]]]:
        """List what one pass does, in order."""
        return (
            self.accept,
            self._teardown.part,
            self.find_twin,
            self.find_continent,
            self.find_class,
            self.find_control_plane,
            self.connect,
            self.settle_tombstones,
            self.release_stops,
            self.order_probes,
            self.await_jobs,
        )

    async def report_bug(self, key: Key) -> None:
        """Say on the object that a pass failed for a reason that is ours."""
        body = self._inventory.get(key)
        if body is None:
            return
        scope = RegionScope(key, Metadata.model_validate(body["metadata"]), body)
        scope.error = NotYet(Reason.INTERNAL_ERROR, BUG)
        await self.report(scope)

    async def accept(self, scope: RegionScope) -> None:
        """Check the spec and count the region in."""
        try:
            region = validate_region(scope.body)
        except ValidationFailure as failure:
            raise InvalidSpec(Reason.INVALID_SPEC, str(failure)) from failure
        scope.member = self._count_in(region, scope.body)

    async def find_twin(self, scope: RegionScope) -> None:
        """Refuse a Nomad that an older Region has already."""
        region = scope.counted.region
        others = (member.region for _, member in self._fleet.members())
        if (twin := older_twin(region, others)) is not None:
            message = (
                f"spec.controlPlane.external.nomadAddress: {region.nomad_address} is the Nomad of "
                f'region "{twin}" already: two regions on one Nomad undo each other\'s work'
            )
            raise InvalidSpec(Reason.INVALID_SPEC, message)

    async def find_continent(self, scope: RegionScope) -> None:
        """Hold until the continent exists."""
        name = scope.counted.region.spec.continent
        if Key(Kind.CONTINENT, "", name) not in self._inventory:
            message = f'spec.continent: there is no Continent "{name}"'
            raise NotYet(Reason.CONTINENT_NOT_FOUND, message, retry_after=30)

    async def find_class(self, scope: RegionScope) -> None:
        """Take the drivers from the class; one that vanishes leaves the last known ones."""
        member = scope.counted
        self._fleet.equip(member, self._drivers(member))

    async def find_control_plane(self, scope: RegionScope) -> None:
        """Have a Managed region's control plane looked at; hold until it was complete once."""
        member = scope.counted
        if not member.region.spec.is_managed:
            return
        if self._built.get(scope.key.name) != (mark := self._build_mark(member)):
            self._built[scope.key.name] = mark
            self._consider_control_plane(member)
        if member.control_plane is not None and member.control_plane.bootstrapped:
            return
        if member.region.spec.paused:
            message = "spec.paused is true: the control plane is not built"
            raise NotYet(Reason.PAUSED, message, retry_after=RECHECK)
        problem = member.build_problem
        if isinstance(problem, InvalidSpec):
            raise InvalidSpec(problem.reason, problem.message)
        # A cluster that does not answer holds its own lane, and must not hold that of all regions.
        reason = problem.reason if problem else Reason.PROVISIONING
        message = problem.message if problem else "the control plane is about to be built"
        raise NotYet(reason, message, retry_after=RECHECK)

    async def connect(self, scope: RegionScope) -> None:
        """Start an actor with the credentials of the Secret; other credentials, another actor."""
        member = scope.counted
        name = member.region.credentials_secret
        secret = await self._hub.read_secret(self._namespace, name)
        try:
            found = credentials(member.known, secret, namespace=self._namespace)
        except (InvalidSpec, NotYet):
            if member.build_problem is None:
                raise
            raise NotYet(member.build_problem.reason, member.build_problem.message) from None
        if member.actor is not None and self._credentials.get(scope.key.name) == found:
            return
        actor = self._make_actor(scope.key.name, found)
        if member.actor is not None:
            await member.actor.stop()
        member.actor, member.problem = actor, None
        self._credentials[scope.key.name] = found
        actor.start()
        for key in member.assignments:
            actor.lane.add(key)

    async def settle_tombstones(self, scope: RegionScope) -> None:
        """Have the jobs stopped that were left while the region did not answer."""
        member = scope.counted
        if not member.is_open or member.region.spec.paused:
            return
        left: dict[Key, list[Tombstone]] = {}
        for tombstone in list(member.tombstones.values()):
            key = Key(Kind.GLOBAL_DEPLOYMENT, tombstone.namespace, tombstone.name)
            owner_now = self._inventory.get(key)
            if owner_now is None:
                left.setdefault(key, []).append(tombstone)
            elif not owner_now["metadata"].get("deletionTimestamp"):
                del member.tombstones[tombstone.uid]  # A later object: what is here is its now.
        for key, tombstones in left.items():
            owner = Owner(self._install, key.namespace, key.name)
            removal = Assignment(owner, tombstones=tuple(tombstones))
            self._fleet.assign(scope.key.name, key, removal, priority=Priority.RESYNC)

    async def release_stops(self, scope: RegionScope) -> None:
        """Go on with the stops that were too many and are allowed now."""
        member = scope.counted
        if member.actor is not None and member.allows_stops(self._clock):
            for key in member.held_stops:
                member.actor.lane.add(key, priority=Priority.NEWS)

    async def await_jobs(self, scope: RegionScope) -> None:
        """Hold a teardown until no job runs in the region."""
        name = scope.key.name
        await self._teardown.await_jobs(
            scope, lambda: self._make_actor(name, self._credentials[name])
        )

    async def order_probes(self, scope: RegionScope) -> None:
        """Have the machines probed as the class says."""
        member = scope.counted
        class_ = self._inventory.get(Key(Kind.REGION_CLASS, "", member.region.spec.class_))
        order_probes(member, class_ or {}, install=self._install)

    async def _open(self, scope: RegionScope) -> float | None:
        """Check the region and go on with its opening; return the seconds until that is due."""
        if scope.member is None:
            return None
        status = self._writer.last(scope.key, scope.metadata.uid, scope.body)
        told = RegionStatus.model_validate(status)
        return await self._openings.look(scope.member, scope.error, told)

    async def report(self, scope: RegionScope) -> float | None:
        """Sum up and write the status, if it changed; return the seconds to wait otherwise."""
        body = self._writer.last(scope.key, scope.metadata.uid, scope.body)
        before = RegionStatus.model_validate(body)
        facts = facts_of(scope, self._inventory, self._clock)
        unwritten = (
            scope.member is not None and scope.member.tombstones.keys() - scope.member.buried
        )
        silent = facts.reachable is None and facts.reason is None and before.phase is not None
        if silent and not unwritten:
            return None  # A restarted operator knows nothing new yet: what was told stands.
        after = summarize_region(facts, before=before, now=timestamp(self._clock))
        if after == before:
            return None
        at_once = after.phase == "TearingDown" != before.phase  # Before anything is deleted.
        wait = await self._writer.write(scope.key, scope.metadata.uid, after, at_once=at_once)
        if wait is None:
            self._remember(scope, after)
            for told in news_of_region(before, after):
                event = HubEvent(
                    scope.key, scope.metadata.uid, told.type, told.reason, told.message
                )
                await self._hub.emit_event(event)
        return wait

    def _remember(self, scope: RegionScope, status: RegionStatus) -> None:
        """Take note of the tombstones that are written, and tell the deployments that wait."""
        if scope.member is None:
            return
        written = {t.uid for t in status.tombstones}
        for t in status.tombstones:
            if t.uid not in scope.member.buried:
                self._deployment_changed(Key(Kind.GLOBAL_DEPLOYMENT, t.namespace, t.name))
        scope.member.buried = written

    def _count_in(self, region: Region, body: Mapping[str, Any]) -> Member:
        """Put a region into the fleet; what it must remember is in its status."""
        is_new = self._fleet.member(region.metadata.name) is None
        member = self._fleet.put(region)
        if is_new:
            key = Key(Kind.REGION, "", region.metadata.name)
            status = self._writer.last(key, region.metadata.uid, body)
            told = RegionStatus.model_validate(status)
            member.control_plane = told.control_plane
            member.tombstones = {tombstone.uid: tombstone for tombstone in told.tombstones}
            member.buried = set(member.tombstones)
            self._openings.recall(member, told)
        return member

    def _build_mark(self, member: Member) -> object:
        """Describe what a control plane is built from: a change of it is looked at at once."""
        class_ = self._inventory.get(Key(Kind.REGION_CLASS, "", member.region.spec.class_))
        continent = self._inventory.get(Key(Kind.CONTINENT, "", member.region.spec.continent))
        specs = [body["spec"] if body is not None else None for body in (class_, continent)]
        notes = continent["metadata"].get("annotations") if continent is not None else None
        # A token that Nomad does not know any more is replaced where it was made.
        problem = member.actor.problem if member.actor is not None else None
        denied = problem is not None and problem.reason == Reason.NOMAD_REFUSED
        return (member.region.spec, member.region.metadata.annotations, notes, denied, *specs)

    def _drivers(self, member: Member) -> Sequence[Driver]:
        name = member.region.spec.class_
        body = self._inventory.get(Key(Kind.REGION_CLASS, "", name))
        if body is None:
            message = f'spec.class: there is no RegionClass "{name}"'
            raise NotYet(Reason.CLASS_NOT_FOUND, message, retry_after=30)
        try:
            return self._fleet.share(name, drivers_of(validate_region_class(body)))
        except ValidationFailure as failure:
            message = f'RegionClass "{name}": {failure}'
            raise InvalidSpec(Reason.INVALID_SPEC, message) from failure

    def _tell_fleet(self, scope: RegionScope) -> None:
        """Have the deployments looked at when the region changed in a way that concerns them."""
        member = scope.member
        if member is None:
            return
        member.problem = scope.error.message if scope.error else None
        mark = (
            member.region.metadata.labels,
            member.region.spec,
            member.drivers,
            member.actor,
            member.problem,
            member.admission,
        )
        if self._marks.get(scope.key.name) != mark:
            self._marks[scope.key.name] = mark
            self._fleet_changed()

    async def _leave(self, key: Key) -> None:
        self._writer.forget(key)
        self._credentials.pop(key.name, None)
        self._marks.pop(key.name, None)
        self._built.pop(key.name, None)
        self._fleet_changed()
        self._telemetry.forget_region(key.name)
        member = self._fleet.drop(key.name)
        if member is not None:
            await self._teardown.left(member)
        if member is not None and member.actor is not None:
            await member.actor.stop()
