"""Render a global Kuma control plane and its front door, which zones of all regions join. Pure.

It is not a part of any region and the operator does not run it: people apply it where they want.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orrery import names
from orrery.api.mesh import POSTGRES_IMAGE
from orrery.api.regionclass import ENVOY_IMAGE
from orrery.render.region.blueprint import Component, Manifest, SecretName
from orrery.render.region.envoy_global import render_global_envoy
from orrery.render.region.foundation import account, allow_dns, deny_all, render_namespace
from orrery.render.region.frontdoor import Envoys, envoy_files, render_envoys
from orrery.render.region.kuma import Kuma, kuma_ports, managed_store, render_kuma
from orrery.render.region.postgres import Postgres, render_postgres
from orrery.render.region.site import service_host

NAME: Final = "global-mesh"

GLOBAL_VARIABLES: Final = {"KUMA_MODE": "global"}


@dataclass(frozen=True, slots=True)
class GlobalMesh:
    """All that decides how a global control plane looks; it is a `Site`."""

    kuma_image: str
    namespace: str = NAME
    replicas: int = 2
    postgres_image: str = POSTGRES_IMAGE
    envoy_image: str = ENVOY_IMAGE
    storage: str = "5Gi"
    storage_class: str = ""

    @property
    def name(self) -> str:
        """What the names of all objects begin with."""
        return NAME

    def object_name(self, part: Component | SecretName) -> str:
        """Name the objects of *part*."""
        return f"{self.name}-{part}"

    def labels(self, component: Component | None = None) -> dict[str, str]:
        """Label an object; nothing that clears away objects of regions looks for these labels."""
        labels = {names.LABEL_PART_OF: self.name}
        return labels | ({names.LABEL_NAME: component.value} if component else {})

    def selector(self, component: Component) -> dict[str, str]:
        """Select the pods of *component*."""
        return {names.LABEL_NAME: component.value, names.LABEL_PART_OF: self.name}

    def metadata(self, part: Component | SecretName) -> dict[str, Any]:
        """Write the metadata of an object of *part*."""
        return {
            "name": self.object_name(part),
            "namespace": self.namespace,
            "labels": self.labels(part if isinstance(part, Component) else None),
        }

    def image(self, name: str) -> str:
        """Name an image as the cluster gets it: as it is."""
        return name


def render_global_mesh(mesh: GlobalMesh) -> list[Manifest]:
    """Render all but the Secrets, which it names and `orrery mesh secrets` makes."""
    ports = kuma_ports(is_global=True)
    settings = Kuma(
        image=mesh.kuma_image,
        replicas=mesh.replicas,
        cpu="200m",
        memory="512Mi",
        store=managed_store(mesh),
        variables=GLOBAL_VARIABLES,
        ports=ports,
    )
    postgres = Postgres(mesh.postgres_image, mesh.storage, mesh.storage_class)
    return [
        render_namespace(mesh),
        account(mesh, Component.FRONT_DOOR),
        deny_all(mesh),
        allow_dns(mesh),
        _load_balancer(mesh, ports),
        *render_postgres(mesh, postgres),
        *render_kuma(mesh, settings),
        *render_envoys(mesh, render_files(mesh), Envoys(mesh.envoy_image, 2, ports)),
    ]


def render_files(mesh: GlobalMesh) -> dict[str, str]:
    """Write the files of the front door's configuration, by name."""
    servers = service_host(mesh, Component.KUMA)
    return envoy_files(render_global_envoy(mesh.name, servers=servers))


def _load_balancer(mesh: GlobalMesh, ports: Mapping[str, int]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": mesh.metadata(Component.FRONT_DOOR),
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": mesh.selector(Component.FRONT_DOOR),
            "ports": [
                {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
                for name, number in ports.items()
            ],
        },
    }
