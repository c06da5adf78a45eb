"""Render the Nomad servers of a region: their configuration, their pods and their names. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery import names
from orrery.render.files import as_file
from orrery.render.region.blueprint import (
    HTTP_PORT,
    RPC_PORT,
    SERF_PORT,
    Blueprint,
    Component,
    Manifest,
    SecretName,
)
from orrery.render.region.nomad_pod import TLS_FOLDER, nomad_image, pod_basics
from orrery.render.region.pods import configuration_digest, container_security, secret_volume

LABEL_POD: Final = "statefulset.kubernetes.io/pod-name"
"""Kubernetes itself writes it to each pod of a StatefulSet."""

DATA_CENTER: Final = "control-plane"
"""Where the servers themselves are; machines name data centers of their own."""

SERVER_FILE: Final = "server.json"
SERVER_FOLDER: Final = "/etc/nomad.d/server"
GOSSIP_FILE: Final = "gossip.json"
GOSSIP_FOLDER: Final = "/etc/nomad.d/gossip"
DATA_FOLDER: Final = "/var/lib/nomad"
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108 - a volume of its own, for snapshots on their way

SETTLE_SECONDS: Final = 30
"""How long a server must be up before the next one is touched, or autopilot is asked about it.

A server that was away for long has no vote until autopilot saw it healthy for 10 s, which takes
it 15 s (measured, 2.0.6): to lose another one before that can be the quorum. What autopilot says
of a server that was away for a moment only may still be from before.
"""

STOP_SECONDS: Final = 30

INTRODUCTION_DEFAULT: Final = "30m"
INTRODUCTION_LONGEST: Final = "8h"
"""How long a machine may take to join; Nomad cuts what is asked for beyond (2.0.6)."""

_PORTS: Final = {
    "http": (HTTP_PORT, "TCP"),
    "rpc": (RPC_PORT, "TCP"),
    "serf": (SERF_PORT, "TCP"),
    "serf-udp": (SERF_PORT, "UDP"),
}


def render_servers(blueprint: Blueprint) -> list[Manifest]:
    """Render the servers, which advertise the load balancer's address: there must be one."""
    files = render_files(blueprint)
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": blueprint.metadata(Component.NOMAD),
            "data": files,
        },
        _pod_names(blueprint),
        *(_address(blueprint, server) for server in _servers(blueprint)),
        _stateful_set(blueprint, files),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": blueprint.metadata(Component.NOMAD),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": blueprint.selector(Component.NOMAD)},
            },
        },
    ]


def render_files(blueprint: Blueprint) -> dict[str, str]:
    """Write the files of the servers' configuration: one for all of them, and one for each."""
    servers = _servers(blueprint)
    documents = {SERVER_FILE: _configuration(blueprint)}
    documents |= {f"{server}.json": _own(blueprint, server, servers) for server in servers}
    return {name: as_file(document) for name, document in documents.items()}


