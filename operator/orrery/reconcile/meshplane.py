"""Raise the mesh of a Managed region beside its Nomad, which never waits for it.

What keeps the mesh from working is noted and told when the pass is over, so that a region whose
mesh is down is used and says that it is degraded.
"""

from datetime import UTC, datetime
from typing import Final

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
from orrery.moments import text_of
from orrery.names import zone_host
from orrery.planning.certificates import HeldLeaf, Leaf, cause_to_issue
from orrery.planning.manifests import deployment_ready, stateful_set_ready
from orrery.ports import Certificate, Clock, Document, Hub, KeyPair, ObjectRef, Pki, Secret, Usage
from orrery.ports.values import decoded
from orrery.reconcile.controlplanescope import WAIT, ControlPlaneScope
from orrery.reconcile.secretfacts import decode, encode, issue_leaf, pair_in, texts_of
from orrery.render.region import Blueprint, Component
from orrery.render.region.blueprint import SecretName
from orrery.render.region.kuma import DATABASE_KEYS
from orrery.render.region.layers import MESH, MESH_STORE, render_layer

PATIENCE: Final = 30.0
"""The same of what somebody has to do."""


class MeshPlane:
    """Raises meshes, one pass at a time per region."""

    def __init__(self, *, hub: Hub, pki: Pki, clock: Clock, namespace: str) -> None:
        self._hub = hub
        self._pki = pki
        self._clock = clock
        self._namespace = namespace
        """The operator's own, where the authority of the global mesh lies."""

    async def raise_mesh(self, scope: ControlPlaneScope) -> None:
        """Bring the mesh as far as it goes, and note what keeps it from going on."""
        store, mesh = (render_layer(scope.blueprint, name).manifests for name in (MESH_STORE, MESH))
        # All of it, be it reached or not: what is not among them is cleared away.
        scope.rendered += [*store, *mesh]
        if not scope.blueprint.class_.spec.mesh.is_kuma:
            return
        try:
            await scope.enforce_all(store)
            await self._prepare(scope)
            if scope.mesh_problem is None or await self._runs(scope):
                await scope.enforce_all(mesh)
        except (InvalidSpec, NotYet, Refused) as problem:
            scope.mesh_problem = problem

    async def await_mesh(self, scope: ControlPlaneScope) -> None:
        """Hold until a kuma-cp is ready; raises what kept the mesh from going on before."""
        if scope.mesh_problem is not None:
            raise scope.mesh_problem
        if not scope.blueprint.class_.spec.mesh.is_kuma:
            return
        deployment = scope.live_of("apps/v1", "Deployment", Component.KUMA)
        state = deployment_ready(deployment)
        if not state.ready:
            message = f"none of {state.wanted} kuma-cps is ready"
            raise NotYet(Reason.MESH_NOT_READY, message, retry_after=WAIT)

    async def _prepare(self, scope: ControlPlaneScope) -> None:
        """Have what kuma-cp needs at its start, and note what of it is missing."""
        for prepare in (self._await_store, self._keep_zone_certificate):
            try:
                await prepare(scope)
            except NotYet as problem:
                scope.mesh_problem = scope.mesh_problem or problem

    async def _runs(self, scope: ControlPlaneScope) -> bool:
        """Whether kuma-cp was started before: then it is kept as it should be all the same."""
        blueprint = scope.blueprint
        name = blueprint.object_name(Component.KUMA)
        ref = ObjectRef("apps/v1", "Deployment", blueprint.namespace, name)
        return await scope.cluster.read(ref) is not None

    async def _await_store(self, scope: ControlPlaneScope) -> None:
        """Hold until there is a database: without one, kuma-cp would start and end in turns."""
        store = scope.blueprint.class_.spec.mesh.store
        if store.mode == "Managed":
            postgres = scope.live_of("apps/v1", "StatefulSet", Component.POSTGRES)
            if not stateful_set_ready(postgres).ready:
                message = "the PostgreSQL of the mesh is not ready"
                raise NotYet(Reason.MESH_NOT_READY, message, retry_after=WAIT)
            name = scope.blueprint.object_name(SecretName.POSTGRES_PASSWORD)
            if await _read(scope, name) is None:
                message = (
                    f'Secret "{name}" in namespace "{scope.blueprint.namespace}", the password of '
                    "the mesh's PostgreSQL, is gone: restore it from a backup, or set another "
                    "password in PostgreSQL and make the Secret with it"
                )
                raise NotYet(Reason.MESH_NOT_READY, message, retry_after=PATIENCE)
        elif store.secret_ref is not None:
            held = await _read(scope, store.secret_ref.name)
            data = {} if held is None else decoded(held)
            missing = [key for key in DATABASE_KEYS if not data.get(key)]
            if missing:
                message = (
                    f'spec.mesh.store.secretRef of the class: Secret "{store.secret_ref.name}" in '
                    f'namespace "{scope.blueprint.namespace}" lacks {", ".join(missing)}'
                )
                raise NotYet(Reason.MESH_NOT_READY, message, retry_after=PATIENCE)

    async def _keep_zone_certificate(self, scope: ControlPlaneScope) -> None:
        """Have the certificate by which the global front door knows the zone.

        It is from the authority of the global mesh and not of the region, so that no region can
        make one for another.
        """
        reference = scope.blueprint.class_.spec.mesh.global_secret_ref
        if reference is None:
            return
        authority, trusted = await self._global_authority(reference.name)
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        issuer = self._usable(authority, now, reference.name)
        leaf = zone_leaf(scope.blueprint)
        held = await _read(scope, leaf.secret)
        texts = {} if held is None else decode(held)
        present = None if held is None else self._leaf(texts, authority, issuer)
        only = frozenset({issuer.fingerprint})
        cause = cause_to_issue(leaf, present, trusted=only, issuer="", now=now)
        pair = pair_in(texts)
        if cause is not None:
            pair = issue_leaf(self._pki, authority, leaf, scope.blueprint.class_, now)
        if cause is not None or texts.get("ca.crt") != trusted:
            await scope.cluster.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": scope.blueprint.metadata(SecretName.ZONE),
                    "data": encode({**texts_of(pair), "ca.crt": trusted}),
                }
            )
        certificate = self._pki.inspect(pair)
        assert certificate is not None, "it was just read or issued"
        ends = text_of(certificate.not_after)
        scope.told = scope.told.model_copy(
            update={"expires": min(filter(None, (scope.told.expires, ends)))}
        )

    async def _global_authority(self, name: str) -> tuple[KeyPair, str]:
        """Read the authority of the global mesh, and what zones shall trust."""
        try:
            secret = await self._hub.read_secret(self._namespace, name)
        except (Unreachable, Refused) as error:
            raise _hub_failed(error) from error
        if secret is None:
            raise self._authority_problem(name, "does not exist")
        texts = _texts(secret)
        trusted = texts.get("ca.crt") or texts.get("tls.crt", "")
        return pair_in(texts), f"{trusted.strip()}\n"

    def _usable(self, authority: KeyPair, now: datetime, name: str) -> Certificate:
        certificate = self._pki.inspect(authority)
        if certificate is None or not certificate.is_authority:
            raise self._authority_problem(name, "holds no authority in tls.crt and tls.key")
        if not certificate.is_valid(now):
            raise self._authority_problem(name, "holds an authority that is not valid now")
        return certificate

    def _authority_problem(self, name: str, what: str) -> NotYet:
        message = (
            f'spec.mesh.globalSecretRef of the class: Secret "{name}" in namespace '
            f'"{self._namespace}" {what}'
        )
        return NotYet(Reason.MESH_AUTHORITY_INVALID, message, retry_after=PATIENCE)

    def _leaf(self, texts: dict[str, str], authority: KeyPair, issuer: Certificate) -> HeldLeaf:
        signed = self._pki.is_issued_by(texts.get("tls.crt", ""), authority.certificate)
        return HeldLeaf(self._pki.inspect(pair_in(texts)), issuer.fingerprint if signed else "")


def zone_leaf(blueprint: Blueprint) -> Leaf:
    """Name the certificate of a region's zone."""
    host = zone_host(blueprint.name)
    secret = blueprint.object_name(SecretName.ZONE)
    return Leaf(secret, host, frozenset({host}), frozenset({Usage.CLIENT}))


def retired_components(blueprint: Blueprint) -> frozenset[str]:
    """Name the components that a region's class does without, however many objects they have."""
    mesh = blueprint.class_.spec.mesh
    unused = () if mesh.is_kuma else (Component.KUMA,)
    has_store = mesh.is_kuma and mesh.store.mode == "Managed"
    return frozenset({*unused, *(() if has_store else (Component.POSTGRES,))})


async def _read(scope: ControlPlaneScope, name: str) -> Document | None:
    return await scope.cluster.read(ObjectRef("v1", "Secret", scope.blueprint.namespace, name))


def _texts(secret: Secret) -> dict[str, str]:
    return {key: value.decode(errors="replace") for key, value in secret.data.items()}


def _hub_failed(error: OrreryError) -> NotYet:
    return NotYet(Reason.HUB_REFUSED, error.message, retry_after=WAIT)
