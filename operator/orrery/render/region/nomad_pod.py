"""What all pods that run the program `nomad` have in common. Pure."""

from typing import Any, Final

from orrery.render.region.blueprint import Blueprint, Component, SecretName
from orrery.render.region.site import Site

TLS_FOLDER: Final = "/etc/nomad.d/tls"
"""Where a container finds ``tls.crt``, ``tls.key`` and ``ca.crt``."""

USER: Final = 65532
"""Nobody in particular: the user of images without a shell, and never root."""

SECRET_MODE: Final = 0o440
"""Readable by the pod's group, through which its user reads all volumes."""


def nomad_image(blueprint: Blueprint) -> str:
    """Name the class's image of Nomad as the continent's cluster gets it."""
    image = blueprint.class_.spec.nomad.image
    assert image is not None, "the class of a Managed region names an image of Nomad"
    return blueprint.image(image)


def pod_basics(blueprint: Blueprint) -> dict[str, Any]:
    """Write what Pod Security `restricted` asks of a pod, and what none of ours needs.

    Service links would be environment variables of other Services, which `nomad` might take for
    its own.
    """
    return {
        "serviceAccountName": blueprint.object_name(Component.NOMAD),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
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