def _configuration(blueprint: Blueprint) -> dict[str, Any]:
    assert blueprint.address, "servers advertise the load balancer's address"
    return {
        "region": blueprint.name,
        "datacenter": DATA_CENTER,
        "data_dir": DATA_FOLDER,
        "bind_addr": "0.0.0.0",  # noqa: S104 - mutual TLS on two ports, a shared key on the third
        "ports": {"http": HTTP_PORT, "rpc": RPC_PORT, "serf": SERF_PORT},
        # A client goes to the address and port that it learns here, so both are the front door's.
        # Servers go to the addresses that gossip tells them of each other (measured, 2.0.6).
        "advertise": {"http": blueprint.address, "rpc": blueprint.address},
        "tls": {
            "http": True,
            "rpc": True,
            "ca_file": f"{TLS_FOLDER}/ca.crt",
            "cert_file": f"{TLS_FOLDER}/tls.crt",
            "key_file": f"{TLS_FOLDER}/tls.key",
            "verify_server_hostname": True,
            "verify_https_client": True,
        },
        "acl": {"enabled": True},
        # All machines come from the address of one load balancer: the default of 100 connections
        # for each address would be the whole region's.
        "limits": {"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0},
        "server": {
            "enabled": True,
            "bootstrap_expect": blueprint.class_.spec.nomad.servers,
            # An election, or a front door that moves, must not cost an allocation.
            "heartbeat_grace": "60s",
            # Who reads the stream may be away for a while: the default keeps 100 events.
            "event_buffer_size": 10_000,
            # A certificate alone is not enough to join: a machine is introduced, once.
            "client_introduction": {
                "enforcement": "strict",
                "default_identity_ttl": INTRODUCTION_DEFAULT,
                "max_identity_ttl": INTRODUCTION_LONGEST,
            },
        },
        "autopilot": {"cleanup_dead_servers": True},
        # A pod that ends comes back: it must not leave the raft meanwhile.
        "leave_on_interrupt": False,
        "leave_on_terminate": False,
        "consul": {
            "auto_advertise": False,
            "client_auto_join": False,
            "server_auto_join": False,
        },
        "telemetry": {"prometheus_metrics": True},
        "disable_update_check": True,
    }


def _own(blueprint: Blueprint, server: str, servers: Sequence[str]) -> dict[str, Any]:
    """Write what one server alone has: the address that the others know it by, and the others.

    Its Service has that address, since pods change theirs. Raft goes by the addresses that it has
    stored: servers that all came back with other ones, as after a restart of their nodes, found no
    leader. And gossip refuses a known name with another address: a single one that came back was
    not let in (2.0.6, measured for 100 and 90 seconds). A server does not join itself: that would
    count as success, and end its search.
    """
    others = [f"{_host(blueprint, other)}:{SERF_PORT}" for other in servers if other != server]
    joins = {"server": {"server_join": {"retry_join": others}}} if others else {}
    return {"advertise": {"serf": _host(blueprint, server)}, **joins}


def _servers(blueprint: Blueprint) -> list[str]:
    """Name the servers as the StatefulSet names its pods."""
    name = blueprint.object_name(Component.NOMAD)
    return [f"{name}-{number}" for number in range(blueprint.class_.spec.nomad.servers)]


def _host(blueprint: Blueprint, server: str) -> str:
    return f"{server}.{blueprint.namespace}.svc"


def _pod_names(blueprint: Blueprint) -> Manifest:
    """Give the pods names in DNS, and all that are up one in common."""
    headless = {"clusterIP": "None", **_ports_of(blueprint.selector(Component.NOMAD))}
    metadata = blueprint.metadata(Component.NOMAD)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": headless}


def _address(blueprint: Blueprint, server: str) -> Manifest:
    """Give one server an address that stays."""
    suffix = server.removeprefix(blueprint.object_name(Component.NOMAD))
    selector = blueprint.selector(Component.NOMAD) | {LABEL_POD: server}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": blueprint.metadata(Component.NOMAD, suffix=suffix),
        "spec": _ports_of(selector),
    }


def _ports_of(selector: Mapping[str, str]) -> dict[str, Any]:
    """Write the spec of a Service that leads to pods, ready or not: they must meet before."""
    return {
        "publishNotReadyAddresses": True,
        "selector": dict(selector),
        "ports": [
            {"name": name, "port": port, "targetPort": name, "protocol": protocol}
            for name, (port, protocol) in _PORTS.items()
        ],
    }


