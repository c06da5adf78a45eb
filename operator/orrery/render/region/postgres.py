"""Render the PostgreSQL in which a kuma-cp keeps what it knows: one server, one volume. Pure.

One is enough: while it is away, meshes go on with what their data planes were told last.
"""

from dataclasses import dataclass
from typing import Any, Final

from orrery import names
from orrery.render.region.blueprint import Component, Manifest, SecretName
from orrery.render.region.foundation import policy, port
from orrery.render.region.pods import container_security, pod_security, secret_volume
from orrery.render.region.site import Site

POSTGRES_PORT: Final = 5432
ROLE: Final = "kuma"
"""Name of the user and of its database."""

PASSWORD_KEY: Final = "password"  # noqa: S105 - a key of a Secret is no password
PASSWORD_FOLDER: Final = "/etc/postgresql/password"  # noqa: S105 - neither is a folder
TLS_FOLDER: Final = "/etc/postgresql/tls"
DATA_FOLDER: Final = "/var/lib/postgresql/data"
SOCKET_FOLDER: Final = "/var/run/postgresql"
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108 - a volume of its own

USER: Final = 999
"""PostgreSQL's in Docker's images on Debian: initdb refuses a user that has no name."""

CONNECTIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Postgres:
    """What a PostgreSQL is made of."""

    image: str
    storage: str
    storage_class: str = ""
    """Empty for the cluster's own choice."""
    certificates: str = ""
    """Digest of its certificates: it starts anew to take over other ones."""


def render_postgres(site: Site, settings: Postgres) -> list[Manifest]:
    """Render PostgreSQL, and let nobody but kuma-cp reach it."""
    name, selector = site.object_name(Component.POSTGRES), site.selector(Component.POSTGRES)
    metadata = site.metadata(Component.POSTGRES)
    ports = [{"name": "postgres", "port": POSTGRES_PORT, "targetPort": "postgres"}]
    annotations = {names.ANNOTATION_CERTIFICATES: settings.certificates}
    return [
        policy(
            site,
            Component.POSTGRES,
            {"matchLabels": selector},
            ingress=[
                {
                    "from": [{"podSelector": {"matchLabels": site.selector(Component.KUMA)}}],
                    "ports": [port(POSTGRES_PORT)],
                }
            ],
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "clusterIP": "None",
                "selector": selector,
                "ports": [{**each, "protocol": "TCP"} for each in ports],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "serviceName": name,
                "updateStrategy": {"type": "RollingUpdate"},
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {
                        "labels": site.labels(Component.POSTGRES),
                        **({"annotations": annotations} if settings.certificates else {}),
                    },
                    "spec": _pod(site, settings),
                },
                "volumeClaimTemplates": [_claim(site, settings)],
            },
        },
    ]


def _pod(site: Site, settings: Postgres) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(USER, owns_volume=True),
        "containers": [_container(site, settings)],
        "volumes": [
            secret_volume(site, "password", SecretName.POSTGRES_PASSWORD),
            secret_volume(site, "tls", SecretName.POSTGRES),
            {"name": "socket", "emptyDir": {}},
            {"name": "temporary", "emptyDir": {}},
        ],
    }


def _container(site: Site, settings: Postgres) -> dict[str, Any]:
    variables = {
        "POSTGRES_USER": ROLE,
        "POSTGRES_DB": ROLE,
        "POSTGRES_PASSWORD_FILE": f"{PASSWORD_FOLDER}/{PASSWORD_KEY}",
        "POSTGRES_INITDB_ARGS": "--data-checksums",
        # Below the volume, whose own folder may hold a lost+found.
        "PGDATA": f"{DATA_FOLDER}/pgdata",
    }
    settled = ["pg_isready", "-q", "-h", "127.0.0.1", "-U", ROLE, "-d", ROLE]
    probe = {"exec": {"command": settled}, "periodSeconds": 5, "timeoutSeconds": 5}
    return {
        "name": "postgres",
        "image": site.image(settings.image),
        "args": list(arguments()),
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "postgres", "containerPort": POSTGRES_PORT, "protocol": "TCP"}],
        # None may end it: one that recovers after a crash looks like one that hangs.
        "readinessProbe": {**probe, "failureThreshold": 3},
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA_FOLDER},
            {"name": "password", "mountPath": PASSWORD_FOLDER, "readOnly": True},
            {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
            {"name": "socket", "mountPath": SOCKET_FOLDER},
            {"name": "temporary", "mountPath": TEMPORARY_FOLDER},
        ],
    }


def arguments() -> list[str]:
    """Write what PostgreSQL is started with: it reads certificates at its start only."""
    settings = {
        "max_connections": str(CONNECTIONS),
        "ssl": "on",
        "ssl_ca_file": f"{TLS_FOLDER}/ca.crt",
        "ssl_cert_file": f"{TLS_FOLDER}/tls.crt",
        "ssl_key_file": f"{TLS_FOLDER}/tls.key",
        "ssl_min_protocol_version": "TLSv1.3",
    }
    return ["postgres", *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))]


def _claim(site: Site, settings: Postgres) -> dict[str, Any]:
    """Claim its volume; Kubernetes lets nothing of it be changed later."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": settings.storage}},
    }
    if settings.storage_class:
        spec["storageClassName"] = settings.storage_class
    return {"metadata": {"name": "data", "labels": site.labels(Component.POSTGRES)}, "spec": spec}
