"""Tear down the control plane of a Region that is deleted, when its deletionPolicy asks for it.

The hub's part is `Teardown`: a finalizer holds the Region until no job runs there. From then on the
status says ``TearingDown``, and no pass, of whatever process, uses the region any more. The
continent's part is `tear_down`, which its lane runs.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from orrery import names
from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.errors import NotYet, Refused, Unreachable
from orrery.planning.rights import TEARDOWN_RIGHTS
from orrery.planning.teardown import Leaving, is_younger, next_step, running, tell_jobs
from orrery.ports import ContinentalCluster, Hub, Key, Kind, ObjectRef, RegionNomad
from orrery.reconcile.actor import RegionActor
from orrery.reconcile.continentholds import ContinentHolds
from orrery.reconcile.fleet import Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.manifests import list_region

log = logging.getLogger(__name__)

WAIT: Final = 3.0
"""Seconds after which what is being deleted is looked at again."""

SOON: Final = 1.0

RETRY: Final = 30.0
"""Seconds after which it is looked again whether jobs run, or somebody's objects stand."""

STEPS_MAX: Final = 5
"""More than any pass takes."""


async def tear_down(
    cluster: ContinentalCluster, namespace: str, labels: Mapping[str, str], owner: str
) -> None:
    """Delete the control plane of the region with *labels*; return when nothing of it is left.

    What was made is deleted by its uid, the namespace last, and with it volumes and keys. Raises
    `NotYet` while something is still there.
    """
    ref = ObjectRef("v1", "Namespace", "", namespace)
    for _ in range(STEPS_MAX):
        home = await cluster.read(ref)
        if home is not None:
            await _require_rights(cluster)
        content = await list_region(cluster, namespace, {}) if home is not None else ()
        step = next_step(home, content, labels, owner)
        if step.blocked:
            raise NotYet(Reason.TEARING_DOWN, step.blocked, retry_after=RETRY)
        if step.waiting:
            raise NotYet(Reason.TEARING_DOWN, step.waiting, retry_after=WAIT)
        if not step.going:
            return
        for going, uid in step.going.items():
            await cluster.delete(going, uid)
    message = f"{ref}: its content is being deleted"
    raise NotYet(Reason.TEARING_DOWN, message, retry_after=WAIT)


async def _require_rights(cluster: ContinentalCluster) -> None:
    missing = await cluster.missing_rights(TEARDOWN_RIGHTS)
    if missing:
        message = (
            f"the cluster does not let Orrery {', '.join(map(str, missing))}: apply there what"
            " `orrery continent rbac --teardown` prints, or delete the namespace by hand"
        )
        raise NotYet(Reason.RIGHTS_MISSING, message, retry_after=RETRY)


async def is_unused(cluster: ContinentalCluster, namespace: str, region_created: str) -> bool:
    """Tell whether what is there of a region that never was complete can have run no job."""
    home = await cluster.read(ObjectRef("v1", "Namespace", "", namespace))
    return is_younger(home, region_created)


class PartingScope(Protocol):
    """What a pass over a Region knows, as far as its end is concerned."""

    key: Key
    metadata: Metadata
    member: Member | None
    told_phase: str | None
    leaving: Leaving | None
    released: bool


