"""Say which certificates the control plane of a region needs. Pure."""

from collections.abc import Sequence
from typing import Final

from orrery import names
from orrery.planning.certificates import Leaf
from orrery.ports import Usage
from orrery.reconcile.meshleaves import canonical_hosts, mesh_leaf_secrets, mesh_leaves
from orrery.render.region.blueprint import Blueprint, Component, SecretName
from orrery.render.region.site import service_names

BOTH: Final = frozenset({Usage.SERVER, Usage.CLIENT})

LEAVES: Final = (SecretName.NOMAD, SecretName.FRONT_DOOR, SecretName.OPERATOR)
"""The Secrets that hold a leaf, in the order in which they are made."""


def leaf_secrets(blueprint: Blueprint) -> Sequence[SecretName]:
    """Name all Secrets that hold a leaf, those of the mesh last."""
    return (*LEAVES, *mesh_leaf_secrets(blueprint))


def region_leaves(blueprint: Blueprint) -> Sequence[Leaf]:
    """Name the leaves: servers and front door also call each other, Orrery only calls."""
    region = blueprint.name
    entrance = [host for host in (blueprint.address, blueprint.region.spec.front_door.host) if host]
    servers = [names.server_host(region), "localhost", "127.0.0.1", *_server_names(blueprint)]
    front_door = [
        names.front_door_host(region),
        *service_names(blueprint, blueprint.object_name(Component.FRONT_DOOR)),
    ]
    secret = blueprint.object_name
    return (
        Leaf(secret(SecretName.NOMAD), servers[0], canonical_hosts(*servers, *entrance), BOTH),
        Leaf(
            secret(SecretName.FRONT_DOOR),
            front_door[0],
            canonical_hosts(*front_door, *entrance),
            BOTH,
        ),
        Leaf(
            secret(SecretName.OPERATOR),
            names.operator_host(region),
            canonical_hosts(names.operator_host(region)),
            frozenset({Usage.CLIENT}),
        ),
        *mesh_leaves(blueprint),
    )


def _server_names(blueprint: Blueprint) -> Sequence[str]:
    """Name the servers as the cluster's DNS does: all of them, each pod, and each one's address."""
    name = blueprint.object_name(Component.NOMAD)
    service = service_names(blueprint, name)
    servers = [f"{name}-{number}" for number in range(blueprint.class_.spec.nomad.servers)]
    return [
        *service,
        *(f"{server}.{host}" for server in servers for host in service),
        *(host for server in servers for host in service_names(blueprint, server)),
    ]
