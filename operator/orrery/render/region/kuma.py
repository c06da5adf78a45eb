"""Render the kuma-cps of a control plane, a zone's or the global one, in universal mode. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from orrery import names
from orrery.render.region.blueprint import DATA_PLANE_PORT, Component, Manifest, SecretName
from orrery.render.region.foundation import Rule, policy, port
from orrery.render.region.pods import (
    USER,
    configuration_digest,
    container_security,
    pod_security,
    secret_volume,
)
from orrery.render.region.postgres import PASSWORD_KEY, POSTGRES_PORT, ROLE
from orrery.render.region.site import Site, service_host

TLS_FOLDER: Final = "/etc/kuma/tls"
TOKENS_FOLDER: Final = "/etc/kuma/tokens"
CONFIGURATION_FOLDER: Final = "/etc/kuma/configuration"
CONFIGURATION_FILE: Final = "kuma-cp.yaml"
DATABASE_FOLDER: Final = "/etc/kuma/database"
WORK_FOLDER: Final = "/tmp/kuma"  # noqa: S108 - on a volume of its own
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108 - the same

KDS_PORT: Final = 5685
"""Of the global control plane. Beside a zone's, the Envoy that leads there listens at it."""

INTER_CP_PORT: Final = 5683
DIAGNOSTICS_PORT: Final = 5680

CONNECTIONS: Final = 20
"""To PostgreSQL, of one kuma-cp: its own default times its replicas is more than one takes."""

DATABASE_KEYS: Final = ("host", "port", "username", "password", "dbname", "ca.crt")
"""What the Secret of a PostgreSQL that is not ours must hold."""

SIGNING_KEY: Final = "signing.key"
PUBLIC_KEY: Final = "public.pem"
KEY_ID: Final = "orrery"
"""Names the key in tokens: ``kumactl generate user-token --kid orrery``."""

DATA_PLANE_MESH: Final = "default"
"""The mesh that Kuma makes by itself. Tokens of its data planes may be signed by that key, too."""

GRACE_SECONDS: Final = 30

Variable = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Store:
    """Where a kuma-cp keeps what it knows, as its environment says it."""

    variables: Sequence[Variable]
    secret: str = ""
    """Name of the Secret with the authority of PostgreSQL; empty: it is that of kuma-cp itself."""
    port: int | None = None
    """Where in the namespace it is; None: outside, at any port, or nowhere."""
    migrates: bool = True


@dataclass(frozen=True, slots=True)
class Kuma:
    """What the kuma-cps of a control plane are made of."""

    image: str
    replicas: int
    cpu: str
    memory: str
    store: Store
    variables: Mapping[str, str]
    """What tells a zone from the global control plane."""
    ports: Mapping[str, int]
    """By name, those that the front door leads to."""
    sidecar: Mapping[str, Any] | None = None
    """A container beside it, and the *sidecar_volumes* that it needs."""
    sidecar_volumes: Sequence[Mapping[str, Any]] = ()
    egress: Sequence[Rule] = ()
    """What it may reach beside PostgreSQL and its like."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What its ConfigMap holds beside kuma-cp's own configuration."""
    serves_data_planes: bool = False
    """Whether data planes come to it, with tokens."""
    certificates: str = ""
    """Digest of its certificates: it starts anew to take over other ones."""


def managed_store(site: Site) -> Store:
    """Keep all in the PostgreSQL of the *site* itself."""
    password = {"name": site.object_name(SecretName.POSTGRES_PASSWORD), "key": PASSWORD_KEY}
    return Store(
        [
            *_postgres(f"{TLS_FOLDER}/ca.crt"),
            _variable("KUMA_STORE_POSTGRES_HOST", service_host(site, Component.POSTGRES)),
            _variable("KUMA_STORE_POSTGRES_PORT", str(POSTGRES_PORT)),
            _variable("KUMA_STORE_POSTGRES_USER", ROLE),
            _variable("KUMA_STORE_POSTGRES_DB_NAME", ROLE),
            _from_secret("KUMA_STORE_POSTGRES_PASSWORD", password),
        ],
        port=POSTGRES_PORT,
    )


def external_store(secret: str) -> Store:
    """Keep all in the PostgreSQL that *secret* leads to."""
    settings = {
        "HOST": "host",
        "PORT": "port",
        "USER": "username",
        "DB_NAME": "dbname",
        "PASSWORD": "password",
    }
    found = [
        _from_secret(f"KUMA_STORE_POSTGRES_{name}", {"name": secret, "key": key})
        for name, key in settings.items()
    ]
    return Store([*_postgres(f"{DATABASE_FOLDER}/ca.crt"), *found], secret=secret)


