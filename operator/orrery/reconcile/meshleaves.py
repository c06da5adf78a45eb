"""Say which certificates a mesh needs: a region's, and the global control plane's. Pure."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from orrery import names
from orrery.planning.certificates import Leaf
from orrery.ports import Pki, Usage
from orrery.render.globalmesh import GlobalMesh
from orrery.render.region.blueprint import Blueprint, Component, SecretName
from orrery.render.region.kuma import PUBLIC_KEY, SIGNING_KEY
from orrery.render.region.site import service_names

TOKEN_KEYS = (SIGNING_KEY, PUBLIC_KEY)
"""What the Secret of the key holds by which kuma-cp knows people."""

_COMPONENTS = {
    SecretName.KUMA: Component.KUMA,
    SecretName.POSTGRES: Component.POSTGRES,
}


def mesh_leaf_secrets(blueprint: Blueprint) -> Sequence[SecretName]:
    """Name the Secrets that hold a leaf of the mesh."""
    mesh = blueprint.class_.spec.mesh
    if not mesh.is_kuma:
        return ()
    if mesh.store.mode != "Managed":
        return (SecretName.KUMA,)
    return (SecretName.KUMA, SecretName.POSTGRES)


def mesh_leaves(blueprint: Blueprint) -> Sequence[Leaf]:
    """Name the leaves: both only serve.

    A data plane reaches kuma-cp through an Envoy on its own machine, so kuma-cp has the names of
    that machine's loopback, too.
    """
    local = {SecretName.KUMA: ("localhost", "127.0.0.1")}
    return [
        Leaf(
            blueprint.object_name(secret),
            blueprint.object_name(component),
            canonical_hosts(
                *service_names(blueprint, blueprint.object_name(component)),
                *local.get(secret, ()),
            ),
            frozenset({Usage.SERVER}),
        )
        for secret, component in _COMPONENTS.items()
        if secret in mesh_leaf_secrets(blueprint)
    ]


def global_leaves(mesh: GlobalMesh) -> Sequence[Leaf]:
    """Name the certificates that the global control plane needs, all from the mesh's authority."""
    server, both = frozenset({Usage.SERVER}), frozenset({Usage.SERVER, Usage.CLIENT})
    hosts = {
        SecretName.KUMA: (names.GLOBAL_CONTROL_PLANE_HOST, _names(mesh, Component.KUMA), server),
        SecretName.POSTGRES: (
            mesh.object_name(Component.POSTGRES),
            _names(mesh, Component.POSTGRES),
            server,
        ),
        SecretName.FRONT_DOOR: (names.GLOBAL_MESH_HOST, [], both),
    }
    return [
        Leaf(mesh.object_name(secret), name, frozenset({name, *services}), usages)
        for secret, (name, services, usages) in hosts.items()
    ]


def _names(mesh: GlobalMesh, component: Component) -> list[str]:
    return service_names(mesh, mesh.object_name(component))


def signing_texts(pki: Pki) -> Mapping[str, str]:
    """Make the texts of that Secret."""
    key = pki.signing_key()
    return {SIGNING_KEY: key.private, PUBLIC_KEY: key.public}


def canonical_hosts(*hosts: str) -> frozenset[str]:
    """Write addresses in the form that `ipaddress` gives them, and names as they are."""
    return frozenset(map(_canonical, hosts))


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host
