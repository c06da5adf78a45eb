"""What a playground creates in its hub: namespace, continents, a class, regions. Pure."""

import base64
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orrery.api.base import API_VERSION, GROUP
from orrery.api.regionclass import DOCKER, Driver
from orrery.names import ANNOTATION_ENDPOINT, OPERATOR_NAMESPACE
from orrery.playground import stand_in
from orrery.playground.regions import CONTINENTS, RegionPlan
from orrery.ports import Document

REGION_CLASS: Final = "playground"
LABEL_CONTINENT: Final = f"{GROUP}/continent"
LABEL_TIER: Final = "tier"

STAND_IN: Final = Driver(
    name="stand-in",
    nomad_driver="raw_exec",
    port_mapping=False,
    config={
        "command": sys.executable,
        # Isolated from the user's Python set-up, which would only slow its start.
        "args": [
            "-I",
            "-S",
            str(Path(stand_in.__file__)),
            "--port={port}",
            "--image={image}",
            "--registry-user={registryUsername}",
        ],
    },
)
"""Runs a small web server instead of the image, where there is no container engine."""


def render_namespace(name: str) -> Document:
    """Render a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def render_continent(name: str) -> Document:
    """Render a Continent."""
    return _object("Continent", name, {"displayName": CONTINENTS[name]})


def render_region_class(*, containers: bool) -> Document:
    """Render the class of all regions: real containers, or stand-ins for them."""
    driver = DOCKER if containers else STAND_IN
    drivers = [driver.model_dump(by_alias=True)]
    return _object("RegionClass", REGION_CLASS, {"nomad": {"drivers": drivers}})


def render_region(plan: RegionPlan, address: str, *, tier: str) -> Document:
    """Render a Region for a Nomad that runs at *address*."""
    external = {
        "nomadAddress": address,
        "credentialsSecretRef": {"name": secret_name(plan.name)},
    }
    spec: dict[str, Any] = {
        "continent": plan.continent,
        "class": REGION_CLASS,
        "controlPlane": {"management": "External", "external": external},
    }
    if plan.place:
        spec["displayName"] = plan.place.city
        spec["location"] = {"city": plan.place.city, "country": plan.place.country}
    labels = {LABEL_CONTINENT: plan.continent, LABEL_TIER: tier}
    return _object("Region", plan.name, spec, labels=labels)


def render_credentials(region: str, address: str, texts: Mapping[str, str]) -> Document:
    """Render the Secret that opens a region; its token is bound to *address*."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": secret_name(region),
            "namespace": OPERATOR_NAMESPACE,
            "annotations": {ANNOTATION_ENDPOINT: address},
        },
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()},
    }


def secret_name(region: str) -> str:
    """Name the Secret with a region's credentials."""
    return f"{region}-nomad"


def tiers(plans: Sequence[RegionPlan]) -> dict[str, str]:
    """Call the first region of each continent ``core``, so that a selector has something to do."""
    first = {plan.continent: plan.name for plan in reversed(plans)}
    return {plan.name: "core" if first[plan.continent] == plan.name else "edge" for plan in plans}


def _object(
    kind: str, name: str, spec: Document, *, labels: Mapping[str, str] | None = None
) -> Document:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