def memory_store() -> Store:
    """Keep nothing."""
    return Store([_variable("KUMA_STORE_TYPE", "memory")], migrates=False)


def render_kuma(site: Site, settings: Kuma) -> list[Manifest]:
    """Render kuma-cps, and let nobody reach them but each other and the front door."""
    selector, metadata = site.selector(Component.KUMA), site.metadata(Component.KUMA)
    ports = [
        {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
        for name, number in settings.ports.items()
    ]
    files = {CONFIGURATION_FILE: _configuration(settings), **settings.files}
    return [
        *_policies(site, settings),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": "None", "selector": selector, "ports": ports},
        },
        _deployment(site, settings, files),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": selector},
            },
        },
    ]


def _policies(site: Site, settings: Kuma) -> list[Manifest]:
    kuma, postgres, front_door = (
        {"matchLabels": site.selector(component)}
        for component in (Component.KUMA, Component.POSTGRES, Component.FRONT_DOOR)
    )
    among = {"ports": [port(INTER_CP_PORT)]}
    served = [port(number) for number in settings.ports.values()]
    egress = [{"to": [{"podSelector": kuma}], **among}, *settings.egress]
    if settings.store.port is not None:
        egress.append({"to": [{"podSelector": postgres}], "ports": [port(settings.store.port)]})
    elif settings.store.secret:
        # Where it is stands in a Secret, which no manifest may tell of.
        egress.append({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]})
    return [
        policy(
            site,
            Component.KUMA,
            kuma,
            ingress=[
                {"from": [{"podSelector": kuma}], **among},
                {"from": [{"podSelector": front_door}], "ports": served},
            ],
            egress=egress,
        ),
        policy(
            site,
            "front-door-mesh",
            front_door,
            ingress=[{"ports": served}],
            egress=[{"to": [{"podSelector": kuma}], "ports": served}],
        ),
    ]


def _configuration(settings: Kuma) -> str:
    """Write what no variable of its environment can say: the key by which kuma-cp knows people.

    Its own signing key is unknown to everybody, and the token that it would issue for ten years is
    not wanted: who may read the Secret signs a token for as long as it is needed. The tokens of
    machines' data planes are signed by the same key; what says who a person is lacks in them.
    """
    key = {"kid": KEY_ID, "keyFile": f"{TOKENS_FOLDER}/{PUBLIC_KEY}"}
    tokens = {"bootstrapAdminToken": False, "validator": {"publicKeys": [key]}}
    document: dict[str, Any] = {"apiServer": {"authn": {"tokens": tokens}}}
    if settings.serves_data_planes:
        shown = {"validator": {"publicKeys": [{**key, "mesh": DATA_PLANE_MESH}]}}
        document["dpServer"] = {"authn": {"dpProxy": {"dpToken": shown}}}
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options).decode()  # YAML has all of JSON.


def _deployment(site: Site, settings: Kuma, files: Mapping[str, str]) -> Manifest:
    """Run kuma-cps side by side; those without a database must not: each would be the zone."""
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    selector = site.selector(Component.KUMA)
    annotations = {names.ANNOTATION_CONFIGURATION: configuration_digest(files)}
    if settings.certificates:
        annotations[names.ANNOTATION_CERTIFICATES] = settings.certificates
    metadata = {"labels": site.labels(Component.KUMA), "annotations": annotations}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": site.metadata(Component.KUMA),
        "spec": {
            "replicas": settings.replicas,
            "selector": {"matchLabels": selector},
            "strategy": strategy if settings.store.migrates else {"type": "Recreate"},
            "template": {"metadata": metadata, "spec": _pod(site, settings, selector)},
        },
    }


