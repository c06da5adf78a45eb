"""What a region's control plane is built from, and what its parts are called. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from orrery import names
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass

Manifest = Mapping[str, Any]

RPC_PORT: Final = 4647
"""Inside as outside: a client asks each server it learns of at the server's own port."""

HTTP_PORT: Final = 4646
SERF_PORT: Final = 4648

DATA_PLANE_PORT: Final = 5678
"""Kuma's: outside as inside, since a data plane goes to the port that kuma-cp itself listens at."""

DOCKER_HUB: Final = "docker.io"


class Component(StrEnum):
    """The parts of a control plane; each value ends the names of its objects."""

    NOMAD = "nomad"
    FRONT_DOOR = "front-door"
    BOOTSTRAP = "bootstrap"
    KUMA = "kuma"
    POSTGRES = "postgres"
    SNAPSHOT = "snapshot"


class SecretName(StrEnum):
    """The Secrets of a control plane: rendered manifests name them and never hold them."""

    AUTHORITY = "ca"
    """``tls.crt`` and ``tls.key`` of the region's authority, ``ca.crt`` with all trusted ones."""
    NOMAD = "nomad-tls"
    """``tls.crt``, ``tls.key`` and ``ca.crt`` of the servers."""
    FRONT_DOOR = "front-door-tls"
    """The same of the front door, as server and towards the servers."""
    OPERATOR = "operator-tls"
    """The same of Orrery itself."""
    GOSSIP = "gossip"
    """``gossip.json``: configuration of the servers with the key of their gossip."""
    BOOTSTRAP = "bootstrap-token"
    """``token``: the management token, chosen before the ACL system is set up. Orrery makes
    namespaces, policies and other tokens with it."""
    RUN_TIME = "run-time-token"
    """``accessor`` and ``token`` of the token that Orrery does all else with."""
    KUMA = "kuma-tls"
    """``tls.crt``, ``tls.key`` and ``ca.crt`` of kuma-cp."""
    POSTGRES = "postgres-tls"
    """The same of its PostgreSQL."""
    POSTGRES_PASSWORD = "postgres-password"  # noqa: S105 - the name of a Secret
    """``password``: chosen before PostgreSQL is set up."""
    KUMA_TOKENS = "kuma-tokens"
    """``signing.key`` signs tokens for kuma-cp's API and those of machines' data planes,
    ``public.pem`` proves them."""
    ZONE = "zone-tls"
    """``tls.crt`` and ``tls.key`` of the zone, for the global control plane's front door, and in
    ``ca.crt`` what it trusts there: none of it is from the region's authority."""
    SNAPSHOT = "snapshot-token"
    """``accessor`` and ``token`` of a token that may take snapshots and do nothing else."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All that decides how a control plane looks. The region is Managed, the class has an image."""

    install: str
    region: Region
    class_: RegionClass
    continent: Continent
    address: str
    """IP address of the load balancer; empty until it has one."""
    certificates: str = ""
    """Digest of the servers' certificates: they start anew to take over other ones."""
    mesh_certificates: str = ""
    """The same of the mesh."""
    certificates_expire: str = ""
    """When these expire, as in RFC 3339."""

    @property
    def name(self) -> str:
        """Name of the region."""
        return self.region.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the control plane."""
        return self.continent.namespace_of(self.name)

    def object_name(self, part: Component | SecretName) -> str:
        """Name the objects of *part*."""
        return f"{self.name}-{part}"

    def labels(self, component: Component | None = None) -> dict[str, str]:
        """Label an object, of *component* when it belongs to one."""
        labels = names.region_labels(self.install, self.name)
        return labels | ({names.LABEL_NAME: component.value} if component else {})

    def selector(self, component: Component) -> dict[str, str]:
        """Select the pods of *component*: what never changes of their labels."""
        return {names.LABEL_NAME: component.value, names.LABEL_REGION: self.name}

    def metadata(
        self, part: Component | SecretName, *, component: Component | None = None, suffix: str = ""
    ) -> dict[str, Any]:
        """Write the metadata of an object of *part*; *suffix* tells several of a kind apart."""
        if component is None and isinstance(part, Component):
            component = part
        return {
            "name": f"{self.object_name(part)}{suffix}",
            "namespace": self.namespace,
            "labels": self.labels(component),
        }

    def image(self, name: str) -> str:
        """Name an image as the continent's cluster gets it: from its mirror, where it has one."""
        registry = self.continent.spec.registry
        if registry is None:
            return name
        host, slash, path = name.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            path = name if slash else f"library/{name}"
            host = DOCKER_HUB
        return f"{registry.mirror}/{host}/{path}"
