"""Validation: good specs are read; a broken rule is told by field, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel
from tests.unit.api.specs import ARTICLE, BAD, GOOD, Bad, Spec, document, web

from orrery.api.base import Metadata
from orrery.api.problems import SHOWN_MOST
from orrery.api.validation import (
    ValidationFailure,
    validate_continent,
    validate_deployment,
    validate_region,
    validate_region_class,
)

EXAMPLES = Path(__file__).parents[3] / "examples"
VALIDATORS = {
    "Continent": validate_continent,
    "GlobalDeployment": validate_deployment,
    "Region": validate_region,
    "RegionClass": validate_region_class,
}


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_good_spec_is_read(spec: Spec) -> None:
    deployment = validate_deployment(document(spec))

    assert deployment.spec.type == spec["type"]


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.id) for bad in BAD])
def test_bad_spec_is_refused_in_words(bad: Bad) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_deployment(document(bad.spec))

    assert [word for word in bad.words if word not in str(failure.value)] == []


def test_article_definition_means_what_it_says() -> None:
    spec = validate_deployment(document(ARTICLE)).spec

    assert spec.name == "my-cool-website"
    assert [(route.port, route.path) for route in spec.routes] == [(3000, "/")]
    assert [(port.port, port.protocol) for port in spec.ports] == [(3000, "http")]
    assert (spec.docker.image, spec.docker.command, spec.docker.args) == (
        "docker.io/koyeb/demo",
        "",
        [],
    )


WRITTEN = sorted(p for p in EXAMPLES.rglob("*.yaml") if p.parent.name != "rendered")


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_example_is_valid(path: Path) -> None:
    documents = [d for d in yaml.safe_load_all(path.read_text()) if d["kind"] in VALIDATORS]

    assert documents
    for found in documents:
        VALIDATORS[found["kind"]](found)


def test_examples_that_run_name_regions_and_continents_of_the_playground_only() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        for found in yaml.safe_load_all(path.read_text()):
            placement = found.get("spec", {}).get("placement", {})
            assert set(placement.get("regions", [])) <= {"fra", "was", "par", "sfo"}
            assert set(placement.get("continents", [])) <= {"eu", "na"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("a" * 300, ("metadata.name", "aaaa", "at most 52", "has 300"), id="300"),
        pytest.param("a" * 53, ("metadata.name", "at most 52", "has 53"), id="53"),
        pytest.param("1shop", ("metadata.name", "1shop", "beginning with a letter"), id="digit"),
        pytest.param("my.shop", ("metadata.name", "my.shop", "digits and '-'"), id="dot"),
    ],
)
def test_bad_name_is_refused_in_words(name: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_deployment(document(web(), name))

    assert [word for word in words if word not in str(failure.value)] == []


@pytest.mark.parametrize(
    "field",
    [
        "annotations",
        "creationTimestamp",
        "deletionTimestamp",
        "finalizers",
        "generation",
        "labels",
        "managedFields",
        "resourceVersion",
        "uid",
    ],
)
def test_metadata_that_is_null_is_as_good_as_absent(field: str) -> None:
    written = document(web())
    written["metadata"][field] = None

    assert validate_deployment(written) == validate_deployment(document(web()))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param(
            {"apiVersion": "orrery.dev/v1"},
            ('apiVersion: "orrery.dev/v1" is not allowed, must be orrery.dev/v1alpha1',),
            id="version",
        ),
        pytest.param({"kind": "Pod"}, ('kind: "Pod"', "must be GlobalDeployment"), id="kind"),
        pytest.param({"metadata": None}, ("metadata: is required",), id="no-metadata"),
        pytest.param({"metadata": {"name": None}}, ("metadata.name: is required",), id="no-name"),
        pytest.param({"metadata": []}, ("metadata: []", "an object with the fields"), id="list"),
        pytest.param(
            {"metadata": {"name": "shop", "labels": ["a"]}},
            ('metadata.labels: ["a"]', "an object whose values are text"),
            id="labels",
        ),
        pytest.param(
            {"metadata": {"name": "shop", "labels": {"a": 1}}},
            ("metadata.labels.a: 1", "must be text (numbers"),
            id="label",
        ),
        pytest.param(
            {"metadata": {"name": "shop", "generation": "x"}},
            ("metadata.generation", "must be a whole number"),
            id="generation",
        ),
        pytest.param({"sepc": {}}, ("sepc: unknown field, did you mean spec?",), id="unknown"),
    ],
)
def test_bad_envelope_is_refused_in_words(changed: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailure) as failure:
        validate_deployment({**document(web()), **changed})

    assert [word for word in words if word not in str(failure.value)] == []


def test_all_problems_are_named_at_once_and_sorted() -> None:
    spec = web(scaling={"count": -1}, docker={"image": "a b"}, ports=[{"port": 0}, {"port": 0}])

    with pytest.raises(ValidationFailure) as failure:
        validate_deployment(document(spec))

    paths = [problem.path for problem in failure.value.problems]
    assert paths == [
        "spec.docker.image",
        "spec.ports[0].port",
        "spec.ports[1]",
        "spec.ports[1].port",
        "spec.scaling.count",
    ]
    assert str(failure.value).count("; ") == len(paths) - 1


def test_message_never_repeats_a_long_value() -> None:
    secret = "not-a-real-password" * 100

    with pytest.raises(ValidationFailure) as failure:
        validate_deployment(document(web(env=[{"name": "A", "value": f"{secret}${{x}}"}])))

    assert secret[: SHOWN_MOST + 1] not in str(failure.value)


def test_many_problems_do_not_make_an_endless_message() -> None:
    args = ["${x}"] * 100

    with pytest.raises(ValidationFailure) as failure:
        validate_deployment(document(web(docker={"image": "a", "args": args})))

    assert str(failure.value).endswith("and 80 more")


def test_unknown_field_suggests_a_near_name() -> None:
    with pytest.raises(
        ValidationFailure, match=r"spec\.healthCheck: .*did you mean healthChecks\?"
    ):
        validate_deployment(document(web(healthCheck=[])))


def test_null_is_as_good_as_absent() -> None:
    spec = web(scaling=None, env=None, update={"canary": None})

    assert (
        validate_deployment(document(spec)).spec
        == validate_deployment(document(web(update={}))).spec
    )


def test_key_that_yaml_reads_as_a_number_is_text() -> None:
    written = document(web())
    written["metadata"]["labels"] = {2: "a", False: "b"}

    assert validate_deployment(written).metadata.labels == {"2": "a", "false": "b"}


def test_whole_number_may_be_written_with_a_point() -> None:
    assert validate_deployment(document(web(scaling={"count": 3.0}))).spec.scaling.count == 3


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"observedGeneration": 3, "phase": "Older"}, id="unknown-field"),
        pytest.param(
            {"observedGeneration": 3, "summary": {"behind": 1}}, id="unknown-nested-field"
        ),
    ],
)
def test_status_of_another_version_is_read(status: dict[str, Any]) -> None:
    found = validate_deployment({**document(web()), "status": status}).status

    assert found is not None
    assert found.observed_generation == 3


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"observedGeneration": "three"}, id="other-type"),
        pytest.param(
            {"continents": [{"name": "eu", "regions": {"fra": {"phase": "Warp"}}}]}, id="other-word"
        ),
    ],
)
def test_status_that_cannot_be_read_does_not_block(status: dict[str, Any]) -> None:
    assert validate_deployment({**document(web()), "status": status}).status is None


def test_status_with_reasons_is_read() -> None:
    region = {"phase": "Failed", "reason": "JobRefused", "index": 7}
    status = {"continents": [{"name": "eu", "regions": {"fra": region}}]}

    found = validate_deployment({**document(web()), "status": status}).status

    assert found is not None
    assert found.continents[0].regions["fra"].index == 7


METADATA = {to_camel(name) for name in Metadata.model_fields}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    field=st.sampled_from([*web(), "overrides", "placement", "env", "update"]),
    value=JSON,
    metadata=st.dictionaries(st.sampled_from(sorted(METADATA)), JSON),
)
def test_whatever_is_written_is_read_or_refused_in_words(
    field: str, value: Any, metadata: dict[str, Any]
) -> None:
    written = document({**web(), field: value})
    written["metadata"] |= metadata

    said = ""
    try:
        validate_deployment(written)
    except ValidationFailure as failure:
        said = str(failure)

    assert "Input" not in said