class Teardown:
    """Phases of a pass over a Region: its finalizer, and what comes before that is removed."""

    def __init__(
        self,
        *,
        hub: Hub,
        inventory: Inventory,
        install: str,
        namespace: str,
        consider_control_plane: Callable[[Member], None],
    ) -> None:
        self._hub = hub
        self._install = install
        self._namespace = namespace
        self._consider_control_plane = consider_control_plane
        self._holds = ContinentHolds(hub=hub, inventory=inventory)

    async def left(self, member: Member) -> None:
        """Let the continent of a region that is gone go, too, if it waits for that."""
        await self._holds.settle(member.region.spec.continent)

    async def part(self, scope: PartingScope) -> None:
        """Keep the finalizer as the policy wants it, and go on with a teardown that has begun.

        Raises `NotYet` while that is under way, or when it is about to begin.
        """
        member, metadata = scope.member, scope.metadata
        assert member is not None, "accept comes first"
        await self._holds.settle(member.region.spec.continent)
        wanted = member.region.spec.deletion_policy == "Teardown"
        held = names.FINALIZER_REGION in metadata.finalizers
        if metadata.deletion_timestamp is None:
            if wanted and not held:
                await self._hub.add_finalizer(scope.key, metadata.uid, names.FINALIZER_REGION)
            elif held and not wanted:
                await self._release(scope)
        elif not held:
            scope.released = True  # Somebody else's finalizer holds it: nothing of it is ours.
        elif scope.told_phase == "TearingDown":
            await self._go_on(scope, member)
        elif not wanted or await self._hub.is_leaving(Kind.REGION):
            # A definition that goes takes every Region along: nobody meant all control planes.
            await self._release(scope)
            scope.released = True
        elif not member.was_usable and not member.region.spec.paused:
            if member.is_unused:
                raise _begun(scope)
            self._consider_control_plane(member)

    async def await_jobs(self, scope: PartingScope, make_actor: Callable[[], RegionActor]) -> None:
        """Hold a teardown until no job runs in the region; from then on nothing is placed there.

        Raises `NotYet` when it is to begin.
        """
        member = scope.member
        assert member is not None, "accept comes first"
        if scope.metadata.deletion_timestamp is None or scope.released:
            return
        if member.region.spec.paused:
            message = "spec.paused is true: nothing is torn down before it is false again"
            scope.leaving = Leaving("Terminating", Reason.PAUSED, message)
            return
        actor = member.actor
        if actor is None or not member.is_open:
            scope.leaving = _UNKNOWN
            return
        scope.leaving = await self._count(actor.nomad)
        if scope.leaving is not None:
            return
        # What is under way ends, nothing else begins: only then nobody adds a job any more.
        member.actor, member.problem = None, ABOUT_TO
        await actor.stop()
        nomad = make_actor().nomad
        try:
            scope.leaving = await self._count(nomad)
        finally:
            await nomad.close()
        if scope.leaving is None:
            raise _begun(scope)

    async def _go_on(self, scope: PartingScope, member: Member) -> None:
        scope.leaving = _begun_leaving()
        if member.region.spec.paused:
            message = "spec.paused is true: the teardown goes on once it is false again"
            raise NotYet(Reason.PAUSED, message, retry_after=RETRY)
        if member.teardown == "done":
            await self._hub.delete_secret(self._namespace, member.region.credentials_secret)
            await self._release(scope)
            scope.released = True
            return
        if not member.teardown:
            member.teardown, member.build_problem = "asked", None
            self._consider_control_plane(member)
        problem = member.build_problem
        if problem is None:
            raise NotYet(Reason.TEARING_DOWN, ABOUT_TO, retry_after=RETRY)
        message = f"tearing down: {problem.message}"
        raise NotYet(problem.reason, message, retry_after=RETRY)

    async def _count(self, nomad: RegionNomad) -> Leaving | None:
        """Look for jobs that run in the region, whosever they are; None when there is none."""
        try:
            jobs = running((await nomad.list_jobs()).jobs, install=self._install)
        except (Unreachable, Refused) as error:
            log.debug(error.message, extra={"reason": error.reason})
            return _UNKNOWN
        if not jobs:
            return None
        message = tell_jobs(jobs, install=self._install)
        return Leaving("Terminating", Reason.JOBS_REMAIN, message)

    async def _release(self, scope: PartingScope) -> None:
        await self._hub.remove_finalizer(scope.key, scope.metadata.uid, names.FINALIZER_REGION)


def _begun_leaving() -> Leaving:
    return Leaving("TearingDown", Reason.TEARING_DOWN, ABOUT_TO)


def _begun(scope: PartingScope) -> NotYet:
    """Have the status say that there is no way back, before anything is deleted."""
    scope.leaving = _begun_leaving()
    return NotYet(Reason.TEARING_DOWN, ABOUT_TO, retry_after=SOON)


ABOUT_TO: Final = "no job runs in the region: its control plane is being torn down"

_UNKNOWN: Final = Leaving(
    "Terminating",
    Reason.JOBS_REMAIN,
    "spec.deletionPolicy is Teardown, and whether jobs run in the region is not known while it"
    " cannot be used: nothing is torn down",
)
