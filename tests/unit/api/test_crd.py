"""CRDs from models: every rule of the conversion is a row, and what holds for all four kinds."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from orrery.api import crd
from orrery.api.base import Definition
from orrery.api.conditions import Reason
from orrery.api.workload import HealthCheck, Update

PORT = {"type": "integer", "minimum": 1}
LABEL = "^[a-z]([-a-z0-9]*[a-z0-9])?$"

Schema = dict[str, Any]

KINDS = [pytest.param(definition, id=definition.kind) for definition in crd.DEFINITIONS]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"$ref": "#/$defs/P", "$defs": {"P": PORT}}, PORT, id="reference-is-inlined"),
        pytest.param(
            {"$ref": "#/$defs/P", "description": "Mine.", "$defs": {"P": {"description": "P."}}},
            {"description": "Mine."},
            id="text-beside-a-reference-wins",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/P"}}, "P": PORT},
            },
            {"type": "object", "properties": {"a": {"type": "array", "items": PORT}}},
            id="references-are-inlined-at-any-depth",
        ),
        pytest.param(
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "default": None},
            {"type": "string", "maxLength": 3},
            id="optional-is-the-thing-itself",
        ),
        pytest.param(
            {"anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}], "$defs": {"P": PORT}},
            PORT,
            id="optional-reference",
        ),
        pytest.param(
            {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "Either."},
            {"x-kubernetes-int-or-string": True, "description": "Either."},
            id="integer-or-string",
        ),
        pytest.param(
            {"type": "integer", "exclusiveMinimum": 0},
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            id="exclusive-minimum",
        ),
        pytest.param(
            {"type": "integer", "exclusiveMaximum": 9},
            {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
            id="exclusive-maximum",
        ),
        pytest.param(
            {"const": "A", "type": "string"}, {"enum": ["A"], "type": "string"}, id="constant"
        ),
        pytest.param({"title": "Port", **PORT}, PORT, id="title-is-dropped"),
        pytest.param({"default": 80, **PORT}, PORT, id="default-is-dropped"),
        pytest.param(
            {"type": "object", "properties": {"title": PORT, "default": PORT}},
            {"type": "object", "properties": {"title": PORT, "default": PORT}},
            id="fields-may-be-named-like-keywords",
        ),
        pytest.param(
            {"type": "object", "properties": {"a": PORT}, "additionalProperties": False},
            {"type": "object", "properties": {"a": PORT}},
            id="closed-object",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": True},
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="open-object",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": {"title": "P", **PORT}},
            {"type": "object", "additionalProperties": PORT},
            id="map",
        ),
        pytest.param(
            {"type": "array", "items": PORT, "x-kubernetes-list-type": "set", "maxItems": 3},
            {"type": "array", "items": PORT, "x-kubernetes-list-type": "set", "maxItems": 3},
            id="extensions-are-kept",
        ),
        pytest.param(
            {"type": "string", "pattern": "^x$", "maxLength": 9},
            {"type": "string", "pattern": "^x$", "maxLength": 9},
            id="expression-without-words-is-kept",
        ),
    ],
)
def test_conversion(schema: Schema, expected: Schema) -> None:
    assert crd.structural(schema) == expected


def test_form_becomes_a_rule_that_answers_in_words() -> None:
    schema = {"type": "string", "pattern": LABEL, "maxLength": 63, "description": "N. Default: x."}

    converted = crd.structural(schema)

    (rule,) = converted["x-kubernetes-validations"]
    assert "pattern" not in converted
    assert rule["rule"] == f"self.matches('{LABEL}')"
    assert rule["message"].startswith("must be lower-case letters")
    assert rule["messageExpression"].startswith('\'"%s" is not allowed, must be lower-case')
    assert converted["description"].startswith("N. Must be lower-case letters")
    assert converted["description"].endswith(" Default: x.")


def test_form_of_long_text_keeps_the_expression_for_its_price() -> None:
    converted = crd.structural({"type": "string", "pattern": LABEL, "maxLength": 5000})

    assert converted == {"type": "string", "pattern": LABEL, "maxLength": 5000}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "integer", "multipleOf": 5}, id="keyword"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, id="union"),
        pytest.param({"oneOf": [PORT]}, id="one-of"),
    ],
)
def test_what_has_no_structural_form_is_an_error(schema: Schema) -> None:
    with pytest.raises(ValueError, match="has no structural form"):
        crd.structural(schema)


@pytest.mark.parametrize("definition", KINDS)
def test_nothing_in_a_crd_makes_gitops_tools_see_drift(definition: Definition) -> None:
    document = crd.document(definition)

    assert not [path for path, node in nodes(schema_of(document)) if "default" in node]
    assert "status" not in document
    assert document["spec"]["names"]["shortNames"]
    assert len(json.dumps(document)) < 256 * 1024


@pytest.mark.parametrize("definition", KINDS)
def test_everything_is_bounded_and_explained(definition: Definition) -> None:
    for path, node in nodes(schema_of(crd.document(definition))):
        if path.endswith(".config") or path == ".metadata":
            continue
        is_text = node.get("type") == "string" and not {"enum", "format"} & node.keys()
        assert "maxLength" in node or not is_text, path
        assert "maxItems" in node or node.get("type") != "array", path
        is_field = not path.endswith(("[]", ".*", ".metadata.name"))
        assert node.get("description", "").endswith(".") or not is_field, path


@pytest.mark.parametrize("definition", KINDS)
def test_what_is_optional_says_its_default(definition: Definition) -> None:
    schema = schema_of(crd.document(definition))["properties"]["spec"]

    for path, node in nodes(schema):
        for name, field in node.get("properties", {}).items():
            text = field.get("description", "")
            told = "Default: " in text or "xactly one of" in text
            is_group = "properties" in field
            assert told or is_group or name in node.get("required", ()), f"{path}.{name}"


@pytest.mark.parametrize("model", [HealthCheck, Update], ids=lambda model: model.__name__)
def test_defaults_in_the_text_are_those_of_the_code(model: Any) -> None:
    for name, field in model.model_fields.items():
        if isinstance(field.default, int | str):
            told = re.search(r"Default: ([a-z0-9]+)", field.description or "")
            assert told, name
            assert told[1] == str(field.default)


def test_kinds_are_named_as_the_design_says() -> None:
    names = {d.kind: (d.short_name, d.namespaced, d.name_max) for d in crd.DEFINITIONS}

    assert names == {
        "Continent": ("cont", False, 32),
        "GlobalDeployment": ("gd", True, 52),
        "Region": ("rgn", False, 32),
        "RegionClass": ("rgc", False, 32),
    }


def test_reasons_fit_into_a_regional_status() -> None:
    assert max(map(len, Reason)) <= 64


def schema_of(document: Mapping[str, Any]) -> Schema:
    schema: Schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")
