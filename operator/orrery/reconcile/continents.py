"""Reconcile Continents, and have the control planes of their regions built: one lane per continent.

A lane's breaker holds all work for a cluster that does not answer, so a dead continent costs the
others nothing. Regions that are open stay so: the hub reaches their Nomad without the continent.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.api.continent import Continent, ContinentStatus
from orrery.api.region import ControlPlaneStatus
from orrery.api.validation import ValidationFailure, validate_continent
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
from orrery.planning.continent_status import ContinentFacts, summarize_continent
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
from orrery.reconcile.classrollout import ClassRollouts
from orrery.reconcile.controlplane import ControlPlaneBuilder, ControlPlaneScope, read_secret
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.loop import guarded
from orrery.reconcile.manifests import AppliedMemory
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.render.region import Blueprint
from orrery.telemetry import Telemetry

PROBE: Final = 60.0
"""Seconds between two probes of a cluster."""

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
        self._hosts: dict[str, Host] = {}
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

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            lane = self._make_lane(f"continent {name}", lambda key: self._work(name, key))
            host = self._hosts[name] = Host(lane)
            lane.start()
        return host

    async def _work(self, name: str, key: Key) -> Result:
        host = self._hosts[name]
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
            return Done()
        failure: OrreryError | None = None
        try:
            await self._connect(host, body)
        except (InvalidSpec, NotYet, Unreachable, Refused) as error:
            failure = _told(error)
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
        access = await self._access(continent)
        if access is None:
            await self._disconnect(host)
            return
        if host.cluster is None or access != host.access:
            await self._disconnect(host)
            host.cluster, host.access = self._clusters.connect(access), access
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

    async def _access(self, continent: Continent) -> ClusterAccess | None:
        """Find the way to the cluster; None for a continent without one."""
        cluster = continent.spec.cluster
        if cluster is None:
            return None
        reference = cluster.kubeconfig_secret_ref
        if reference is None:
            return ClusterAccess()
        secret = await read_secret(self._hub, self._namespace, reference.name)
        where = f'Secret "{reference.name}" in namespace "{self._namespace}"'
        if secret is None:
            message = f"spec.cluster.kubeconfigSecretRef.name: {where} does not exist"
            raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)
        text = secret.data.get(reference.key, b"")
        if not text:
            message = f'spec.cluster.kubeconfigSecretRef.key: {where} has no "{reference.key}"'
            raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)
        return ClusterAccess(text.decode(errors="replace"))

    async def _disconnect(self, host: Host) -> None:
        cluster, host.cluster, host.access = host.cluster, None, None
        host.version, host.last_seen = "", None
        if cluster is not None:
            await cluster.close()

    async def _report(self, host: Host, key: Key, body: Mapping[str, Any]) -> float | None:
        metadata = Metadata.model_validate(body["metadata"])
        before = ContinentStatus.model_validate(self._writer.last(key, metadata.uid, body))
        problem = host.problem
        facts = ContinentFacts(
            generation=metadata.generation,
            hosts=host.cluster is not None or problem is not None,
            reason=Reason(problem.reason) if problem else None,
            message=problem.message if problem else None,
            dark=isinstance(problem, Unreachable),
            stalled=isinstance(problem, InvalidSpec),
            version=host.version,
            last_seen=None if host.last_seen is None else timestamp(self._clock, host.last_seen),
            regions=self._regions_of(key.name),
        )
        after = summarize_continent(facts, before=before, now=timestamp(self._clock))
        if after == before:
            return None
        wait = await self._writer.write(key, metadata.uid, after)
        if wait is None and before.conditions and _ready(before) != _ready(after):
            condition = after.conditions[0]
            kind = "Normal" if condition.status == "True" else "Warning"
            await self._hub.emit_event(
                HubEvent(key, metadata.uid, kind, condition.reason, condition.message)
            )
        return wait

    def _regions_of(self, continent: str) -> int:
        bodies = map(self._inventory.get, self._inventory.keys(Kind.REGION))
        return sum(
            body is not None and body["spec"].get("continent") == continent for body in bodies
        )

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
        if member.region.spec.paused:
            member.build_problem = None
            return Done()
        if not host.probed:
            return Done()  # The probe has it looked at again.
        failure: OrreryError | None = None
        scope: ControlPlaneScope | None = None
        try:
            scope = await self._scope(host, member)
            await self._builder.build(scope)
        except (InvalidSpec, NotYet, Refused, Unreachable) as error:
            failure = _told(error)
        before = member.control_plane, _words(member.build_problem)
        member.control_plane = scope.told if scope else member.control_plane
        member.build_problem = failure
        live = scope.live if scope is not None and failure is None else None
        watched = self.classes.built(member, live)
        if (member.control_plane, _words(failure)) != before:
            self._region_changed(key.name)
        if isinstance(failure, Unreachable):
            raise failure
        if failure is None or isinstance(failure, InvalidSpec):
            host.waiting.pop(key.name, None)
            return Again(watched or RECHECK)
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

    async def _scope(self, host: Host, member: Member) -> ControlPlaneScope:
        name, spec = member.region.metadata.name, member.region.spec
        if host.problem is not None:
            message = f'Continent "{spec.continent}": {host.problem.message}'
            raise NotYet(Reason.CONTINENT_NOT_READY, message, retry_after=PROBE)
        if host.cluster is None:
            message = (
                f'spec.continent: Continent "{spec.continent}" has no spec.cluster, which a '
                "Managed region needs"
            )
            raise InvalidSpec(Reason.CONTINENT_NOT_READY, message)
        continent = validate_continent(self._object(Kind.CONTINENT, spec.continent))
        if continent.spec.paused:
            message = f'Continent "{spec.continent}" is paused'
            raise NotYet(Reason.PAUSED, message, retry_after=PROBE)
        namespace = f"{continent.spec.prefix}{name}"
        assignment = await self.classes.assign(member, host.cluster, namespace)
        blueprint = Blueprint(
            install=self._install,
            region=member.region,
            class_=assignment.class_,
            continent=continent,
            address="",
        )
        return ControlPlaneScope(
            blueprint=blueprint,
            cluster=host.cluster,
            applied=host.applied.setdefault(name, AppliedMemory()),
            told=member.control_plane or ControlPlaneStatus(namespace=blueprint.namespace),
            record=assignment.record,
        )

    def _object(self, kind: Kind, name: str) -> Mapping[str, Any]:
        body = self._inventory.get(Key(kind, "", name))
        if body is None:
            message = f'there is no {kind} "{name}"'
            raise NotYet(Reason.CONTINENT_NOT_FOUND, message, retry_after=30)
        return body


def _told(error: OrreryError) -> OrreryError:
    """Say what users are told of *error*, whatever client it came from."""
    match error:
        case Unreachable():
            return Unreachable(Reason.CONTINENT_UNREACHABLE, error.message)
        case Refused():
            return NotYet(Reason.CONTINENT_REFUSED, error.message, retry_after=PROBE)
        case InvalidSpec() if error.reason not in set(Reason):
            return InvalidSpec(Reason.CREDENTIALS_INVALID, f"spec.cluster: {error.message}")
        case _:
            return error


def _words(problem: OrreryError | None) -> tuple[str, str] | None:
    return None if problem is None else (problem.reason, problem.message)


def _ready(status: ContinentStatus) -> str:
    return status.conditions[0].status if status.conditions else ""
