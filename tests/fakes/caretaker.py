"""What controllers, a cloud and kubelets do to a cluster in memory: addresses, pods, Jobs."""

from collections.abc import Callable
from typing import Any

from tests.fakes.serverpods import ServerPods

from orrery.adapters.memory import MemoryCluster
from orrery.ports import ObjectRef

Status = dict[str, Any]


class Caretaker:
    """Gives objects of a cluster the status that they would get; *idle* kinds are left alone."""

    def __init__(self, cluster: MemoryCluster, address: str) -> None:
        self.cluster = cluster
        self.address = address
        self.idle: set[str] = set()
        self.pods = ServerPods(cluster)
        self._statuses: dict[str, Callable[[dict[str, Any]], Status | None]] = {
            "Service": self._service,
            "Deployment": self._pods,
            "Job": self._job,
        }

    def look(self) -> None:
        """Bring the status of every object up to date."""
        for ref, body in list(self.cluster.objects.items()):
            if ref.kind in self.idle:
                continue
            if ref.kind == "StatefulSet":
                self.cluster.set_status(ref, self.pods.look(ref, body))
            status = self._statuses.get(ref.kind)
            if status is None:
                continue
            if (wanted := status(body)) is not None:
                self.cluster.set_status(ref, wanted)

    def restart(self, kind: str) -> None:
        """Let all pods of *kind* be gone, and stay so."""
        self.idle.add(kind)
        for ref in [ref for ref in self.cluster.objects if ref.kind == kind]:
            self.cluster.set_status(ref, {"observedGeneration": 1, "replicas": 0})

    def find(self, kind: str, name: str) -> ObjectRef:
        """Name the one object of *kind* that is called *name*."""
        (found,) = [r for r in self.cluster.objects if (r.kind, r.name) == (kind, name)]
        return found

    def _service(self, body: dict[str, Any]) -> Status | None:
        if body["spec"].get("type") != "LoadBalancer":
            return None
        return {"loadBalancer": {"ingress": [{"ip": self.address}]}}

    def _pods(self, body: dict[str, Any]) -> Status:
        count = body["spec"]["replicas"]
        return {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": count,
            "readyReplicas": count,
            "availableReplicas": count,
            "updatedReplicas": count,
        }

    def _job(self, body: dict[str, Any]) -> Status:
        return {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
