"""A continent's Kubernetes cluster: the calls, and the values they exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orrery.ports.values import Document


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one object of a cluster; *namespace* is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Document) -> ObjectRef:
        """Name the object that *manifest* describes."""
        metadata = manifest["metadata"]
        return cls(
            manifest["apiVersion"],
            manifest["kind"],
            metadata.get("namespace", ""),
            metadata["name"],
        )

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Something that the operator must be allowed to do in a continent's cluster."""

    verb: str
    group: str
    """Empty for the core group."""
    resource: str
    """Plural, with its subresource, if any, after a slash."""

    def __str__(self) -> str:
        return (
            f"{self.verb} {self.resource}.{self.group}"
            if self.group
            else f"{self.verb} {self.resource}"
        )


class ContinentalCluster(Protocol):
    """One continent's Kubernetes cluster. Every call has a deadline.

    Beside the leaves that all ports raise: `InvalidSpec` for a kubeconfig that cannot be used.
    """

    async def version(self) -> str:
        """Return the version of the API server, such as ``v1.34.3``; the light probe."""

    async def missing_rights(self, rights: Sequence[Right]) -> Sequence[Right]:
        """Return those of *rights* that the cluster does not grant us, in their order."""

    async def read(self, ref: ObjectRef) -> Document | None:
        """Read one object, None when it does not exist."""

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Document]:
        """List the objects of one kind in one namespace that carry all of *labels*."""

    async def apply(self, manifest: Document) -> Document:
        """Server-side apply *manifest* as our field manager; return the object as it is then.

        Fields of ours that somebody else took over are taken back. Raises `Refused` with the
        cluster's words for a manifest that it does not accept.
        """

    async def create(self, manifest: Document) -> bool:
        """Create the object, which must be complete; False when one of its name exists already."""

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """Delete the very object with *uid*, and what it owns; it may be gone already."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How to reach a continent's cluster: the text of a kubeconfig, empty for the hub itself."""

    kubeconfig: str = field(default="", repr=False)


class ClusterFactory(Protocol):
    """Makes clients, one per continent and kubeconfig."""

    def connect(self, access: ClusterAccess) -> ContinentalCluster:
        """Make a client; connects lazily."""
