"""Reconcile Continents, and have the control planes of their regions built: one lane per continent.

A lane's breaker holds all work for a cluster that does not answer, so a dead continent costs the
others nothing. Regions that are open stay so: the hub reaches their Nomad without the continent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.api.continent import ContinentStatus
from orrery.api.region import ControlPlaneStatus
from orrery.api.regionclass import RegionClass
from orrery.api.validation import ValidationFailure, validate_continent, validate_region_class
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
from orrery.names import region_labels
from orrery.planning.continent_status import ContinentFacts, news_of, summarize_continent
from orrery.planning.rights import RIGHTS
from orrery.ports import (
    Clock,
    ClusterAccess,
    ClusterFactory,
    ContinentalCluster,
    Hub,
    HubEvent,
    Key,
    Kind,
)
from orrery.reconcile.continentaccess import PROBE, access_to, told
from orrery.reconcile.continentholds import ContinentHolds
from orrery.reconcile.controlplane import ControlPlaneBuilder, ControlPlaneScope
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.loop import guarded
from orrery.reconcile.manifests import AppliedMemory
from orrery.reconcile.metered import metered_cluster
from orrery.reconcile.remarks import impairment, repairs
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.reconcile.teardown import is_unused, tear_down
from orrery.render.region import Blueprint
from orrery.telemetry import Telemetry

PATIENCE: Final = 0.1
"""What waits for long is looked at more seldom: after this share of the time that it waits."""

RECHECK: Final = 300.0
"""Seconds after which a control plane that is as it should be is looked at again."""


@dataclass(slots=True)
class Host:
    """A continent's cluster, and what is known of it."""

    lane: Lane[Key]
    access: ClusterAccess | None = None
    cluster: ContinentalCluster | None = None
    version: str = ""
    last_seen: float | None = None
    problem: OrreryError | None = None
    """Why nothing can be built there now; None while it can."""
    probed: bool = False
    applied: dict[str, AppliedMemory] = field(default_factory=dict)
    """By region."""
    waiting: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By region, what it waits for and since when, in monotonic seconds."""


class Continents:
    """The continents by name, each with its lane."""

    def __init__(
        self,
        *,
        hub: Hub,
        fleet: Fleet,
        inventory: Inventory,
        writer: StatusWriter,
        clusters: ClusterFactory,
        builder: ControlPlaneBuilder,
        make_lane: Callable[[str, Callable[[Key], Awaitable[Result]]], Lane[Key]],
        region_changed: Callable[[str], None],
        clock: Clock,
        telemetry: Telemetry,
        install: str,
        namespace: str,
    ) -> None:
        self._hub = hub
        self._fleet = fleet
        self._inventory = inventory
        self._writer = writer
        self._clusters = clusters
        self._builder = builder
        self._make_lane = make_lane
        self._region_changed = region_changed
        self._clock = clock
        self._telemetry = telemetry
        self._install = install
        self._namespace = namespace
        self._holds = ContinentHolds(hub=hub, inventory=inventory)
        self._hosts: dict[str, Host] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def consider(self, key: Key, priority: Priority) -> None:
        """Look at a Continent again."""
        self._host(key.name).lane.add(key, priority=priority)

    def consider_region(self, member: Member, priority: Priority) -> None:
        """Look at the control plane of a Managed region again."""
        name = member.region.metadata.name
        host = self._host(member.region.spec.continent)
        host.lane.add(Key(Kind.REGION, "", name), priority=priority)

    async def stop(self) -> None:
        """Let what is under way end, and close the connections."""
        for host in self._hosts.values():
            await host.lane.stop()
            if host.cluster is not None:
                await host.cluster.close()
        self._hosts.clear()
        await asyncio.gather(*self._ending)

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            lane = self._make_lane(f"continent {name}", lambda key: self._work(name, key))
            host = self._hosts[name] = Host(lane)
            lane.start()
        return host

    def _drop(self, name: str) -> None:
        """End the lane of a continent that is gone; its work under way is what asks for that."""
        ending = asyncio.create_task(self._hosts.pop(name).lane.stop(), name=f"end of {name}")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _work(self, name: str, key: Key) -> Result:
        host = self._hosts.get(name)
        if host is None:
            return Done()
        work = self._probe if key.kind is Kind.CONTINENT else self._build
        return await guarded(
            lambda: work(host, key),
            kind=key.kind,
            name=str(key),
            clock=self._clock,
            telemetry=self._telemetry,
            on_bug=lambda: self._report_bug(host, key),
        )

    async def _probe(self, host: Host, key: Key) -> Result:
        """Look whether the cluster can be used, and tell on the Continent and its regions."""
        body = self._inventory.get(key)
        before = host.probed, _words(host.problem)
        if body is None:
            self._writer.forget(key)
            await self._disconnect(host)
            host.problem = NotYet(
                Reason.CONTINENT_NOT_FOUND, f'there is no Continent "{key.name}"', retry_after=30
            )
            self._tell_regions(key.name)
            if not self._holds.regions(key.name):
                self._drop(key.name)
            return Done()
        if await self._holds.settle(key.name):
            return Done()
        failure: OrreryError | None = None
        try:
            await self._connect(host, body)
        except (InvalidSpec, NotYet, Unreachable, Refused) as error:
            failure = told(error)
        host.problem, host.probed = failure, True
        if (True, _words(host.problem)) != before:
            self._tell_regions(key.name)
        wait = await self._report(host, key, body)
        if isinstance(failure, Unreachable):
            raise failure
        if wait is not None:
            return Again(wait)
        return Again(failure.retry_after if isinstance(failure, NotYet) else PROBE)

    async def _connect(self, host: Host, body: Mapping[str, Any]) -> None:
        try:
            continent = validate_continent(body)
        except ValidationFailure as failure:
            raise InvalidSpec(Reason.INVALID_SPEC, str(failure)) from failure
        access = await access_to(continent, self._hub, self._namespace)
        if access is None:
            await self._disconnect(host)
            return
        if host.cluster is None or access != host.access:
            await self._disconnect(host)
            cluster, name = self._clusters.connect(access), continent.metadata.name
            host.cluster = metered_cluster(cluster, name, telemetry=self._telemetry)
            host.access = access
        host.version = await host.cluster.version()
        host.last_seen = self._clock.now()
        missing = await host.cluster.missing_rights(RIGHTS)
        if missing:
            words = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")  # noqa: PLR2004 - as many as a sentence bears
            raise NotYet(
                Reason.RIGHTS_MISSING,
                f"the cluster does not let Orrery {words}: `orrery continent rbac` prints what is "
                "needed",
                retry_after=30,
            )

    async def _disconnect(self, host: Host) -> None:
        cluster, host.cluster, host.access = host.cluster, None, None
        host.version, host.last_seen = "", None
        if cluster is not None:
            await cluster.close()

    async def _report(self, host: Host, key: Key, body: Mapping[str, Any]) -> float | None:
        metadata = Metadata.model_validate(body["metadata"])
        before = ContinentStatus.model_validate(self._writer.last(key, metadata.uid, body))
        problem, named = host.problem, self._holds.regions(key.name)
        facts = ContinentFacts(
            generation=metadata.generation,
            hosts=host.cluster is not None or problem is not None,
            reason=Reason(problem.reason) if problem else None,
            message=problem.message if problem else None,
            dark=isinstance(problem, Unreachable),
            stalled=isinstance(problem, InvalidSpec),
            version=host.version,
            last_seen=None if host.last_seen is None else timestamp(self._clock, host.last_seen),
            regions=len(named),
            named_by=named if metadata.deletion_timestamp else (),
        )
        after = summarize_continent(facts, before=before, now=timestamp(self._clock))
        if after == before:
            return None
        wait = await self._writer.write(key, metadata.uid, after)
        if wait is None:
            for kind, condition in news_of(before, after):
                await self._hub.emit_event(
                    HubEvent(key, metadata.uid, kind, condition.reason, condition.message)
                )
        return wait

    def _tell_regions(self, continent: str) -> None:
        for name, member in self._fleet.members():
            if member.region.spec.is_managed and member.region.spec.continent == continent:
                self._hosts[continent].lane.add(Key(Kind.REGION, "", name), priority=Priority.NEWS)

    async def _build(self, host: Host, key: Key) -> Result:
        """Bring one control plane as far as it goes, and note what it waits for."""
        member = self._fleet.member(key.name)
        if member is None or not self._is_here(member, host):
            host.applied.pop(key.name, None)
            return Done()
        if member.region.spec.paused or member.teardown == "done":
            member.build_problem = None
            return Done()
        if not host.probed:
            return Done()  # The probe has it looked at again.
        failure: OrreryError | None = None
        before = member.control_plane, _words(member.build_problem)
        remark: OrreryError | None = None
        try:
            remark = await self._advance(host, member)
        except (InvalidSpec, NotYet, Refused, Unreachable) as error:
            failure = told(error)
        member.build_problem = impairment(failure or remark, member)
        if (member.control_plane, _words(member.build_problem)) != before:
            self._region_changed(key.name)
        if isinstance(failure, Unreachable):
            raise failure
        if failure is None or isinstance(failure, InvalidSpec):
            host.waiting.pop(key.name, None)
            return Again(RECHECK)
        words, now = str(_words(failure)), self._clock.monotonic()
        if host.waiting.get(key.name, ("", 0.0))[0] != words:
            host.waiting[key.name] = words, now
        waited = now - host.waiting[key.name][1]
        at_least = failure.retry_after if isinstance(failure, NotYet) else PROBE
        return Again(max(at_least, min(PROBE, waited * PATIENCE)))

    def _is_here(self, member: Member, host: Host) -> bool:
        """Tell whether a region is Managed and of this continent: one of its name may have been."""
        spec = member.region.spec
        return spec.is_managed and self._hosts.get(spec.continent) is host

    async def _report_bug(self, host: Host, key: Key) -> None:
        """Show that a pass failed for a reason that is ours."""
        problem = NotYet(Reason.INTERNAL_ERROR, BUG, retry_after=PROBE)
        if key.kind is Kind.CONTINENT:
            host.problem, host.probed = problem, True
            self._tell_regions(key.name)
            if (body := self._inventory.get(key)) is not None:
                await self._report(host, key, body)
        elif (member := self._fleet.member(key.name)) is not None:
            member.build_problem = problem
            self._region_changed(key.name)

    async def _advance(self, host: Host, member: Member) -> OrreryError | None:
        """Build the control plane, or tear it down; raises what keeps it from being done.

        Returns what is amiss all the same.
        """
        if member.teardown:
            await self._tear_down(host, member)
        elif not await self._never_used(host, member):
            scope = self._scope(host, member)
            try:
                await self._builder.build(scope)
            finally:
                member.control_plane = scope.told
                for event in repairs(member.region.metadata, scope.repaired):
                    await self._hub.emit_event(event)
            return scope.remark
        return None

    async def _tear_down(self, host: Host, member: Member) -> None:
        """Delete the control plane; tell the region when nothing is left of it."""
        cluster, name = self._cluster(host, member), member.region.metadata.name
        continent = validate_continent(self._object(Kind.CONTINENT, member.region.spec.continent))
        labels = region_labels(self._install, name)
        await tear_down(cluster, continent.namespace_of(name), labels, continent.metadata.name)
        member.teardown = "done"
        self._region_changed(name)

    async def _never_used(self, host: Host, member: Member) -> bool:
        """Tell whether a region is to be torn down that never was complete, and so runs no job."""
        region, metadata = member.region, member.region.metadata
        leaves = metadata.deletion_timestamp and region.spec.deletion_policy == "Teardown"
        if not leaves or member.was_usable:
            return False
        if not member.is_unused:
            continent = validate_continent(self._object(Kind.CONTINENT, region.spec.continent))
            member.is_unused = await is_unused(
                self._cluster(host, member),
                continent.namespace_of(metadata.name),
                metadata.creation_timestamp,
            )
            self._region_changed(metadata.name)
        return member.is_unused

    def _scope(self, host: Host, member: Member) -> ControlPlaneScope:
        cluster = self._cluster(host, member)
        name, spec = member.region.metadata.name, member.region.spec
        continent = validate_continent(self._object(Kind.CONTINENT, spec.continent))
        class_ = self._class(spec.class_)
        blueprint = Blueprint(
            install=self._install,
            region=member.region,
            class_=class_,
            continent=continent,
            address="",
        )
        return ControlPlaneScope(
            blueprint=blueprint,
            cluster=cluster,
            applied=host.applied.setdefault(name, AppliedMemory()),
            told=member.control_plane or ControlPlaneStatus(namespace=blueprint.namespace),
        )

    def _cluster(self, host: Host, member: Member) -> ContinentalCluster:
        """Return the cluster of a region's continent, which may be written to."""
        spec = member.region.spec
        if host.problem is not None:
            message = f'Continent "{spec.continent}": {host.problem.message}'
            raise NotYet(Reason.CONTINENT_NOT_READY, message, retry_after=PROBE)
        if host.cluster is None:
            message = (
                f'spec.continent: Continent "{spec.continent}" has no spec.cluster, which a '
                "Managed region needs"
            )
            raise InvalidSpec(Reason.CONTINENT_NOT_READY, message)
        if validate_continent(self._object(Kind.CONTINENT, spec.continent)).spec.paused:
            message = f'Continent "{spec.continent}" is paused'
            raise NotYet(Reason.PAUSED, message, retry_after=PROBE)
        return host.cluster

    def _class(self, name: str) -> RegionClass:
        try:
            class_ = validate_region_class(self._object(Kind.REGION_CLASS, name))
        except ValidationFailure as failure:
            message = f'RegionClass "{name}": {failure}'
            raise InvalidSpec(Reason.INVALID_SPEC, message) from failure
        if class_.spec.nomad.image is None:
            message = f'RegionClass "{name}": spec.nomad.image is required by Managed regions'
            raise InvalidSpec(Reason.CLASS_INCOMPLETE, message)
        return class_

    def _object(self, kind: Kind, name: str) -> Mapping[str, Any]:
        body = self._inventory.get(Key(kind, "", name))
        if body is None:
            reason = Reason.CLASS_NOT_FOUND if kind is Kind.REGION_CLASS else None
            message = f'there is no {kind} "{name}"'
            raise NotYet(reason or Reason.CONTINENT_NOT_FOUND, message, retry_after=30)
        return body


def _words(problem: OrreryError | None) -> tuple[str, str] | None:
    return None if problem is None else (problem.reason, problem.message)
