"""Build the control plane of one Managed region in its continent's cluster, layer by layer.

A pass looks at every layer and goes on to the next only when the one before works. It raises what
keeps it from going on; everything that is in place by then stays and is looked at again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.region import NOMAD_HTTP_PORT
from orrery.config import Config
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
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
    Secret,
)
from orrery.ports.values import decoded
from orrery.reconcile.controlplanescope import WAIT, ControlPlaneScope
from orrery.reconcile.credentials import decode
from orrery.reconcile.manifests import enforce, prune_region
from orrery.reconcile.meshplane import MeshPlane, retired_components
from orrery.reconcile.regionsecrets import ensure_secrets
from orrery.reconcile.remarks import tell_refusals
from orrery.reconcile.serverupdate import ServerUpdate
from orrery.reconcile.snapshots import keep_snapshot_token, last_snapshot
from orrery.render.region import Blueprint, Component, Manifest
from orrery.render.region.blueprint import SecretName
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
            self.hand_over,
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

    async def hand_over(self, scope: ControlPlaneScope) -> None:
        """Copy Orrery's own credentials into the hub: from here on all regions are alike."""
        wanted = await self._credentials(scope)
        held = await read_secret(self._hub, wanted.namespace, wanted.name)
        if held is not None and (held.data, held.annotations.get(names.ANNOTATION_ENDPOINT)) == (
            wanted.data,
            wanted.annotations[names.ANNOTATION_ENDPOINT],
        ):
            scope.told = scope.told.model_copy(update={"address": scope.blueprint.address})
            return
        try:
            await self._hub.write_secret(wanted)
        except (Unreachable, Refused) as error:
            raise _hub_failed(error) from error
        scope.told = scope.told.model_copy(update={"address": scope.blueprint.address})

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
        nomad = self._nomad.connect(decode(await self._credentials(scope)))
        try:
            await keep_snapshot_token(scope.blueprint, scope.cluster, self._pki, nomad)
        except NotYet as problem:  # Told in the end: what comes next does not wait for it.
            scope.snapshot_problem = problem
        finally:
            await nomad.close()
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
        if scope.snapshot_problem is not None:
            raise scope.snapshot_problem

    async def _servers(self, scope: ControlPlaneScope) -> Document | None:
        blueprint = scope.blueprint
        name = blueprint.object_name(Component.NOMAD)
        return await scope.cluster.read(
            ObjectRef("apps/v1", "StatefulSet", blueprint.namespace, name)
        )

    async def _token_works(self, scope: ControlPlaneScope) -> bool:
        nomad = self._nomad.connect(decode(await self._credentials(scope)))
        try:
            await nomad.agent()
        except OrreryError:
            return False
        finally:
            await nomad.close()
        return True

    async def _autopilot(self, scope: ControlPlaneScope) -> AutopilotHealth:
        nomad = self._nomad.connect(decode(await self._credentials(scope)))
        try:
            return await nomad.autopilot()
        finally:
            await nomad.close()

    async def _credentials(self, scope: ControlPlaneScope) -> Secret:
        assert scope.secrets is not None, "keep_secrets comes first"
        blueprint, operator = scope.blueprint, scope.secrets.operator
        name = blueprint.object_name(SecretName.BOOTSTRAP)
        body = await scope.cluster.read(ObjectRef("v1", "Secret", blueprint.namespace, name))
        if body is None:
            message = f"Secret {name} in namespace {blueprint.namespace} is gone"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)
        return Secret(
            namespace=self._config.namespace,
            name=blueprint.region.credentials_secret,
            type="Opaque",
            annotations={
                names.ANNOTATION_ENDPOINT: f"https://{blueprint.address}:{NOMAD_HTTP_PORT}"
            },
            data={
                "token": decoded(body)["token"],
                "ca.crt": operator.ca.encode(),
                "tls.crt": operator.certificate.encode(),
                "tls.key": operator.key.encode(),
            },
        )


async def read_secret(hub: Hub, namespace: str, name: str) -> Secret | None:
    """Read a Secret of the hub, whose failures must not be taken for the continent's."""
    try:
        return await hub.read_secret(namespace, name)
    except (Unreachable, Refused) as error:
        raise _hub_failed(error) from error


def _rolling(what: str) -> NotYet:
    """Wait for pods of the newest spec while those of the one before serve."""
    return NotYet(Reason.PROGRESSING, f"{what} take over a new configuration", retry_after=WAIT)


def _hub_failed(error: OrreryError) -> NotYet:
    return NotYet(Reason.HUB_REFUSED, error.message, retry_after=WAIT)


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
