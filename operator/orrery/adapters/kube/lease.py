"""The calls of `orrery.ports.LeaseStore` on a coordination.k8s.io Lease."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from orrery.adapters.kube.connection import HubConnection
from orrery.adapters.kube.replies import Reply, error_of
from orrery.errors import Conflict
from orrery.ports import Document, Lease
from orrery.telemetry import Telemetry


class KubeLeases:
    """Implements `orrery.ports.LeaseStore`."""

    def __init__(
        self, connection: HubConnection, namespace: str, name: str, *, telemetry: Telemetry
    ) -> None:
        self._connection = connection
        self._telemetry = telemetry
        self._namespace = namespace
        self._name = name
        namespace = quote(namespace, safe="")
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._one = f"{self._all}/{quote(name, safe='')}"

    async def read(self) -> Lease | None:
        """Read the lease, None when nobody ever led."""
        reply = await self._connection.call("GET", self._one)
        if reply.missing:
            return None
        return _lease(_checked(f"GET {self._one}", reply))

    async def create(self, lease: Lease) -> Lease:
        """Create the lease. Raises `Conflict` when somebody was faster."""
        self._telemetry.hub_write("Lease", "create")
        reply = await self._connection.call("POST", self._all, body=self._document(lease))
        return _lease(_checked(f"POST {self._all}", reply))

    async def update(self, lease: Lease) -> Lease:
        """Replace the lease of that *version*. Raises `Conflict` when it has changed."""
        self._telemetry.hub_write("Lease", "update")
        reply = await self._connection.call("PUT", self._one, body=self._document(lease))
        if reply.missing:
            raise Conflict("HubConflict", f"the lease '{self._name}' is gone")
        return _lease(_checked(f"PUT {self._one}", reply))

    def _document(self, lease: Lease) -> Document:
        metadata = {"name": self._name, "namespace": self._namespace}
        if lease.version:
            metadata["resourceVersion"] = lease.version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": max(1, round(lease.duration)),
                "acquireTime": _moment(lease.acquired),
                "renewTime": _moment(lease.renewed),
                "leaseTransitions": lease.transitions,
            },
        }


def _checked(request: str, reply: Reply) -> dict[str, Any]:
    if not reply.ok:
        raise error_of(request, reply)
    return reply.document


def _lease(document: dict[str, Any]) -> Lease:
    spec = document.get("spec") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=_seconds(spec.get("acquireTime")),
        renewed=_seconds(spec.get("renewTime")),
        transitions=spec.get("leaseTransitions") or 0,
        version=document["metadata"]["resourceVersion"],
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
