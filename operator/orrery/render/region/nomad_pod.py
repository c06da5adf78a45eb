"""What all pods that run the program `nomad` have in common. Pure."""

from typing import Any, Final

from orrery.render.region.blueprint import Blueprint, Component
from orrery.render.region.pods import USER, pod_security

TLS_FOLDER: Final = "/etc/nomad.d/tls"
"""Where a container finds ``tls.crt``, ``tls.key`` and ``ca.crt``."""


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
        "securityContext": pod_security(USER, owns_volume=True),
    }
