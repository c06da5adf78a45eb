"""Render the mesh of a region: its zone control plane, and where that keeps what it knows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery import names
from orrery.api.mesh import POSTGRES_IMAGE
from orrery.render.region.blueprint import Blueprint, Component, Manifest, SecretName
from orrery.render.region.envoy_parts import (
    ADMIN,
    dns_cluster,
    listener,
    ready_cluster,
    ready_listener,
    tcp_proxy,
    upstream_tls,
)
from orrery.render.region.envoy_secrets import identity, trust
from orrery.render.region.foundation import Rule, port
from orrery.render.region.frontdoor import envoy_container, envoy_files, envoy_volumes
from orrery.render.region.kuma import (
    KDS_PORT,
    Kuma,
    Store,
    external_store,
    kuma_ports,
    managed_store,
    memory_store,
    render_kuma,
)
from orrery.render.region.postgres import Postgres, render_postgres

STORAGE: Final = "5Gi"

_LINK: Final = "global-mesh"


def render_store(blueprint: Blueprint) -> list[Manifest]:
    """Render the region's own PostgreSQL, if it has one."""
    mesh, continent = blueprint.class_.spec.mesh, blueprint.continent.spec
    if not mesh.is_kuma or mesh.store.mode != "Managed":
        return []
    return render_postgres(
        blueprint,
        Postgres(
            image=mesh.store.image or POSTGRES_IMAGE,
            storage=mesh.store.storage or STORAGE,
            storage_class=continent.storage_class_name or "",
            certificates=blueprint.mesh_certificates,
        ),
    )


def render_mesh(blueprint: Blueprint) -> list[Manifest]:
    """Render the zone control plane, and beside it the Envoy that leads to the global one."""
    mesh = blueprint.class_.spec.mesh
    if not mesh.is_kuma:
        return []
    assert mesh.image is not None, "provider Kuma has an image"
    files = render_link_files(blueprint)
    settings = Kuma(
        image=mesh.image,
        replicas=mesh.wanted_replicas,
        cpu=mesh.resources.cpu,
        memory=mesh.resources.memory,
        store=_store(blueprint),
        variables=zone_variables(blueprint),
        ports=kuma_ports(is_global=False),
        sidecar=_sidecar(blueprint) if files else None,
        sidecar_volumes=envoy_volumes(blueprint, Component.KUMA, SecretName.ZONE) if files else (),
        egress=_egress(mesh.global_address),
        files=files,
        serves_data_planes=True,
        certificates=blueprint.mesh_certificates,
    )
    return render_kuma(blueprint, settings)


def zone_variables(blueprint: Blueprint) -> dict[str, str]:
    """Write what makes a kuma-cp the zone of the region's name.

    Without a global control plane it is a mesh of its own: Kuma has no other mode for that.
    """
    joined = blueprint.class_.spec.mesh.global_address is not None
    address = {"KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS": f"grpc://127.0.0.1:{KDS_PORT}"}
    return {
        "KUMA_MODE": "zone",
        "KUMA_MULTIZONE_ZONE_NAME": blueprint.name,
        **(address if joined else {}),
    }


def render_link_files(blueprint: Blueprint) -> dict[str, str]:
    """Write the configuration of the Envoy beside a kuma-cp, none where the zone stands alone.

    kuma-cp presents no certificate, so that Envoy does. It is not asked how the other end is: a
    zone works without it, and kuma-cp tries again by itself.
    """
    address = blueprint.class_.spec.mesh.global_address
    if address is None:
        return {}
    host, number = split_address(address)
    tls = {"alpn_protocols": ["h2"], **identity(), **trust(names.GLOBAL_MESH_HOST)}
    return envoy_files(
        {
            "node": {"id": "global-mesh-link", "cluster": blueprint.name},
            "admin": {"address": {"pipe": {"path": ADMIN}}},
            "static_resources": {
                "listeners": [
                    listener(_LINK, KDS_PORT, {"filters": [tcp_proxy(_LINK)]}, host="127.0.0.1"),
                    ready_listener(),
                ],
                "clusters": [
                    dns_cluster(_LINK, host, number)
                    | {
                        "transport_socket": upstream_tls(
                            tls, sni=names.GLOBAL_MESH_HOST, max_session_keys=0
                        )
                    },
                    ready_cluster(),
                ],
            },
        }
    )


def split_address(address: str) -> tuple[str, int]:
    """Split HOST:PORT, where HOST may be an IPv6 address in brackets."""
    host, _, number = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(number)


def _sidecar(blueprint: Blueprint) -> Mapping[str, Any]:
    """Run the Envoy for as long as kuma-cp; whether the pod is ready is not for it to say."""
    image = blueprint.image(blueprint.class_.spec.front_door.image)
    container = envoy_container(image, {}) | {
        "name": "global-mesh-link",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }
    return {key: v for key, v in container.items() if key not in {"lifecycle", "readinessProbe"}}


def _store(blueprint: Blueprint) -> Store:
    store = blueprint.class_.spec.mesh.store
    match store.mode:
        case "Managed":
            return managed_store(blueprint)
        case "External":
            assert store.secret_ref is not None, "mode External has a Secret"
            return external_store(store.secret_ref.name)
        case "Memory":
            return memory_store()


def _egress(address: str | None) -> Sequence[Rule]:
    """Let kuma-cp's pods out to the global front door, wherever DNS says that it is."""
    if address is None:
        return ()
    return [{"ports": [port(split_address(address)[1])]}]
