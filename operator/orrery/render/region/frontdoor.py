"""A region's front door: the load balancer with its address, and the Envoys behind it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orrery import names
from orrery.render.files import as_file
from orrery.render.region.blueprint import (
    DATA_PLANE_PORT,
    HTTP_PORT,
    RPC_PORT,
    Blueprint,
    Component,
    Manifest,
    SecretName,
)
from orrery.render.region.envoy import render_envoy
from orrery.render.region.envoy_parts import READY_PORT
from orrery.render.region.envoy_secrets import (
    AUTHORITIES_FILE,
    CERTIFICATE_FILE,
    CERTIFICATES_FOLDER,
    CONFIGURATION_FOLDER,
    ENVOY_FILE,
    render_authorities,
    render_certificate,
)
from orrery.render.region.pods import (
    USER,
    configuration_digest,
    container_security,
    pod_security,
    secret_volume,
)
from orrery.render.region.site import Site, service_host

LINGER_SECONDS: Final = 40
"""How long an Envoy that is to end still serves.

Load balancers notice by their own checks that a node has no Envoy any more, most of them within
30 s, and send to it until then. Envoy itself ends at once when it is told to.
"""

GRACE_SECONDS: Final = LINGER_SECONDS + 10

_PORTS: Final = {"nomad-rpc": RPC_PORT, "nomad-http": HTTP_PORT}
_MESH_PORTS: Final = {"kuma-dp-server": DATA_PLANE_PORT}

WORKERS: Final = 2
"""Envoy takes a thread for each core of the machine, however little of it is ours."""


def render_load_balancer(blueprint: Blueprint) -> list[Manifest]:
    """Give the region its address.

    Traffic stays on the node that received it: the default policy would replace the addresses of
    machines with the node's own, in Envoy's log and in what source ranges are compared with.
    """
    settings = blueprint.continent.spec.front_door
    metadata = blueprint.metadata(Component.FRONT_DOOR)
    if settings.annotations:
        metadata["annotations"] = dict(settings.annotations)
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "selector": blueprint.selector(Component.FRONT_DOOR),
        "ports": [
            {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
            for name, port in _ports(blueprint).items()
        ],
    }
    if settings.load_balancer_class:
        spec["loadBalancerClass"] = settings.load_balancer_class
    if settings.source_ranges:
        spec["loadBalancerSourceRanges"] = list(settings.source_ranges)
    return [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}]


def render_front_door(blueprint: Blueprint) -> list[Manifest]:
    """Run the Envoys behind the load balancer, with certificates from a Secret that they watch."""
    settings = blueprint.class_.spec.front_door
    envoys = Envoys(settings.image, settings.replicas, _ports(blueprint))
    return render_envoys(blueprint, render_files(blueprint), envoys)


@dataclass(frozen=True, slots=True)
class Envoys:
    """What the Envoys of a front door are, beside their configuration."""

    image: str
    replicas: int
    ports: Mapping[str, int]
    """By name, those at which callers come in."""


def render_envoys(site: Site, files: Mapping[str, str], envoys: Envoys) -> list[Manifest]:
    """Run *envoys* with the configuration in *files* as the front door of *site*."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": site.metadata(Component.FRONT_DOOR),
            "data": dict(files),
        },
        _deployment(site, files, envoys),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": site.metadata(Component.FRONT_DOOR),
            "spec": {
                # Not minAvailable: of a single Envoy it would keep its node from being drained.
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": site.selector(Component.FRONT_DOOR)},
            },
        },
    ]


def render_files(blueprint: Blueprint) -> dict[str, str]:
    """Write the files of Envoy's configuration, by name; the same bytes for the same blueprint."""
    servers = service_host(blueprint, Component.NOMAD)
    mesh = service_host(blueprint, Component.KUMA) if blueprint.class_.spec.mesh.is_kuma else ""
    return envoy_files(render_envoy(blueprint.name, servers=servers, mesh=mesh))


def envoy_files(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Write *configuration*, and the files that it reads certificates by."""
    documents = {
        ENVOY_FILE: configuration,
        CERTIFICATE_FILE: render_certificate(),
        AUTHORITIES_FILE: render_authorities(),
    }
    return {name: as_file(document) for name, document in documents.items()}


def _ports(blueprint: Blueprint) -> dict[str, int]:
    return _PORTS | (_MESH_PORTS if blueprint.class_.spec.mesh.is_kuma else {})


def _deployment(site: Site, files: Mapping[str, str], envoys: Envoys) -> Manifest:
    selector = site.selector(Component.FRONT_DOOR)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": site.metadata(Component.FRONT_DOOR),
        "spec": {
            "replicas": envoys.replicas,
            "selector": {"matchLabels": selector},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {
                    "labels": site.labels(Component.FRONT_DOOR),
                    "annotations": {names.ANNOTATION_CONFIGURATION: configuration_digest(files)},
                },
                "spec": _pod(site, selector, envoys),
            },
        },
    }


def _pod(site: Site, selector: Mapping[str, str], envoys: Envoys) -> dict[str, Any]:
    return {
        "serviceAccountName": site.object_name(Component.FRONT_DOOR),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(USER),
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    _apart(selector, "kubernetes.io/hostname", weight=100),
                    _apart(selector, "topology.kubernetes.io/zone", weight=50),
                ]
            }
        },
        "containers": [envoy_container(site.image(envoys.image), envoys.ports)],
        "volumes": envoy_volumes(site, Component.FRONT_DOOR, SecretName.FRONT_DOOR),
    }


def envoy_volumes(site: Site, part: Component, secret: SecretName) -> list[dict[str, Any]]:
    """Write the volumes of an Envoy: the ConfigMap of *part*, and certificates."""
    return [
        {"name": "configuration", "configMap": {"name": site.object_name(part)}},
        secret_volume(site, "certificates", secret),
    ]


def envoy_container(image: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """Write the container of an Envoy that serves callers at *ports*, until the last has left."""
    ports = {**ports, "ready": READY_PORT}
    return {
        "name": "envoy",
        "image": image,
        "command": ["envoy"],
        "args": [
            *("-c", f"{CONFIGURATION_FOLDER}/{ENVOY_FILE}"),
            *("--concurrency", str(WORKERS)),
            # Restarts within a pod are the kubelet's: no shared memory, no sockets for them.
            "--disable-hot-restart",
            *("--drain-time-s", str(LINGER_SECONDS)),
            *("--log-level", "info"),
        ],
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()
        ],
        "securityContext": container_security(),
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "1Gi"},
        },
        # The first look at DNS may take long; Envoy listens after it, whatever it brought.
        "startupProbe": _probe(period=1, failures=120),
        "readinessProbe": _probe(period=5, failures=2),
        "livenessProbe": _probe(period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": LINGER_SECONDS}}},
        "volumeMounts": [
            {"name": "configuration", "mountPath": CONFIGURATION_FOLDER, "readOnly": True},
            {"name": "certificates", "mountPath": CERTIFICATES_FOLDER, "readOnly": True},
        ],
    }


def _probe(*, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/ready", "port": "ready"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _apart(selector: Mapping[str, str], topology: str, *, weight: int) -> dict[str, Any]:
    term = {"topologyKey": topology, "labelSelector": {"matchLabels": dict(selector)}}
    return {"weight": weight, "podAffinityTerm": term}
