"""Reconcile Continents, and have the control planes of their regions built: one lane per continent.

A lane's breaker holds all work for a cluster that does not answer, so a dead continent costs the
others nothing. Regions that are open stay so: the hub reaches their Nomad without the continent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.api.continent import ContinentStatus
from orrery.api.validation import ValidationFailure, validate_continent
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
from orrery.planning.continent_status import ContinentFacts, news_of, summarize_continent
from orrery.planning.rights import RIGHTS
from orrery.ports import (
    Clock,
    ClusterFactory,
    Hub,
    HubEvent,
    Key,
    Kind,
)
from orrery.reconcile.classrollout import ClassRollouts
from orrery.reconcile.construction import Construction, Host, words
from orrery.reconcile.continentaccess import PROBE, access_to, told
from orrery.reconcile.continentholds import ContinentHolds
from orrery.reconcile.controlplane import ControlPlaneBuilder
from orrery.reconcile.controlplanescope import ControlPlaneScope
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.loop import guarded
from orrery.reconcile.metered import metered_cluster
from orrery.reconcile.remarks import impairment
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.telemetry import Telemetry

RECHECK: Final = 300.0
"""Seconds after which a control plane that is as it should be is looked at again."""


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
        self._make_lane = make_lane
        self._region_changed = region_changed
        self._clock = clock
        self._telemetry = telemetry
        self._namespace = namespace
        self._holds = ContinentHolds(hub=hub, inventory=inventory)
        self._hosts: dict[str, Host] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.classes = ClassRollouts(
            hub=hub,
            fleet=fleet,
            inventory=inventory,
            writer=writer,
            clock=clock,
            telemetry=telemetry,
            install=install,
            make_lane=make_lane,
            consider_region=self.consider_region,
        )
        self._construction = Construction(
            hub=hub,
            inventory=inventory,
            builder=builder,
            classes=self.classes,
            region_changed=region_changed,
            install=install,
        )

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
        await self.classes.stop()
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
        before = host.probed, words(host.problem)
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
        if (True, words(host.problem)) != before:
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
            if member is None:
                self.classes.forget(key.name)
            return Done()
        if member.region.spec.paused or member.teardown == "done":
            member.build_problem = None
            return Done()
        if not host.probed:
            return Done()  # The probe has it looked at again.
        failure: OrreryError | None = None
        scope: ControlPlaneScope | None = None
        before = member.control_plane, words(member.build_problem)
        try:
            scope = await self._construction.advance(host, member)
        except (InvalidSpec, NotYet, Refused, Unreachable) as error:
            failure = told(error)
        remark = scope.remark if scope else None
        member.build_problem = impairment(failure or remark, member)
        watched = self.classes.built(member, scope.live if scope else None)
        if (member.control_plane, words(member.build_problem)) != before:
            self._region_changed(key.name)
        if isinstance(failure, Unreachable):
            raise failure
        if failure is None or isinstance(failure, InvalidSpec):
            host.waiting.pop(key.name, None)
            return Again(watched or RECHECK)
        return Again(host.patience(key.name, failure, self._clock.monotonic()))

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
