"""Blueprints of control planes for tests: only what a test is about need be said."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.render.region.blueprint import Blueprint, Manifest

ADDRESS: Final = "203.0.113.7"
"""The load balancer's, of the range that is for documentation."""

NOMAD_IMAGE: Final = "registry.example/nomad:2.0.6"

KUMA_IMAGE: Final = "registry.example/kuma-cp:2.14.3"

JOINED: Final[Mapping[str, Any]] = {
    "globalAddress": "mesh.example:5685",
    "globalSecretRef": {"name": "global-mesh-ca"},
}
"""A mesh whose zones join a global control plane."""

ALLOWED_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret"}
    | {"persistentVolumeClaim"}
)
"""The sources of volumes that Pod Security `restricted` allows."""


def a_blueprint(
    name: str = "fra",
    *,
    install: str = "orrery",
    address: str = ADDRESS,
    region: Mapping[str, Any] | None = None,
    nomad: Mapping[str, Any] | None = None,
    front_door: Mapping[str, Any] | None = None,
    mesh: Mapping[str, Any] | None = None,
    continent: Mapping[str, Any] | None = None,
) -> Blueprint:
    """Make a blueprint of a good region.

    *region* and *continent* change fields of their specs, *nomad*, *front_door* and *mesh* fields
    of those parts of the class, all written as on the wire. With a *mesh* it is Kuma's.
    """
    class_ = {"nomad": {"image": NOMAD_IMAGE, **(nomad or {})}, "frontDoor": {**(front_door or {})}}
    if mesh is not None:
        class_["mesh"] = {"provider": "Kuma", "image": KUMA_IMAGE, **mesh}
    return Blueprint(
        install=install,
        region=Region.model_validate(
            {
                "metadata": {"name": name},
                "spec": {"continent": "eu", "class": "standard", **(region or {})},
            }
        ),
        class_=RegionClass.model_validate({"metadata": {"name": "standard"}, "spec": class_}),
        continent=Continent.model_validate(
            {
                "metadata": {"name": "eu"},
                "spec": {"cluster": {"local": True}, **(continent or {})},
            }
        ),
        address=address,
    )


def pod_templates(manifests: Iterable[Manifest]) -> list[tuple[str, Mapping[str, Any]]]:
    """List the pod templates of *manifests*, each after the kind and name that makes its pods."""
    return [
        (f"{m['kind']}/{m['metadata']['name']}", m["spec"]["template"])
        for m in manifests
        if "template" in m.get("spec", {})
    ]


def restricted_violations(pod: Mapping[str, Any]) -> list[str]:
    """List what Pod Security `restricted` has against the spec of a pod, and a writable root.

    Told by the standard's own list: https://kubernetes.io/docs/concepts/security/pod-security-standards.
    """
    security = pod.get("securityContext", {})
    checks = {
        "runAsNonRoot": security.get("runAsNonRoot") is True,
        "runAsUser": security.get("runAsUser", 0) > 0,
        "seccompProfile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "host": not any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")),
        "token": pod.get("automountServiceAccountToken") is False,
    }
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own, name = container.get("securityContext", {}), container["name"]
        checks |= {
            f"{name}: escalation": own.get("allowPrivilegeEscalation") is False,
            f"{name}: root": own.get("readOnlyRootFilesystem") is True,
            f"{name}: capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            f"{name}: privileged": not own.get("privileged"),
            f"{name}: hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        }
    for volume in pod.get("volumes", []):
        (source,) = volume.keys() - {"name"}
        checks[f"volume {volume['name']}"] = source in ALLOWED_VOLUMES
    return [name for name, holds in checks.items() if not holds]
