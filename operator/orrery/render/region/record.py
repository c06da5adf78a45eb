"""Render what remembers, beside a region, from what it is built. Pure."""

from collections.abc import Mapping
from typing import Final

from orrery import names
from orrery.render.region.blueprint import Manifest

_SUFFIX: Final = "class"


def record_name(region: str) -> str:
    """Name the ConfigMap with the class that *region* was given."""
    return f"{region}-{_SUFFIX}"


def render_record(install: str, region: str, namespace: str, data: Mapping[str, str]) -> Manifest:
    """Write the ConfigMap; a class holds no secrets.

    It is memory and no configuration: nothing mounts it, and `orrery render` does not print it.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": record_name(region),
            "namespace": namespace,
            "labels": names.region_labels(install, region),
        },
        "data": dict(data),
    }
