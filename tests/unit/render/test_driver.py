"""Driver profiles: values are filled in once, what has no value is left out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.deployments import a_regional

from orrery.api.regionclass import DOCKER, PLACEHOLDERS, Driver
from orrery.errors import InvalidSpec
from orrery.render.driver import fill_driver, placeholders, select_driver


def fill(config: dict[str, Any], **spec: Any) -> dict[str, Any]:
    driver = Driver(name="standin", nomad_driver="raw_exec", config=config)
    return fill_driver(driver, a_regional(**spec), region_class="standard")


FULL: dict[str, Any] = {
    "docker": {
        "image": "ghcr.io/shop:1",
        "command": "serve",
        "args": ["-v", "x"],
        "credentialsSecretRef": {"name": "pull"},
    },
    "ports": [{"port": 3000}, {"port": 80}],
}


def test_the_docker_profile_is_filled_in_whole() -> None:
    config = fill_driver(DOCKER, a_regional(**FULL), region_class="standard")

    assert config == {
        "image": "ghcr.io/shop:1",
        "command": "serve",
        "args": ["-v", "x"],
        "ports": ["p3000", "p80"],
        "auth": {
            "username": "${ORRERY_REGISTRY_USERNAME}",
            "password": "${ORRERY_REGISTRY_PASSWORD}",
        },
    }


def test_what_has_no_value_is_left_out_and_emptied_mappings_with_it() -> None:
    config = fill_driver(DOCKER, a_regional(), region_class="standard")

    assert config == {"image": "demo:1"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(["run", "{args}", "end"], ["run", "-v", "x", "end"], id="spliced"),
        pytest.param("{args}", ["-v", "x"], id="whole"),
        pytest.param("--port={port}", "--port=${NOMAD_PORT_p3000}", id="inside-a-string"),
        pytest.param("{image}@{image}", "ghcr.io/shop:1@ghcr.io/shop:1", id="twice"),
        pytest.param("{{image}}", "{image}", id="escaped"),
        pytest.param("${NOMAD_TASK_DIR}/x", "${NOMAD_TASK_DIR}/x", id="nomads-own"),
        pytest.param(7, 7, id="number"),
        pytest.param([], [], id="empty-list-of-the-administrator"),
        pytest.param({"a": {"b": ["{command}"]}}, {"a": {"b": ["serve"]}}, id="deep"),
    ],
)
def test_placeholders_are_filled_in(template: object, expected: object) -> None:
    assert fill({"key": template, "auth": "{registryUsername}"}, **FULL)["key"] == expected


@pytest.mark.parametrize(
    "template",
    [
        "{args}",
        ["{args}"],
        "--port={port}",
        {"auth": {"u": "{registryUsername}"}},
        ["{command}", "{ports}"],
    ],
    ids=str,
)
def test_an_entry_without_value_is_left_out(template: object) -> None:
    assert fill({"key": template, "image": "{image}"}) == {"image": "demo:1"}


def test_a_list_keeps_what_has_a_value() -> None:
    assert fill({"args": ["a", "{command}", "b"]}) == {"args": ["a", "b"]}


def test_every_placeholder_has_its_place() -> None:
    config = {name: f"{{{name}}}" for name in PLACEHOLDERS}

    assert fill(config, **FULL).keys() == PLACEHOLDERS


def test_credentials_are_refused_where_they_have_no_place() -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.docker\.credentialsSecretRef: driver .standin."):
        fill({"image": "{image}"}, **FULL)


def test_a_template_directive_of_the_user_is_text() -> None:
    docker = {"image": "demo:1", "args": ["%{ if true }"], "command": "%{x}"}

    config = fill({"args": "{args}", "command": "{command}"}, docker=docker)

    assert config == {"args": ["%%{ if true }"], "command": "%%{x}"}


@given(st.lists(st.from_regex(r"\A[^$%]{0,20}\Z"), max_size=5))
def test_placeholders_in_the_users_values_are_never_filled_in(args: list[str]) -> None:
    docker = {"image": "demo:1", "args": [*args, "{image}", "{{command}}", "{nothing}"]}

    config = fill({"args": ["run", "{args}"]}, docker=docker)

    assert config["args"] == ["run", *docker["args"]]


def test_placeholders_of_a_driver_are_listed() -> None:
    assert placeholders(DOCKER) == {
        "image", "command", "args", "ports", "registryUsername", "registryPassword",
    }  # fmt: skip


def test_a_driver_is_selected_by_name_or_is_the_first() -> None:
    vm, raw = (Driver(name=name, nomad_driver="x", config={}) for name in ("vm", "raw"))

    assert select_driver([vm, raw], "", region_class="standard") is vm
    assert select_driver([vm, raw], "raw", region_class="standard") is raw
    assert select_driver([], "", region_class="standard") is DOCKER
    with pytest.raises(InvalidSpec) as caught:
        select_driver([vm, raw], "docker", region_class="standard")
    assert caught.value.reason == "UnknownDriver"
    assert caught.value.message == (
        'spec.driver: class "standard" has no driver "docker"; it has: raw, vm'
    )
