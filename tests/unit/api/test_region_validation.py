"""Validation of regions and their classes: what cannot work is told by field, value and remedy."""

import re
from typing import Any

import pytest

from orrery.api.regionclass import PLACEHOLDERS, Driver
from orrery.api.validation import ValidationFailure, validate_region, validate_region_class


def region(address: str = "https://nomad.fra.example:4646", **spec: Any) -> dict[str, Any]:
    external = {"nomadAddress": address, "credentialsSecretRef": {"name": "fra"}}
    return {
        "metadata": {"name": "fra"},
        "spec": {
            "continent": "eu",
            "class": "standard",
            "controlPlane": {"management": "External", "external": external},
            **spec,
        },
    }


def test_region_is_read() -> None:
    found = validate_region(region(location={"country": "DE", "city": "Frankfurt"}))

    assert found.spec.class_ == "standard"
    assert found.spec.location is not None
    assert found.spec.location.city == "Frankfurt"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param(
            region("http://10.0.0.1:4646"), ("nomadAddress", "10.0.0.1", "loopback"), id="http"
        ),
        pytest.param(
            region(location={"country": "de"}), ("location.country", "de", "ISO"), id="country"
        ),
        pytest.param(
            region(location={"latitude": 50.1}),
            ("spec.location.latitude", "unknown field", "country, city"),
            id="coordinates",
        ),
        pytest.param(
            region(continent="e" * 33), ("spec.continent", "at most 32"), id="long-continent"
        ),
        pytest.param(
            {**region(), "metadata": {"name": "r" * 33}},
            ("metadata.name", "at most 32"),
            id="long-name",
        ),
        pytest.param(
            region(checks={"disabled": ["Nope", "ClockSkew"]}),
            ("spec.checks.disabled[0]", "Nope", "ClockSkew"),
            id="unknown-check",
        ),
        pytest.param(
            region(checks={"disabled": [["ClockSkew"]]}),
            ("spec.checks.disabled[0]", "ClockSkew"),
            id="check-of-another-type",
        ),
        pytest.param(
            region(latency={"target": "90ms"}),
            ("spec.latency", "target 90ms is longer than limit 70ms"),
            id="latency-target-above-limit",
        ),
        pytest.param(
            region(opening={"stages": [{"name": "everyone", "percent": 3}]}),
            ("spec.opening.stages[0].name", "everyone", "last step"),
            id="stage-called-everyone",
        ),
        pytest.param(
            region(opening={"stages": [{"name": "some"}]}),
            ("spec.opening.stages[0]", "exactly one of namespaceSelector and percent"),
            id="stage-for-nobody",
        ),
        pytest.param(
            region(drain={"to": ["par"]}), ("spec.drain", "unknown field"), id="unbuilt-field"
        ),
    ],
)
def test_bad_region_is_refused_in_words(document: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_region(document)

    assert [word for word in words if word not in str(failure.value)] == []


def test_two_drivers_of_one_name_are_refused() -> None:
    driver = {"name": "docker", "nomadDriver": "docker", "config": {"image": "{image}"}}

    with pytest.raises(ValidationFailure, match=r"drivers\[1\]: name \"docker\" is given twice"):
        validate_region_class(
            {"metadata": {"name": "standard"}, "spec": {"nomad": {"drivers": [driver, driver]}}}
        )


def region_class(**config: Any) -> dict[str, Any]:
    drivers = [
        {"name": "docker", "nomadDriver": "docker", "config": {"image": "{image}"}},
        {"name": "standin", "nomadDriver": "raw_exec", "config": config},
    ]
    return {"metadata": {"name": "standard"}, "spec": {"nomad": {"drivers": drivers}}}


def test_driver_may_use_every_placeholder_and_text_in_braces() -> None:
    config = {
        "known": [f"{{{name}}}" for name in sorted(PLACEHOLDERS)],
        "inside": "--port={port} --image={image}",
        "literal": ["{{imgae}}", "${NOMAD_TASK_DIR}", "{", "{}", "{not a name}"],
        "number": 7,
        "nothing": None,
    }

    drivers = validate_region_class(region_class(**config)).spec.nomad.drivers

    assert drivers[1].config == config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param(
            {"image": "{imgae}"},
            (
                'spec.nomad.drivers[1].config.image: "{imgae}" has the unknown placeholder {imgae}',
                "known are {args}, {command}, {image}, {port}, {ports}, {registryPassword}, {reg",
                "; write {{imgae}} for the text itself",
            ),
            id="unknown",
        ),
        pytest.param(
            {"deep": [{"auth": "x{user}"}]},
            ('spec.nomad.drivers[1].config.deep[0].auth: "x{user}"', "placeholder {user}"),
            id="deep",
        ),
        pytest.param(
            {"command": "run {args}"},
            ('config.command: "run {args}"', "{args} is a list, must stand alone"),
            id="list-inside-a-text",
        ),
    ],
)
def test_bad_placeholder_is_refused_in_words(
    config: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_region_class(region_class(**config))

    assert [word for word in words if word not in str(failure.value)] == []


def test_every_placeholder_is_documented() -> None:
    text = Driver.model_fields["config"].description or ""

    assert set(re.findall(r"`\{(\w+)\}`", text)) == PLACEHOLDERS
