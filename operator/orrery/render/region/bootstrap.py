"""Render the Job that sets up the ACL system of a region's Nomad. Pure."""

from hashlib import sha256
from typing import Any, Final

import orjson

from orrery import names
from orrery.render.region.blueprint import HTTP_PORT, Blueprint, Component, Manifest, SecretName
from orrery.render.region.nomad_pod import TLS_FOLDER, nomad_image, pod_basics
from orrery.render.region.pods import container_security, secret_volume

TOKEN_FOLDER: Final = "/etc/nomad.d/bootstrap"  # noqa: S105 - a folder is no password
TOKEN_FILE: Final = "token"  # noqa: S105 - neither is a file's name

DEADLINE_SECONDS: Final = 900
RETRIES: Final = 10
KEEP_SECONDS: Final = 300
"""How long an ended Job is kept for people to look at; then it may be applied again."""


def render_bootstrap(blueprint: Blueprint) -> list[Manifest]:
    """Render a Job that makes the token of the Secret the first management token.

    The Secret is stored before, so whatever happens to the Job, the token is known. Nomad does
    this once: a second run changes nothing and fails with "ACL bootstrap already done". So a Job
    that failed may still have succeeded; whether the token works is what tells.

    A Job cannot be changed. Its name holds a digest of what it runs: another image, or another
    mirror, makes another Job.
    """
    pod = _pod(blueprint)
    labels = blueprint.labels(Component.BOOTSTRAP)
    spec = {
        "backoffLimit": RETRIES,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "ttlSecondsAfterFinished": KEEP_SECONDS,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    digest = sha256(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": blueprint.metadata(Component.BOOTSTRAP, suffix=f"-{digest}"),
            "spec": spec,
        }
    ]


def _pod(blueprint: Blueprint) -> dict[str, Any]:
    return {
        **pod_basics(blueprint),
        # Each try is a pod of its own, which keeps its log.
        "restartPolicy": "Never",
        "containers": [_container(blueprint)],
        "volumes": [
            secret_volume(blueprint, "token", SecretName.BOOTSTRAP),
            secret_volume(blueprint, "tls", SecretName.OPERATOR),
        ],
    }


def _container(blueprint: Blueprint) -> dict[str, Any]:
    servers = f"{blueprint.object_name(Component.NOMAD)}.{blueprint.namespace}.svc"
    return {
        "name": "bootstrap",
        "image": nomad_image(blueprint),
        "command": ["nomad"],
        "args": [
            "acl",
            "bootstrap",
            # All servers in one name: any of them passes it on to the leader.
            f"-address=https://{servers}:{HTTP_PORT}",
            f"-tls-server-name={names.server_host(blueprint.name)}",
            f"-ca-cert={TLS_FOLDER}/ca.crt",
            f"-client-cert={TLS_FOLDER}/tls.crt",
            f"-client-key={TLS_FOLDER}/tls.key",
            # Else the secret would be printed, and so be in the pod's log.
            "-t={{ .AccessorID }}",
            f"{TOKEN_FOLDER}/{TOKEN_FILE}",
        ],
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
            {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
        ],
    }
