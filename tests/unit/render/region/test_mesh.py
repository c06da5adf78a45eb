"""The mesh of a region: what its pods may do, where secrets are, what a class changes of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.lab.envoy import require_envoy, validate
from tests.unit.render.region.blueprints import (
    JOINED,
    KUMA_IMAGE,
    a_blueprint,
    pod_templates,
    restricted_violations,
)

from orrery.render.globalmesh import GlobalMesh, render_global_mesh
from orrery.render.globalmesh import render_files as render_global_files
from orrery.render.region import render_region
from orrery.render.region.blueprint import Blueprint, Manifest
from orrery.render.region.envoy_secrets import ENVOY_FILE
from orrery.render.region.frontdoor import render_files, render_load_balancer
from orrery.render.region.layers import MESH, MESH_STORE
from orrery.render.region.mesh import render_link_files, split_address

MANAGED = a_blueprint(mesh=JOINED)
EXTERNAL = a_blueprint(mesh={"store": {"mode": "External", "secretRef": {"name": "database"}}})
MEMORY = a_blueprint(mesh={"store": {"mode": "Memory"}})
GLOBAL = render_global_mesh(GlobalMesh(KUMA_IMAGE))


def of_the_mesh(blueprint: Blueprint) -> list[Manifest]:
    wanted = {MESH, MESH_STORE}
    return [
        m for layer in render_region(blueprint) if layer.name in wanted for m in layer.manifests
    ]


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def pod(blueprint: Blueprint) -> Mapping[str, Any]:
    deployment = find(of_the_mesh(blueprint), "Deployment", "fra-kuma")
    spec: Mapping[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def environment(blueprint: Blueprint) -> dict[str, Any]:
    container = pod(blueprint)["containers"][0]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_a_class_without_a_mesh_renders_nothing_of_one() -> None:
    assert of_the_mesh(a_blueprint()) == []
    assert "5678" not in json.dumps([dict(m) for m in render_load_balancer(a_blueprint())])


@pytest.mark.parametrize(
    "manifests",
    [
        pytest.param(of_the_mesh(MANAGED), id="managed"),
        pytest.param(of_the_mesh(EXTERNAL), id="external"),
        pytest.param(of_the_mesh(MEMORY), id="memory"),
        pytest.param(GLOBAL, id="global"),
    ],
)
def test_pods_may_do_nothing_special(manifests: list[Manifest]) -> None:
    found = {name: restricted_violations(t["spec"]) for name, t in pod_templates(manifests)}

    assert found
    assert {name: violations for name, violations in found.items() if violations} == {}


@pytest.mark.parametrize("blueprint", [MANAGED, EXTERNAL])
def test_the_password_is_named_and_never_written(blueprint: Blueprint) -> None:
    secrets = {"fra-postgres-password", "database"}
    source = environment(blueprint)["KUMA_STORE_POSTGRES_PASSWORD"]

    assert source["secretKeyRef"]["key"] == "password"
    assert source["secretKeyRef"]["name"] in secrets
    assert environment(blueprint)["KUMA_STORE_POSTGRES_TLS_MODE"] == "verifyFull"


def test_localhost_is_no_administrator_and_nobody_else_reaches_the_api() -> None:
    told = environment(MANAGED)

    assert told["KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN"] == "false"
    assert told["KUMA_API_SERVER_HTTP_INTERFACE"] == "127.0.0.1"
    assert told["KUMA_API_SERVER_HTTPS_INTERFACE"] == "127.0.0.1"
    assert told["KUMA_REPORTS_ENABLED"] == "false"


def test_a_zone_is_called_like_its_region_and_goes_out_through_the_envoy_beside_it() -> None:
    told = environment(MANAGED)

    assert told["KUMA_MODE"] == "zone"
    assert told["KUMA_MULTIZONE_ZONE_NAME"] == "fra"
    assert told["KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS"] == "grpc://127.0.0.1:5685"
    assert [each["name"] for each in pod(MANAGED)["containers"]] == ["kuma-cp", "global-mesh-link"]


def test_a_zone_without_a_global_control_plane_stands_alone() -> None:
    told = environment(MEMORY)

    assert told["KUMA_MODE"] == "zone"
    assert "KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS" not in told
    assert [each["name"] for each in pod(MEMORY)["containers"]] == ["kuma-cp"]


def test_without_a_database_there_is_one_kuma_and_never_two() -> None:
    deployment = find(of_the_mesh(MEMORY), "Deployment", "fra-kuma")

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert "initContainers" not in pod(MEMORY)


def test_whether_the_global_control_plane_answers_makes_no_pod_unready() -> None:
    _, link = pod(MANAGED)["containers"]

    assert "readinessProbe" not in link
    assert "health_checks" not in json.dumps(json.loads(render_link_files(MANAGED)[ENVOY_FILE]))


def test_the_front_door_has_a_port_for_data_planes_only_with_a_mesh() -> None:
    (service,) = render_load_balancer(MANAGED)

    assert [each["port"] for each in service["spec"]["ports"]] == [4647, 4646, 5678]


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("mesh.example:5685", ("mesh.example", 5685)),
        ("203.0.113.9:443", ("203.0.113.9", 443)),
        ("[2001:db8::1]:5685", ("2001:db8::1", 5685)),
    ],
)
def test_an_address_is_split_into_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(render_files(MANAGED), id="front-door"),
        pytest.param(render_link_files(MANAGED), id="link"),
        pytest.param(
            render_link_files(a_blueprint(mesh={**JOINED, "globalAddress": "[2001:db8::1]:5685"})),
            id="link-to-an-address",
        ),
        pytest.param(render_global_files(GlobalMesh(KUMA_IMAGE)), id="global-front-door"),
    ],
)
def test_a_real_envoy_takes_the_configuration(files: Mapping[str, str], tmp_path: Path) -> None:
    said = validate(require_envoy(), files, tmp_path)

    assert f"configuration '{tmp_path / ENVOY_FILE}' OK" in said
    assert "deprecat" not in said.lower()
    assert "[error]" not in said


def test_only_the_front_door_reaches_kuma_and_only_kuma_its_database() -> None:
    manifests = of_the_mesh(MANAGED)
    kuma = find(manifests, "NetworkPolicy", "fra-kuma")["spec"]["ingress"]
    postgres = find(manifests, "NetworkPolicy", "fra-postgres")["spec"]["ingress"]

    def sources(rules: list[Mapping[str, Any]]) -> list[str]:
        selectors = [each["podSelector"]["matchLabels"] for rule in rules for each in rule["from"]]
        return sorted(labels["app.kubernetes.io/name"] for labels in selectors)

    assert sources(kuma) == ["front-door", "kuma"]
    assert sources(postgres) == ["kuma"]