def _stateful_set(blueprint: Blueprint, files: Mapping[str, str]) -> Manifest:
    """Run the servers side by side, and change them one by one.

    They start together, since the first alone would wait for its quorum for ever. A change goes on
    when a server has read its configuration, keys and data, and has been up for a while; it does
    not ask whether there is a leader, or servers that never had one could not be mended.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": blueprint.metadata(Component.NOMAD),
        "spec": {
            "replicas": blueprint.class_.spec.nomad.servers,
            "serviceName": blueprint.object_name(Component.NOMAD),
            "podManagementPolicy": "Parallel",
            # At rest. Orrery holds the partition high in an update, and lowers it server by server.
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "minReadySeconds": SETTLE_SECONDS,
            "selector": {"matchLabels": blueprint.selector(Component.NOMAD)},
            "template": {
                "metadata": {
                    "labels": blueprint.labels(Component.NOMAD),
                    "annotations": _digests(blueprint, files),
                },
                "spec": _pod(blueprint),
            },
            "volumeClaimTemplates": [_claim(blueprint)],
        },
    }


def _pod(blueprint: Blueprint) -> dict[str, Any]:
    return {
        **pod_basics(blueprint),
        "terminationGracePeriodSeconds": STOP_SECONDS,
        **_apart(blueprint.selector(Component.NOMAD)),
        "containers": [_container(blueprint)],
        "volumes": [
            {"name": "server", "configMap": {"name": blueprint.object_name(Component.NOMAD)}},
            secret_volume(blueprint, "gossip", SecretName.GOSSIP),
            secret_volume(blueprint, "tls", SecretName.NOMAD),
            {"name": "temporary", "emptyDir": {}},
        ],
    }


def _apart(selector: Mapping[str, str]) -> dict[str, Any]:
    """Ask for other nodes and other zones, as well as there are any: one node is a cluster too.

    Demanded, it would keep a server from coming back while its node is away.
    """
    pods = {"labelSelector": {"matchLabels": dict(selector)}}
    nodes = {**pods, "topologyKey": "kubernetes.io/hostname"}
    zones = {**pods, "topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}
    return {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": nodes}
                ]
            }
        },
        "topologySpreadConstraints": [{**zones, "whenUnsatisfiable": "ScheduleAnyway"}],
    }


def _container(blueprint: Blueprint) -> dict[str, Any]:
    resources = blueprint.class_.spec.nomad.resources
    return {
        "name": "nomad",
        "image": nomad_image(blueprint),
        "command": ["nomad"],
        "args": [
            "agent",
            f"-config={SERVER_FOLDER}/{SERVER_FILE}",
            f"-config={SERVER_FOLDER}/$(POD_NAME).json",
            f"-config={GOSSIP_FOLDER}/{GOSSIP_FILE}",
            "-node=$(POD_NAME)",
        ],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *_shell_environment(blueprint),
        ],
        "ports": [
            {"name": name, "containerPort": port, "protocol": protocol}
            for name, (port, protocol) in _PORTS.items()
        ],
        # The last port to be opened. A probe has no certificate, so it cannot ask more than that;
        # and none may end a server: one that reads its data back looks like one that hangs.
        "readinessProbe": {
            "tcpSocket": {"port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 3,
            "failureThreshold": 2,
        },
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA_FOLDER},
            {"name": "server", "mountPath": SERVER_FOLDER, "readOnly": True},
            {"name": "gossip", "mountPath": GOSSIP_FOLDER, "readOnly": True},
            {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
            {"name": "temporary", "mountPath": TEMPORARY_FOLDER},
        ],
    }


def _shell_environment(blueprint: Blueprint) -> list[dict[str, str]]:
    """Let people use `nomad` in a server's container, with no more than their own token."""
    variables = {
        "NOMAD_ADDR": f"https://127.0.0.1:{HTTP_PORT}",
        "NOMAD_CACERT": f"{TLS_FOLDER}/ca.crt",
        "NOMAD_CLIENT_CERT": f"{TLS_FOLDER}/tls.crt",
        "NOMAD_CLIENT_KEY": f"{TLS_FOLDER}/tls.key",
        "NOMAD_TLS_SERVER_NAME": names.server_host(blueprint.name),
    }
    return [{"name": name, "value": value} for name, value in variables.items()]


def _claim(blueprint: Blueprint) -> dict[str, Any]:
    """Claim a server's volume; Kubernetes lets nothing of it be changed later."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": blueprint.class_.spec.nomad.storage}},
    }
    if blueprint.continent.spec.storage_class_name:
        spec["storageClassName"] = blueprint.continent.spec.storage_class_name
    return {"metadata": {"name": "data", "labels": blueprint.labels(Component.NOMAD)}, "spec": spec}


def _digests(blueprint: Blueprint, files: Mapping[str, str]) -> dict[str, str]:
    """Describe what pods are started anew for: Nomad reads its certificates at its start only."""
    digests = {names.ANNOTATION_CONFIGURATION: configuration_digest(files)}
    if blueprint.certificates:
        digests[names.ANNOTATION_CERTIFICATES] = blueprint.certificates
        digests[names.ANNOTATION_CERTIFICATES_EXPIRE] = blueprint.certificates_expire
    return digests
