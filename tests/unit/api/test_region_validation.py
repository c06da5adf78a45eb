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
    found = validate_region(
        region(location={"country": "DE", "city": "Frankfurt", "latitude": 50, "longitude": 8.68})
    )

    assert found.spec.class_ == "standard"
    assert found.spec.location is not None
    assert found.spec.location.city == "Frankfurt"


OURS = {"namespaceSelector": {"matchLabels": {"team": "ours"}}}


def a_stage(name: str, percent: int) -> dict[str, Any]:
    return {"name": name, "percent": percent}


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
            region(location={"latitude": 95}),
            ("spec.location.latitude", "95", "a number from -90 to 90"),
            id="latitude",
        ),
        pytest.param(
            region(location={"longitude": -180.5}),
            ("spec.location.longitude", "-180.5", "a number from -180 to 180"),
            id="longitude",
        ),
        pytest.param(
            region(deletionPolicy="Teardown"),
            ("spec.deletionPolicy", "Managed regions"),
            id="external-teardown",
        ),
        pytest.param(
            region(deletionPolicy="Delete"),
            ("spec.deletionPolicy", "Delete", "Orphan, Teardown"),
            id="deletion-policy",
        ),
        pytest.param(
            {**region(), "metadata": {"name": "1fra"}},
            ("metadata.name", "1fra", "beginning with a letter"),
            id="not-rfc-1035",
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
            region(opening={"stages": [a_stage("a", 50), {"name": "b", **OURS}, a_stage("c", 5)]}),
            ("spec.opening.stages[2].percent", "5 is not allowed", "50"),
            id="percentages-that-fall",
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


@pytest.mark.parametrize(
    "host", ["-fra.example", "fra-.example", "fra..example", "Fra.example", f"{'a' * 64}.example"]
)
def test_a_host_with_a_bad_label_is_refused_in_words(host: str) -> None:
    spec = {"continent": "eu", "class": "standard", "frontDoor": {"host": host}}

    with pytest.raises(ValidationFailure, match=r"spec\.frontDoor\.host: .* a DNS name such as"):
        validate_region({"metadata": {"name": "fra"}, "spec": spec})


@pytest.mark.parametrize(
    "image",
    [
        "hashicorp/nomad:1.9.3",
        "hashicorp/nomad:v0.12",
        "hashicorp/nomad:1",
        "hashicorp/nomad:2.0.3-ent",
        "hashicorp/nomad:2.0.4-beta.1",
        "mirror.example:5000/nomad:3.0.0@sha256:abc",
    ],
)
def test_an_image_of_an_unsupported_nomad_is_refused_in_words(image: str) -> None:
    document = {"metadata": {"name": "standard"}, "spec": {"nomad": {"image": image}}}

    with pytest.raises(ValidationFailure) as failure:
        validate_region_class(document)

    assert str(failure.value) == (
        f'spec.nomad.image: "{image}" is not allowed, must be an image of Nomad 2.0.4 or a later'
        " 2.x"
    )


@pytest.mark.parametrize("image", ["hashicorp/nomad", "mirror.example:5000/nomad", "nomad:"])
def test_an_image_that_names_no_version_is_refused_in_words(image: str) -> None:
    document = {"metadata": {"name": "standard"}, "spec": {"frontDoor": {"image": image}}}

    with pytest.raises(ValidationFailure, match=r"spec\.frontDoor\.image: .*a tag or a digest"):
        validate_region_class(document)


@pytest.mark.parametrize(
    "image",
    [
        "hashicorp/nomad:2.0.4",
        "hashicorp/nomad:2.0.30",
        "hashicorp/nomad:2.1.0-beta.1",
        "mirror.example:5000/nomad:2.0.6",
        "nomad:latest",
        "nomad:2026.11",
        "nomad@sha256:1.2",
        "nomad:main-1.2",
    ],
)
def test_an_image_that_may_be_supported_is_accepted(image: str) -> None:
    assert validate_region_class(
        {"metadata": {"name": "standard"}, "spec": {"nomad": {"image": image}}}
    )


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


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {"pki": {"certificateLifetime": "23h"}},
            ("spec.pki.certificateLifetime", "23h", "a duration from 24h to 8760h"),
            id="short",
        ),
        pytest.param(
            {"pki": {"certificateLifetime": "8761h"}},
            ("spec.pki.certificateLifetime", "8761h", "a duration from 24h to 8760h"),
            id="long",
        ),
        pytest.param(
            {"nomad": {"resources": {"cpu": "1Gi"}}},
            ("spec.nomad.resources.cpu", "1Gi", "an amount of CPU such as 500m"),
            id="bytes-of-cpu",
        ),
        pytest.param(
            {"nomad": {"resources": {"memory": "500m"}}},
            ("spec.nomad.resources.memory", "500m", "an amount of bytes with its unit"),
            id="milli-bytes",
        ),
        pytest.param(
            {"nomad": {"storage": "10"}},
            ("spec.nomad.storage", "10", "an amount of bytes with its unit"),
            id="ten-bytes",
        ),
    ],
)
def test_bad_class_is_refused_in_words(spec: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_region_class({"metadata": {"name": "standard"}, "spec": spec})

    assert [word for word in words if word not in str(failure.value)] == []


@pytest.mark.parametrize(
    ("probe", "nomad", "told"),
    [
        (
            {"interval": "4m59s"},
            {},
            'spec.probe.interval: "4m59s" is too short, must be at least 5m',
        ),
        ({"driver": "exec"}, {}, 'spec.probe.driver: "exec" is not allowed, must be a driver of'),
        (
            {},
            {"drivers": [{"name": "host", "nomadDriver": "raw_exec", "config": {"command": "x"}}]},
            'spec.probe.driver: driver "host" takes no {args}, by which the probe is told',
        ),
    ],
)
def test_a_probe_that_cannot_run_is_refused(
    probe: dict[str, Any], nomad: dict[str, Any], told: str
) -> None:
    spec = {"nomad": nomad, "probe": {"image": "registry.example/orrery:1", **probe}}

    with pytest.raises(ValidationFailure, match=re.escape(told)):
        validate_region_class({"metadata": {"name": "standard"}, "spec": spec})
