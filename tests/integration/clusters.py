"""Clusters to hold to the contract: one in memory, a real API server, and what others do there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orrery.adapters.kube.cluster import object_path
from orrery.adapters.kube.connection import Connection
from orrery.adapters.memory import MemoryCluster
from orrery.ports import ContinentalCluster, Document, ObjectRef

MERGE = "application/merge-patch+json"


class Others(Protocol):
    """What people and controllers do in a cluster, beside Orrery."""

    async def edit(self, ref: ObjectRef, patch: Document) -> None: ...
    async def set_status(self, ref: ObjectRef, status: Document) -> None: ...
    async def put(self, document: Document) -> None: ...


@dataclass
class InMemory:
    """Implements `Others` in memory."""

    cluster: MemoryCluster

    async def edit(self, ref: ObjectRef, patch: Document) -> None:
        self.cluster.edit(ref, patch)

    async def set_status(self, ref: ObjectRef, status: Document) -> None:
        self.cluster.set_status(ref, status)

    async def put(self, document: Document) -> None:
        self.cluster.put(document)


@dataclass
class OnServer:
    """Implements `Others` on a real API server, as its administrator."""

    connection: Connection

    async def edit(self, ref: ObjectRef, patch: Document) -> None:
        await self._patch(object_path(ref), patch)

    async def set_status(self, ref: ObjectRef, status: Document) -> None:
        await self._patch(f"{object_path(ref)}/status", {"status": status})

    async def put(self, document: Document) -> None:
        path = object_path(ObjectRef.of(document)).rpartition("/")[0]
        await self.connection.demand("POST", path, body=document, query={"fieldManager": "kubectl"})

    async def _patch(self, path: str, patch: Document) -> None:
        query = {"fieldManager": "kubectl-edit"}
        await self.connection.demand("PATCH", path, body=patch, content_type=MERGE, query=query)


@dataclass
class Lab:
    """A cluster, what others do in it, and a namespace for one test."""

    cluster: ContinentalCluster
    others: Others
    namespace: str

    def ours(self, manifests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Move *manifests* into the namespace of the test."""
        return [self.our(manifest) for manifest in manifests]

    def our(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        metadata = dict(manifest["metadata"])
        if manifest["kind"] == "Namespace":
            metadata["name"] = self.namespace
        else:
            metadata["namespace"] = self.namespace
        return {**manifest, "metadata": metadata}

    async def has(self, ref: ObjectRef, holds: Callable[[Document], Any]) -> Any:
        """Look at an object that must be there."""
        found = await self.cluster.read(ref)
        assert found is not None
        return holds(found)
