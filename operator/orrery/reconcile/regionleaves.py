"""Say which certificates the control plane of a region needs. Pure."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from orrery import names
from orrery.planning.certificates import Leaf
from orrery.ports import Usage
from orrery.render.region.blueprint import Blueprint, Component, SecretName

BOTH: Final = frozenset({Usage.SERVER, Usage.CLIENT})

LEAVES: Final = (SecretName.NOMAD, SecretName.FRONT_DOOR, SecretName.OPERATOR)
"""The Secrets that hold a leaf, in the order in which they are made."""


def region_leaves(blueprint: Blueprint) -> Sequence[Leaf]:
    """Name the leaves: servers and front door also call each other, Orrery only calls."""
    region = blueprint.name
    entrance = [host for host in (blueprint.address, blueprint.region.spec.front_door.host) if host]
    servers = [names.server_host(region), "localhost", "127.0.0.1", *_server_names(blueprint)]
    front_door = [
        names.front_door_host(region),
        *_service_names(blueprint, blueprint.object_name(Component.FRONT_DOOR)),
    ]
    secret = blueprint.object_name
    return (
        Leaf(secret(SecretName.NOMAD), servers[0], _hosts(*servers, *entrance), BOTH),
        Leaf(secret(SecretName.FRONT_DOOR), front_door[0], _hosts(*front_door, *entrance), BOTH),
        Leaf(
            secret(SecretName.OPERATOR),
            names.operator_host(region),
            _hosts(names.operator_host(region)),
            frozenset({Usage.CLIENT}),
        ),
    )


def _server_names(blueprint: Blueprint) -> Sequence[str]:
    """Name the servers as the cluster's DNS does: all of them, each pod, and each one's address."""
    name = blueprint.object_name(Component.NOMAD)
    service = _service_names(blueprint, name)
    servers = [f"{name}-{number}" for number in range(blueprint.class_.spec.nomad.servers)]
    return [
        *service,
        *(f"{server}.{host}" for server in servers for host in service),
        *(host for server in servers for host in _service_names(blueprint, server)),
    ]


def _service_names(blueprint: Blueprint, service: str) -> Sequence[str]:
    namespace = blueprint.namespace
    return [
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    ]


def _hosts(*hosts: str) -> frozenset[str]:
    return frozenset(map(_canonical, hosts))


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host
