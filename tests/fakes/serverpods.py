"""What Kubernetes does to a StatefulSet in memory: revisions, pods, updates from the highest down.

And what the autopilot of the Nomad in these pods says of them.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from orrery.adapters.memory import MemoryCluster
from orrery.ports import AutopilotHealth, ObjectRef, ServerHealth

VOTE_SECONDS: Final = 10.0
"""How long a server must have been up before autopilot gives it its vote."""


class ServerPods:
    """The pods of the StatefulSets of one cluster; *starts* counts how often each has started."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster
        self.starts: Counter[str] = Counter()
        self.broken: Callable[[dict[str, Any]], bool] = lambda _: False
        """Tells which pods never become ready."""
        self.sick: set[str] = set()
        """Pods that are ready, and not healthy in the eyes of autopilot."""
        self.seen_down: list[set[str]] = []
        """At each look, the pods that were not ready or had no vote."""
        self._ready_since: dict[str, float] = {}

    def look(self, ref: ObjectRef, body: dict[str, Any]) -> dict[str, Any]:
        """Go on with one StatefulSet; return its status."""
        spec, status = body["spec"], body.get("status") or {}
        newest = _revision(spec["template"])
        current = status.get("currentRevision") or newest
        strategy = spec["updateStrategy"].get("rollingUpdate") or {}
        partition = strategy.get("partition", 0)
        self._start_missing(ref, spec, partition, current, newest)
        self._update_one(ref, spec, partition, newest)
        pods = self._pods(ref, spec["replicas"])
        ready = [pod for pod in pods if self._is_ready(pod)]
        updated = [pod for pod in pods if _revision_of(pod) == newest]
        if partition == 0 and len(updated) == len(ready) == spec["replicas"]:
            current = newest
        return {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": sum(self._is_available(pod, spec) for pod in pods),
            "updatedReplicas": len(updated),
            "currentRevision": current,
            "updateRevision": newest,
        }

    def health(self, region: str) -> AutopilotHealth:
        """Say what autopilot does."""
        objects = list(self.cluster.objects.items())
        names = sorted(
            f"{ref.name}-{number}"
            for ref, body in objects
            if ref.kind == "StatefulSet"
            for number in range(body["spec"]["replicas"])
        )
        ready = {ref.name for ref, body in objects if ref.kind == "Pod" and self._is_ready(body)}
        well = ready - self.sick
        now = _now()
        servers = [
            ServerHealth(
                name=f"{name}.{region}",
                leader=number == 0,
                voter=now - self._ready_since.get(name, now) >= VOTE_SECONDS,
                healthy=name in well,
                stable_since="2026-01-01T00:00:00Z",
            )
            for number, name in enumerate(names)
        ]
        self.seen_down.append(
            {s.name.partition(".")[0] for s in servers if not (s.voter and s.healthy)}
        )
        return AutopilotHealth(
            healthy=all(server.healthy for server in servers),
            failure_tolerance=0,
            servers=servers,
        )

    def kill(self, name: str) -> None:
        """Delete a pod by hand."""
        (ref,) = [r for r in self.cluster.objects if (r.kind, r.name) == ("Pod", name)]
        self.cluster.remove(ref)

    def _start_missing(
        self, ref: ObjectRef, spec: dict[str, Any], partition: int, current: str, newest: str
    ) -> None:
        for number in range(spec["replicas"]):
            name = f"{ref.name}-{number}"
            if ObjectRef("v1", "Pod", ref.namespace, name) in self.cluster.objects:
                continue
            revision = current if number < partition else newest
            template = spec["template"] if revision == newest else {"metadata": {}, "spec": {}}
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": ref.namespace,
                    "labels": {"controller-revision-hash": revision},
                    "annotations": dict(template["metadata"].get("annotations") or {}),
                },
                "spec": template["spec"],
            }
            self.cluster.put(pod)
            self.starts[name] += 1
            self._ready_since[name] = _now()

    def _update_one(
        self, ref: ObjectRef, spec: dict[str, Any], partition: int, newest: str
    ) -> None:
        for pod in reversed(self._pods(ref, spec["replicas"])):
            name = pod["metadata"]["name"]
            if int(name.rpartition("-")[2]) < partition:
                return
            if _revision_of(pod) != newest:
                self.kill(name)
                return
            if not self._is_available(pod, spec):
                return

    def _pods(self, ref: ObjectRef, replicas: int) -> list[dict[str, Any]]:
        refs = [
            ObjectRef("v1", "Pod", ref.namespace, f"{ref.name}-{number}")
            for number in range(replicas)
        ]
        pods = [self.cluster.objects[each] for each in refs if each in self.cluster.objects]
        for pod in pods:
            ready = "False" if self.broken(pod) else "True"
            pod["status"] = {"conditions": [{"type": "Ready", "status": ready}]}
        return pods

    def _is_ready(self, pod: dict[str, Any]) -> bool:
        conditions = pod.get("status", {}).get("conditions") or [{}]
        return bool(conditions[0].get("status") == "True")

    def _is_available(self, pod: dict[str, Any], spec: dict[str, Any]) -> bool:
        up = _now() - self._ready_since[pod["metadata"]["name"]]
        return self._is_ready(pod) and up >= spec.get("minReadySeconds", 0)


def _revision(template: dict[str, Any]) -> str:
    text = json.dumps(template, sort_keys=True)
    return "revision-" + hashlib.sha256(text.encode()).hexdigest()[:10]


def _revision_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["controller-revision-hash"])


def _now() -> float:
    return asyncio.get_running_loop().time()