def _pod(site: Site, settings: Kuma, selector: Mapping[str, str]) -> dict[str, Any]:
    pods = {"labelSelector": {"matchLabels": dict(selector)}}
    apart = {"weight": 100, "podAffinityTerm": {**pods, "topologyKey": "kubernetes.io/hostname"}}
    volumes = [
        secret_volume(site, "tls", SecretName.KUMA),
        _only(secret_volume(site, "tokens", SecretName.KUMA_TOKENS), "secret", PUBLIC_KEY),
        _only(
            {"name": "kuma", "configMap": {"name": site.object_name(Component.KUMA)}},
            "configMap",
            CONFIGURATION_FILE,
        ),
        {"name": "temporary", "emptyDir": {}},
        *settings.sidecar_volumes,
    ]
    if settings.store.secret:
        volume = {"name": "database", "secret": {"secretName": settings.store.secret}}
        volumes.append(_only(volume, "secret", "ca.crt"))
    migrate = _program(site, settings, "migrate", "up") | {"name": "migrate"}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(USER),
        "affinity": {
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}
        },
        **({"initContainers": [migrate]} if settings.store.migrates else {}),
        "containers": [
            _container(site, settings),
            *([dict(settings.sidecar)] if settings.sidecar else []),
        ],
        "volumes": volumes,
    }


def _only(volume: Mapping[str, Any], source: str, key: str) -> dict[str, Any]:
    """Have a volume hold one *key* of its source, and no other."""
    items = [{"key": key, "path": key}]
    return {**volume, source: {**volume[source], "items": items}}


def _container(site: Site, settings: Kuma) -> dict[str, Any]:
    ports = {**settings.ports, "inter-cp": INTER_CP_PORT, "diagnostics": DIAGNOSTICS_PORT}
    return _program(site, settings, "run") | {
        "name": "kuma-cp",
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in ports.items()
        ],
        "startupProbe": _probe("/ready", period=2, failures=60),
        "readinessProbe": _probe("/ready", period=5, failures=2),
        "livenessProbe": _probe("/healthy", period=10, failures=6),
        "resources": {
            "requests": {"cpu": settings.cpu, "memory": settings.memory},
            "limits": {"memory": settings.memory},
        },
    }


def _program(site: Site, settings: Kuma, *arguments: str) -> dict[str, Any]:
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    mounts = [
        {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
        {"name": "tokens", "mountPath": TOKENS_FOLDER, "readOnly": True},
        {"name": "kuma", "mountPath": CONFIGURATION_FOLDER, "readOnly": True},
        {"name": "temporary", "mountPath": TEMPORARY_FOLDER},
    ]
    if settings.store.secret:
        mounts.append({"name": "database", "mountPath": DATABASE_FOLDER, "readOnly": True})
    return {
        "image": site.image(settings.image),
        "command": ["kuma-cp"],
        "args": [*arguments, f"--config-file={CONFIGURATION_FOLDER}/{CONFIGURATION_FILE}"],
        "env": [
            address,
            *(_variable(name, value) for name, value in environment(settings.variables).items()),
            *settings.store.variables,
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Write what kuma-cps are told beside where they keep what they know."""
    return {
        "KUMA_ENVIRONMENT": "universal",
        **variables,
        # Whoever gets into the pod's network, be it by a proxy, would be an administrator.
        "KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN": "false",
        "KUMA_API_SERVER_HTTP_INTERFACE": "127.0.0.1",
        "KUMA_API_SERVER_HTTPS_INTERFACE": "127.0.0.1",
        "KUMA_GENERAL_TLS_CERT_FILE": f"{TLS_FOLDER}/tls.crt",
        "KUMA_GENERAL_TLS_KEY_FILE": f"{TLS_FOLDER}/tls.key",
        "KUMA_GENERAL_WORK_DIR": WORK_FOLDER,
        "KUMA_INTER_CP_CATALOG_INSTANCE_ADDRESS": "$(POD_IP)",
        "KUMA_MONITORING_ASSIGNMENT_SERVER_ENABLED": "false",
        "KUMA_REPORTS_ENABLED": "false",
    }


def kuma_ports(*, is_global: bool) -> dict[str, int]:
    """Name the port that the front door leads to."""
    return {"kds": KDS_PORT} if is_global else {"kuma-dp-server": DATA_PLANE_PORT}


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "diagnostics"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _postgres(authority: str) -> list[Variable]:
    settings = {
        "KUMA_STORE_TYPE": "postgres",
        "KUMA_STORE_POSTGRES_TLS_MODE": "verifyFull",
        "KUMA_STORE_POSTGRES_TLS_CA_PATH": authority,
        "KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS": str(CONNECTIONS),
        "KUMA_STORE_POSTGRES_MAX_IDLE_CONNECTIONS": str(CONNECTIONS),
    }
    return [_variable(name, value) for name, value in settings.items()]


def _variable(name: str, value: str) -> Variable:
    return {"name": name, "value": value}


def _from_secret(name: str, reference: Mapping[str, str]) -> Variable:
    return {"name": name, "valueFrom": {"secretKeyRef": dict(reference)}}
