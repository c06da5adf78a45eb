"""What all pods of a control plane have in common, whatever program they run. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import orjson

from orrery.render.region.blueprint import SecretName
from orrery.render.region.site import Site

USER: Final = 65532
"""Nobody in particular: the user of images without a shell, and never root."""

SECRET_MODE: Final = 0o440
"""Readable by the pod's group, through which its user reads all volumes."""


def pod_security(user: int, *, owns_volume: bool = False) -> dict[str, Any]:
    """Write what Pod Security `restricted` asks of a pod that runs as *user* and its group.

    Where it *owns_volume*, whose files may be many, their group is only set when it is another.
    """
    policy = {"fsGroupChangePolicy": "OnRootMismatch"} if owns_volume else {}
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        **policy,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Write what Pod Security `restricted` asks of a container, and a root it cannot write to."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def secret_volume(site: Site, name: str, secret: SecretName) -> dict[str, Any]:
    """Write the volume *name* of a pod with all keys of *secret*."""
    source = {"secretName": site.object_name(secret), "defaultMode": SECRET_MODE}
    return {"name": name, "secret": source}


def configuration_digest(files: Mapping[str, str]) -> str:
    """Digest the *files* of a configuration, so that another one means other pods."""
    return sha256(orjson.dumps(files, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
