"""What cannot be changed: judged before it is sent, in the words of the CRDs."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.builders import a_deployment, a_region
from tests.unit.cli.hubs import ReadableHub, a_continent

from orrery.api.crd import DEFINITIONS, document
from orrery.cli.manifests import Manifest
from orrery.cli.transitions import RULES, refused_by_the_hub, refused_changes
from orrery.ports import Kind


def a_managed_region(name: str = "fra") -> dict[str, Any]:
    body = a_region(name)
    spec = {key: value for key, value in body["spec"].items() if key != "controlPlane"}
    return {**body, "spec": spec}


TYPE = "type cannot be changed: delete the deployment and create it anew"
CONTINENT = "continent cannot be changed: make a new region instead"
MANAGEMENT = "a Managed region cannot become External, nor the reverse: make a new region"
PREFIX = "namespacePrefix cannot be changed: the regions' namespaces carry it"


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        pytest.param(
            Kind.GLOBAL_DEPLOYMENT,
            a_deployment(type="WEB"),
            a_deployment(type="WORKER"),
            [f"spec.type: WEB -> WORKER: {TYPE}"],
            id="type",
        ),
        pytest.param(
            Kind.GLOBAL_DEPLOYMENT,
            a_deployment(),
            a_deployment(scaling={"count": 9}),
            [],
            id="anything-else",
        ),
        pytest.param(
            Kind.REGION,
            a_region("fra", continent="eu"),
            a_region("fra", continent="na"),
            [f"spec.continent: eu -> na: {CONTINENT}"],
            id="continent",
        ),
        pytest.param(
            Kind.REGION,
            a_region("fra"),
            a_managed_region("fra"),
            [f"spec.controlPlane: External -> Managed: {MANAGEMENT}"],
            id="control-plane",
        ),
        pytest.param(
            Kind.CONTINENT,
            a_continent("eu"),
            a_continent("eu", namespacePrefix="eu-"),
            [f"spec.namespacePrefix: orrery- -> eu-: {PREFIX}"],
            id="prefix",
        ),
        pytest.param(
            Kind.CONTINENT,
            a_continent("eu"),
            a_continent("eu", namespacePrefix="orrery-"),
            [],
            id="the-default-said",
        ),
        pytest.param(Kind.REGION, a_region("fra"), {"spec": "text"}, [], id="no-spec-at-all"),
    ],
)
def test_what_cannot_be_changed(
    kind: Kind, old: dict[str, Any], new: dict[str, Any], expected: list[str]
) -> None:
    assert refused_changes(kind, old, new) == expected


def test_every_rule_of_the_definitions_that_looks_back_is_judged() -> None:
    looking_back = {
        (definition.kind, rule["message"])
        for definition in DEFINITIONS
        for rule in rules_of(document(definition))
        if "oldSelf" in rule["rule"]
    }

    assert {(rule.kind.value, rule.message) for rule in RULES} == looking_back


def rules_of(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for below in node.values():
            yield from rules_of(below)
    elif isinstance(node, list):
        for below in node:
            yield from rules_of(below)


async def test_regions_and_continents_of_the_files_are_judged_too() -> None:
    hub = ReadableHub()
    hub.apply(Kind.REGION, a_region("fra", continent="eu"))
    hub.apply(Kind.CONTINENT, a_continent("eu"))
    hub.closed_kinds.add(Kind.CONTINENT)
    manifests = [
        Manifest("f", a_region("fra", continent="na")),
        Manifest("f", a_region("new", continent="na")),
        Manifest("f", a_continent("eu", namespacePrefix="x-")),
    ]

    refused = await refused_by_the_hub(hub, manifests)

    assert refused == [f"Region fra in f: spec.continent: eu -> na: {CONTINENT}"]
