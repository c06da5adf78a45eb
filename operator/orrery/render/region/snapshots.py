"""Render what takes snapshots of a region's Nomad on a schedule. Pure."""

from hashlib import sha256
from typing import Any, Final

import orjson

from orrery.api.regionclass import Snapshots
from orrery.render.region.blueprint import HTTP_PORT, Blueprint, Component, Manifest, SecretName
from orrery.render.region.nomad_pod import TLS_FOLDER, pod_basics
from orrery.render.region.pods import container_security, secret_volume

POLICY_RULES: Final = 'operator { capabilities = ["snapshot-save"] }'
"""All that the token of snapshots may do."""

TOKEN_FOLDER: Final = "/etc/nomad.d/snapshot"  # noqa: S105 - a folder is no password
SNAPSHOT_FOLDER: Final = "/var/lib/snapshots"

DEADLINE_SECONDS: Final = 600
RETRIES: Final = 2
KEEP_SECONDS: Final = 900
"""How long an ended Job is kept for people to look at."""


def render_snapshots(blueprint: Blueprint) -> list[Manifest]:
    """Render a CronJob and the volume that it fills; nothing where the class wants none."""
    wanted = blueprint.class_.spec.nomad.snapshots
    if wanted is None:
        return []
    return [_claim(blueprint, wanted), _cron_job(blueprint, wanted)]


def render_snapshot_job(blueprint: Blueprint, occasion: str) -> Manifest | None:
    """Render a Job that takes one snapshot on *occasion*; None where the class wants none.

    A Job cannot be changed: another occasion, or another way to take it, makes another Job.
    """
    wanted = blueprint.class_.spec.nomad.snapshots
    if wanted is None:
        return None
    spec = _cron_job(blueprint, wanted)["spec"]["jobTemplate"]["spec"]
    text = occasion.encode() + orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
    name = f"{blueprint.object_name(Component.SNAPSHOT)}-{sha256(text).hexdigest()[:8]}"
    metadata = {"name": name, "namespace": blueprint.namespace}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _claim(blueprint: Blueprint, wanted: Snapshots) -> Manifest:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wanted.storage}},
    }
    if blueprint.continent.spec.storage_class_name:
        spec["storageClassName"] = blueprint.continent.spec.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": blueprint.metadata(Component.SNAPSHOT),
        "spec": spec,
    }


def _cron_job(blueprint: Blueprint, wanted: Snapshots) -> Manifest:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": blueprint.metadata(Component.SNAPSHOT),
        "spec": {
            "schedule": _schedule(blueprint.name, wanted),
            "timeZone": "Etc/UTC",
            # Two at once would wait for each other's volume.
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": DEADLINE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            # Its Jobs carry no label of ours: they are Kubernetes' to make and to delete.
            "jobTemplate": {
                "spec": {
                    "backoffLimit": RETRIES,
                    "activeDeadlineSeconds": DEADLINE_SECONDS,
                    "ttlSecondsAfterFinished": KEEP_SECONDS,
                    "template": {
                        "metadata": {"labels": blueprint.labels(Component.SNAPSHOT)},
                        "spec": _pod(blueprint, wanted),
                    },
                },
            },
        },
    }


def _schedule(region: str, wanted: Snapshots) -> str:
    """Write the schedule; each region has a minute of its own, so that not all come at once."""
    minute = int.from_bytes(sha256(region.encode()).digest()[:4], "big") % 60
    hours = int(wanted.interval.removesuffix("h"))
    return f"{minute} */{hours} * * *" if hours < 24 else f"{minute} 0 * * *"  # noqa: PLR2004 - a day


def _pod(blueprint: Blueprint, wanted: Snapshots) -> dict[str, Any]:
    claim = {"claimName": blueprint.object_name(Component.SNAPSHOT)}
    servers = f"{blueprint.object_name(Component.NOMAD)}.{blueprint.namespace}.svc"
    return {
        **pod_basics(blueprint),
        # Each try is a pod of its own, which keeps its log.
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "snapshot",
                "image": blueprint.image(wanted.image),
                "command": ["orrery"],
                "args": [
                    "snapshot",
                    f"--address=https://{servers}:{HTTP_PORT}",
                    f"--token-file={TOKEN_FOLDER}/token",
                    f"--certificates={TLS_FOLDER}",
                    f"--folder={SNAPSHOT_FOLDER}",
                    f"--keep={wanted.keep}",
                ],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "securityContext": container_security(),
                "volumeMounts": [
                    {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
                    {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
                    {"name": "snapshots", "mountPath": SNAPSHOT_FOLDER},
                ],
            }
        ],
        "volumes": [
            secret_volume(blueprint, "token", SecretName.SNAPSHOT),
            secret_volume(blueprint, "tls", SecretName.OPERATOR),
            {"name": "snapshots", "persistentVolumeClaim": claim},
        ],
    }
