"""Pods for trials of a continent: not root, without any privilege, as regions' pods are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.lab.node.cluster import Continent
from tests.lab.node.images import PROBE_IMAGE
from tests.lab.polling import until

from orrery.ports import Document

SOMEBODY: Final = 65_534
_STRICT: Final = "pod-security.kubernetes.io/enforce"


def render_strict_namespace(name: str) -> Document:
    """Render a Namespace that refuses pods with any privilege."""
    metadata = {"name": name, "labels": {_STRICT: "restricted"}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def render_container(
    image: str, command: Sequence[str], *, name: str = "main", **more: Any
) -> dict[str, Any]:
    """Render a container that may do nothing but run."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "securityContext": security,
    } | more


def render_pod_spec(container: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Render what a pod is: somebody without privileges, who is gone at once when told to go."""
    security = {
        "runAsNonRoot": True,
        "runAsUser": SOMEBODY,
        "runAsGroup": SOMEBODY,
        "fsGroup": SOMEBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "securityContext": security,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    } | more


def render_web(namespace: str, *, name: str, replicas: int, port: int) -> list[Document]:
    """Render a StatefulSet whose pods answer with their names, and a load balancer before it.

    Each writes to a volume of its own before it starts.
    """
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    mounts = [{"name": "data", "mountPath": "/data"}]
    first = render_container(
        PROBE_IMAGE, ["probe", "write", "/data/file", name], name="writes", volumeMounts=mounts
    )
    ready = {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1}
    container = render_container(
        PROBE_IMAGE, ["probe", "serve", f":{port}"], volumeMounts=mounts, readinessProbe=ready
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "LoadBalancer", "selector": labels, "ports": [{"port": port}]},
    }
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": render_pod_spec(container, initContainers=[first]),
            },
            "volumeClaimTemplates": [claim],
        },
    }
    return [service, stateful_set]


async def create_strict_namespace(continent: Continent, name: str) -> None:
    """Create a Namespace, and wait until pods are accepted there."""

    async def accepts_pods() -> bool:
        read = continent.api.read
        return await read("v1", "ServiceAccount", "default", namespace=name) is not None

    await continent.api.apply([render_strict_namespace(name)])
    await until(accepts_pods)


async def run_pod(
    continent: Continent, namespace: str, name: str, image: str, command: Sequence[str]
) -> str:
    """Run a pod to its end, and return what it says; it must succeed, and go when it is told to."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": render_pod_spec(render_container(image, command), restartPolicy="Never"),
    }

    async def look() -> Document | None:
        seen.append(await continent.api.read("v1", "Pod", name, namespace=namespace))
        return seen[-1]

    async def ended() -> str | None:
        found = await look()
        phase = found["status"]["phase"] if found else "absent"
        return phase if phase in {"Succeeded", "Failed"} else None

    async def gone() -> bool:
        return await look() is None

    seen: list[Document | None] = []
    await continent.api.apply([pod])
    phase = await until(ended, told=lambda: seen[-1])
    said = await continent.log(namespace, name)
    assert phase == "Succeeded", said
    await continent.api.delete("v1", "Pod", name, namespace=namespace)
    await until(gone, told=lambda: seen[-1])
    return said
