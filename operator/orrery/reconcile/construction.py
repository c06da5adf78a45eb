"""What is done for one region in its continent's cluster: built, or torn down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from orrery.api.conditions import Reason
from orrery.api.continent import Continent
from orrery.api.region import ControlPlaneStatus
from orrery.api.validation import validate_continent
from orrery.engine.lane import Lane
from orrery.errors import InvalidSpec, NotYet, OrreryError
from orrery.names import region_labels
from orrery.ports import ClusterAccess, ContinentalCluster, Hub, Key, Kind
from orrery.reconcile.classrollout import ClassRollouts
from orrery.reconcile.continentaccess import PROBE
from orrery.reconcile.controlplane import ControlPlaneBuilder
from orrery.reconcile.controlplanescope import ControlPlaneScope
from orrery.reconcile.fleet import Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.manifests import AppliedMemory
from orrery.reconcile.remarks import repairs
from orrery.reconcile.teardown import is_unused, tear_down
from orrery.render.region import Blueprint

PATIENCE: Final = 0.1
"""What waits for long is looked at more seldom: after this share of the time that it waits."""


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

    def patience(self, region: str, failure: OrreryError, now: float) -> float:
        """Say after how many seconds a region that waits is looked at again."""
        told = str(words(failure))
        if self.waiting.get(region, ("", 0.0))[0] != told:
            self.waiting[region] = told, now
        waited = now - self.waiting[region][1]
        at_least = failure.retry_after if isinstance(failure, NotYet) else PROBE
        return max(at_least, min(PROBE, waited * PATIENCE))


class Construction:
    """Brings control planes as far as they go, one pass over one region at a time."""

    def __init__(
        self,
        *,
        hub: Hub,
        inventory: Inventory,
        builder: ControlPlaneBuilder,
        classes: ClassRollouts,
        region_changed: Callable[[str], None],
        install: str,
    ) -> None:
        self._hub = hub
        self._inventory = inventory
        self._builder = builder
        self._classes = classes
        self._region_changed = region_changed
        self._install = install

    async def advance(self, host: Host, member: Member) -> ControlPlaneScope | None:
        """Build the control plane, or tear it down; raises what keeps it from being done.

        Returns what was built; None when nothing was.
        """
        if member.teardown:
            await self._tear_down(host, member)
        elif not await self._never_used(host, member):
            scope = await self._scope(host, member)
            try:
                await self._builder.build(scope)
            finally:
                member.control_plane = scope.told
                if scope.handed_over:
                    self._region_changed(member.region.metadata.name)
                for event in repairs(member.region.metadata, scope.repaired):
                    await self._hub.emit_event(event)
            return scope
        return None

    async def _tear_down(self, host: Host, member: Member) -> None:
        """Delete the control plane; tell the region when nothing is left of it."""
        cluster, name = self._cluster(host, member), member.region.metadata.name
        continent = self._continent(member)
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
            continent = self._continent(member)
            member.is_unused = await is_unused(
                self._cluster(host, member),
                continent.namespace_of(metadata.name),
                metadata.creation_timestamp,
            )
            self._region_changed(metadata.name)
        return member.is_unused

    async def _scope(self, host: Host, member: Member) -> ControlPlaneScope:
        cluster = self._cluster(host, member)
        name = member.region.metadata.name
        continent = self._continent(member)
        namespace = continent.namespace_of(name)
        assignment = await self._classes.assign(member, cluster, namespace)
        blueprint = Blueprint(
            install=self._install,
            region=member.region,
            class_=assignment.class_,
            continent=continent,
            address="",
        )
        return ControlPlaneScope(
            blueprint=blueprint,
            cluster=cluster,
            applied=host.applied.setdefault(name, AppliedMemory()),
            told=member.control_plane or ControlPlaneStatus(namespace=blueprint.namespace),
            record=assignment.record,
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
        if self._continent(member).spec.paused:
            message = f'Continent "{spec.continent}" is paused'
            raise NotYet(Reason.PAUSED, message, retry_after=PROBE)
        return host.cluster

    def _continent(self, member: Member) -> Continent:
        name = member.region.spec.continent
        body = self._inventory.get(Key(Kind.CONTINENT, "", name))
        if body is None:
            message = f'there is no {Kind.CONTINENT} "{name}"'
            raise NotYet(Reason.CONTINENT_NOT_FOUND, message, retry_after=30)
        return validate_continent(body)


def words(problem: OrreryError | None) -> tuple[str, str] | None:
    """Return what people are told of *problem*: its reason and its message."""
    return None if problem is None else (problem.reason, problem.message)
