"""Build the control plane of one Managed region in its continent's cluster, layer by layer.

A pass looks at every layer and goes on to the next only when the one before works. It raises what
keeps it from going on; everything that is in place by then stays and is looked at again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from orrery import names
from orrery.api.conditions import Reason
from orrery.config import Config
from orrery.errors import InvalidSpec, NotYet, OrreryError
from orrery.moments import text_of
from orrery.planning.manifests import (
    deployment_ready,
    job_state,
    load_balancer_address,
    pods_serving,
    stateful_set_ready,
)
from orrery.planning.ownership import taken
from orrery.ports import (
    AutopilotHealth,
    Clock,
    Document,
    Hub,
    NomadFactory,
    ObjectRef,
    Pki,
)
from orrery.reconcile.controlplanescope import WAIT, ControlPlaneScope
from orrery.reconcile.handover import HandOver
from orrery.reconcile.manifests import enforce, prune_region
from orrery.reconcile.meshplane import MeshPlane, retired_components
from orrery.reconcile.regionsecrets import ensure_secrets
from orrery.reconcile.remarks import tell_refusals
from orrery.reconcile.serverupdate import ServerUpdate
from orrery.reconcile.snapshots import keep_snapshot_token, last_snapshot
from orrery.render.region import Blueprint, Component, Manifest
from orrery.render.region.layers import (
    BOOTSTRAP,
    FOUNDATION,
    FRONT_DOOR,
    LOAD_BALANCER,
    SERVERS,
    SNAPSHOTS,
    render_layer,
)


class ControlPlaneBuilder:
    """Builds control planes, one pass at a time per region."""

    def __init__(
        self, *, hub: Hub, nomad: NomadFactory, pki: Pki, clock: Clock, config: Config
    ) -> None:
        self._hub = hub
        self._nomad = nomad
        self._pki = pki
        self._clock = clock
        self._config = config
        self._tokens = HandOver(hub=hub, nomad=nomad, pki=pki, config=config)
        self._mesh = MeshPlane(hub=hub, pki=pki, clock=clock, namespace=config.namespace)

    async def build(self, scope: ControlPlaneScope) -> None:
        """Bring *scope* as far as it goes. Raises what it waits for, or what is wrong."""
        for phase in self._phases():
            await phase(scope)

    def _phases(self) -> Sequence[Callable[[ControlPlaneScope], Awaitable[None]]]:
        return (
            self.claim,
            self.recognize,
            self.remember_class,
            self.lay_foundation,
            self.await_address,
            self.keep_secrets,
            self.raise_servers,
            self.open_front_door,
            self.bootstrap,
            self._tokens.grant_token,
            self._tokens.hand_over,
            self._mesh.raise_mesh,
            self.take_snapshots,
            self.clear_away,
            self.tell_refusals,
            self.await_update,
            self._mesh.await_mesh,
        )

    async def claim(self, scope: ControlPlaneScope) -> None:
        """See that the namespace is this region's, or nobody's, before anything is written."""
        blueprint, metadata = scope.blueprint, scope.blueprint.continent.metadata
        namespace = await scope.cluster.read(ObjectRef("v1", "Namespace", "", blueprint.namespace))
        take = metadata.annotations.get(names.ANNOTATION_TAKE_OVER)
        if problem := taken(namespace, blueprint.labels(), metadata.name, take=take):
            raise InvalidSpec(Reason.NAMESPACE_TAKEN, problem)

    async def recognize(self, scope: ControlPlaneScope) -> None:
        """See first that the cluster holds the region which was built, and renew what is due.

        Another cluster behind the same Continent is not built in, and a refused change of something
        else keeps no certificate from being renewed.
        """
        annotations = scope.blueprint.region.metadata.annotations
        if scope.told.bootstrapped and names.ANNOTATION_FORGET_AUTHORITY not in annotations:
            scope.blueprint = replace(scope.blueprint, address=scope.told.address)
            await self.keep_secrets(scope)

    async def remember_class(self, scope: ControlPlaneScope) -> None:
        """Remember what the region is built from before anything is: a restart goes on with it."""
        if scope.record is not None:
            namespace = next(
                m
                for m in render_layer(scope.blueprint, FOUNDATION).manifests
                if m["kind"] == "Namespace"
            )
            await enforce(scope.cluster, [namespace, scope.record], previous=scope.applied)
            scope.rendered.append(scope.record)
            revision = scope.record["data"]["revision"]
            scope.told = scope.told.model_copy(update={"class_revision": revision})

    async def lay_foundation(self, scope: ControlPlaneScope) -> None:
        """Make the namespace, what guards it, and the load balancer."""
        await scope.enforce(FOUNDATION)
        await scope.enforce(LOAD_BALANCER)

    async def await_address(self, scope: ControlPlaneScope) -> None:
        """Hold until the load balancer has an address: the servers advertise it."""
        service = scope.live_of("v1", "Service", Component.FRONT_DOOR)
        address = load_balancer_address(service)
        if address.problem:
            raise InvalidSpec(Reason.ADDRESS_UNUSABLE, address.problem)
        if not address.ip:
            name = service["metadata"]["name"]
            message = f"the load balancer {name} has no address yet"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)
        if scope.blueprint.address != address.ip:
            scope.blueprint, scope.secrets = replace(scope.blueprint, address=address.ip), None
        if (
            not scope.told.bootstrapped
        ):  # Else it is told with the credentials that are bound to it.
            scope.told = scope.told.model_copy(update={"address": address.ip})

    async def keep_secrets(self, scope: ControlPlaneScope) -> None:
        """Have every certificate, key and token that the layers above name."""
        if scope.secrets is not None:
            return
        servers = await self._servers(scope)
        secrets = await ensure_secrets(
            scope.blueprint,
            scope.cluster,
            self._pki,
            self._clock,
            authority=scope.told.authority,
            settled=servers is None or _is_rolled_out(servers),
            mounted=None if servers is None else _mounted(servers),
            in_use=servers is not None or scope.told.bootstrapped,
        )
        scope.secrets = secrets
        scope.blueprint = replace(
            scope.blueprint,
            certificates=secrets.nomad_tls_digest,
            mesh_certificates=secrets.mesh_tls_digest,
            certificates_expire=text_of(secrets.nomad_tls_expires),
        )
        scope.told = scope.told.model_copy(
            update={"authority": secrets.authority, "expires": text_of(secrets.expires)}
        )

    async def raise_servers(self, scope: ControlPlaneScope) -> None:
        """Hold until a majority of the Nomad servers is ready.

        Raises `InvalidSpec` for fewer servers than there are: those that go would stay voters.
        """
        servers, wanted = await self._servers(scope), scope.blueprint.class_.spec.nomad.servers
        if servers is not None and servers["spec"]["replicas"] > wanted:
            message = (
                f"spec.nomad.servers of the class is {wanted}, the region has "
                f"{servers['spec']['replicas']}: fewer would lose the quorum, and are not made"
            )
            raise InvalidSpec(Reason.INVALID_SPEC, message)
        # Before it was complete once nothing runs in the region that needs the quorum.
        if servers is not None and scope.was_complete:
            update = ServerUpdate(
                scope.blueprint,
                scope.cluster,
                scope.applied,
                self._clock,
                lambda: self._autopilot(scope),
            )
            scope.pace = await update.pace(_stateful_set(scope.blueprint), servers)
        await scope.enforce(SERVERS)
        body = scope.live_of("apps/v1", "StatefulSet", Component.NOMAD)
        state = stateful_set_ready(body)
        needed = state.wanted // 2 + 1
        if state.ready < needed:
            before = ((servers or {}).get("status") or {}).get("readyReplicas") or 0
            if scope.pace.sentence and before >= needed:
                # A step of the update is a newer spec, which the controller sees in a moment.
                raise NotYet(Reason.UPDATING_SERVERS, scope.pace.sentence, retry_after=WAIT)
            if pods_serving(body).ready >= needed:
                raise _rolling("Nomad's servers")
            message = f"{state.ready} of {state.wanted} Nomad servers are ready, {needed} needed"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)

    async def open_front_door(self, scope: ControlPlaneScope) -> None:
        """Hold until the front door lets somebody in."""
        await scope.enforce(FRONT_DOOR)
        body = scope.live_of("apps/v1", "Deployment", Component.FRONT_DOOR)
        state = deployment_ready(body)
        if not state.ready and pods_serving(body).ready:
            raise _rolling("the front door")
        if not state.ready:
            message = f"none of {state.wanted} front doors is ready"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)

    async def bootstrap(self, scope: ControlPlaneScope) -> None:
        """Hold until Nomad's ACL system knows the management token that was chosen for it.

        Done once: the Job is gone when its time to live is over, and is not made again.
        """
        if scope.told.bootstrapped:
            return
        if await self._token_works(scope):  # From before, when only the hub has forgotten it.
            scope.told = scope.told.model_copy(update={"bootstrapped": True})
            return
        await scope.enforce(BOOTSTRAP)
        (job,) = [body for ref, body in scope.live.items() if ref.kind == "Job"]
        state = job_state(job)
        if state == "Running":
            message = "Nomad's ACL system is being set up"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)
        # A Job that failed may have done its work before: Nomad does it once and then says no.
        if state == "Failed" and not await self._token_works(scope):
            name, namespace = job["metadata"]["name"], scope.blueprint.namespace
            message = (
                f"Nomad's ACL system could not be set up: see the logs of Job {name} in "
                f"namespace {namespace}; when it is deleted, it is made anew"
            )
            raise NotYet(Reason.BOOTSTRAP_FAILED, message, retry_after=30)
        scope.told = scope.told.model_copy(update={"bootstrapped": True})

    async def clear_away(self, scope: ControlPlaneScope) -> None:
        """Delete what an earlier class or release rendered and this one does not."""
        wanted = {ObjectRef.of(manifest) for manifest in scope.rendered}
        pruning = await prune_region(
            scope.cluster,
            scope.blueprint.namespace,
            names.region_labels(self._config.install, scope.blueprint.name),
            wanted,
            retired=retired_components(scope.blueprint),
        )
        scope.held = pruning.held

    async def tell_refusals(self, scope: ControlPlaneScope) -> None:
        """Say in the end what could not be applied: nothing else had to wait for it."""
        if scope.refusals:
            raise tell_refusals(scope.refusals, scope.blueprint)

    async def take_snapshots(self, scope: ControlPlaneScope) -> None:
        """Have snapshots taken on schedule, where the class wants them."""
        if scope.blueprint.class_.spec.nomad.snapshots is None:
            nothing = {"last_snapshot": None, "snapshots_since": None}
            scope.told = scope.told.model_copy(update=nothing)
            return
        admin = self._nomad.administer(await self._tokens.management(scope))
        try:
            await keep_snapshot_token(scope.blueprint, scope.cluster, self._pki, admin)
        except NotYet as problem:  # Told in the end: what comes next does not wait for it.
            scope.snapshot_problem = problem
        finally:
            await admin.close()
        await scope.enforce(SNAPSHOTS)
        cron_job = scope.live_of("batch/v1", "CronJob", Component.SNAPSHOT)
        taken = {
            "last_snapshot": last_snapshot(cron_job),
            "snapshots_since": cron_job["metadata"].get("creationTimestamp"),
        }
        scope.told = scope.told.model_copy(update=taken)

    async def await_update(self, scope: ControlPlaneScope) -> None:
        """Hold until all servers are of the newest template; the layers above do not wait for it.

        A server may have to wait for autopilot, which is asked through the front door.
        """
        if scope.pace.sentence:
            raise NotYet(Reason.UPDATING_SERVERS, scope.pace.sentence, retry_after=WAIT)
        if scope.secrets is not None and scope.secrets.lost is not None:
            raise scope.secrets.lost
        if scope.token_problem is not None:
            raise scope.token_problem
        if scope.snapshot_problem is not None:
            raise scope.snapshot_problem

    async def _servers(self, scope: ControlPlaneScope) -> Document | None:
        blueprint = scope.blueprint
        name = blueprint.object_name(Component.NOMAD)
        return await scope.cluster.read(
            ObjectRef("apps/v1", "StatefulSet", blueprint.namespace, name)
        )

    async def _token_works(self, scope: ControlPlaneScope) -> bool:
        nomad = self._nomad.connect(await self._tokens.management(scope))
        try:
            await nomad.agent()
        except OrreryError:
            return False
        finally:
            await nomad.close()
        return True

    async def _autopilot(self, scope: ControlPlaneScope) -> AutopilotHealth:
        nomad = self._nomad.connect(await self._tokens.run_time(scope))
        try:
            return await nomad.autopilot()
        finally:
            await nomad.close()


def _rolling(what: str) -> NotYet:
    """Wait for pods of the newest spec while those of the one before serve."""
    return NotYet(Reason.PROGRESSING, f"{what} take over a new configuration", retry_after=WAIT)


def _stateful_set(blueprint: Blueprint) -> Manifest:
    manifests = render_layer(blueprint, SERVERS).manifests
    return next(manifest for manifest in manifests if manifest["kind"] == "StatefulSet")


def _is_rolled_out(stateful_set: Document) -> bool:
    ready, wanted = stateful_set_ready(stateful_set)
    updated = (stateful_set.get("status") or {}).get("updatedReplicas") or 0
    return ready == updated == wanted


def _mounted(stateful_set: Document) -> str:
    """Return the digest of the certificates that the servers were last told to start with."""
    annotations = stateful_set["spec"]["template"]["metadata"].get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_CERTIFICATES, ""))
