"""A hub in memory as verbs read it, and a planet in it."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests import builders
from tests.builders import a_class, a_deployment, a_region, endpoint, region_secret

from orrery.adapters.memory import MemoryFactory, MemoryHub, MemoryNomad
from orrery.errors import Refused
from orrery.ports import Document, Key, Kind, Lease, Secret

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class ReadableHub(MemoryHub):
    """Implements `orrery.cli.hub.Reader`."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Document] = []
        """Kubernetes events, as core/v1 shows them."""
        self.leases: dict[str, Lease] = {}
        """The operator's, by its namespace."""
        self.closed_namespaces: set[str] = set()
        """Namespaces whose Secrets may not be read."""
        self.closed_kinds: set[Kind] = set()
        """Kinds that may not be read."""
        self.namespaces: set[str] | None = {"team-a", "team-b"}
        """Namespaces there are; None when they may not be read."""
        self.leases_are_closed = False
        """Whether leases may not be read."""

    async def read(self, key: Key) -> Document | None:
        self._open(key.kind)
        return await super().read(key)

    async def list_in(self, kind: Kind, namespace: str) -> Sequence[Document]:
        self._open(kind)
        found = await self.list(kind, dict)
        return [b for b in found if namespace in ("", b["metadata"].get("namespace", ""))]

    async def events_of(self, body: Document) -> Sequence[Document]:
        uid = body["metadata"]["uid"]
        return [event for event in self.told if event["involvedObject"]["uid"] == uid]

    async def operator_lease(self, namespace: str) -> Lease | None:
        if self.leases_are_closed:
            raise Refused("HubForbidden", f"leases in {namespace} are forbidden")
        return self.leases.get(namespace)

    async def namespace_exists(self, name: str) -> bool | None:
        return None if self.namespaces is None else name in self.namespaces

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        if namespace in self.closed_namespaces:
            raise Refused("HubForbidden", f"secrets in {namespace} are forbidden")
        return await super().read_secret(namespace, name)

    def _open(self, kind: Kind) -> None:
        if kind in self.closed_kinds:
            raise Refused("HubForbidden", f"{kind} is forbidden")


class Planet:
    """Regions in memory, and a hub that knows them."""

    def __init__(self, **regions: str) -> None:
        self.hub = ReadableHub()
        self.regions = {name: MemoryNomad(name) for name in regions}
        self.hub.apply(Kind.REGION_CLASS, a_class())
        for name, continent in regions.items():
            self.hub.apply(Kind.REGION, a_region(name, continent=continent))
            self.hub.secrets["orrery-system", f"{name}-nomad"] = region_secret(name)

    @property
    def factory(self) -> MemoryFactory:
        return MemoryFactory({endpoint(name): nomad for name, nomad in self.regions.items()})

    @property
    def writes(self) -> int:
        """Count all writes to any region and to the hub."""
        counters = [self.hub.writes, *(nomad.writes for nomad in self.regions.values())]
        return sum(sum(counter.values()) for counter in counters)


def with_status(body: dict[str, Any], **status: Any) -> dict[str, Any]:
    """Give *body* a status, and the generation that it speaks of."""
    metadata = {"generation": 1, "uid": f"uid-{body['metadata']['name']}", **body["metadata"]}
    return {**body, "metadata": metadata, "status": {"observedGeneration": 1, **status}}


def a_region_seen(
    name: str, phase: str = "Open", *, continent: str = "eu", **status: Any
) -> dict[str, Any]:
    """Make a Region with two machines, one of them ready."""
    facts = {
        "phase": phase,
        "nomad": {"version": "2.0.6", "region": name},
        "dataCenters": [{"name": f"{name}1", "machines": 2, "ready": 1}],
        **status,
    }
    return with_status(a_region(name, continent=continent), **facts)


def a_deployment_seen(name: str = "shop", *, namespace: str = "team-a", **parts: Any) -> Any:
    """Make a GlobalDeployment that is ready in two continents, unless *parts* say otherwise."""
    healthy = {"phase": "Healthy", "ready": "2/2", "revision": "aa11", "index": 7}
    status = {
        "display": {"regions": "3/3", "status": "healthy in 3 regions"},
        "conditions": [a_condition("Ready", "True", "Succeeded", "healthy in 3 regions")],
        "continents": [
            {"name": "eu", "regions": {"fra": healthy, "par": healthy}},
            {"name": "na", "regions": {"was": healthy}},
        ],
        **parts,
    }
    return with_status(a_deployment(name, namespace=namespace), **status)


def a_continent(name: str, **spec: Any) -> dict[str, Any]:
    """Make a Continent."""
    return {**builders.a_continent(name), "spec": spec}


def a_condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    """Make a condition that changed five minutes before `NOW`."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-03-01T11:55:00Z",
    }


def a_secret_manifest(name: str, *, namespace: str = "", **values: str) -> dict[str, Any]:
    """Make a Secret as it stands in a file."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
