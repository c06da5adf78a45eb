"""Turn the models into CustomResourceDefinitions. Pure.

The models are the source: what the code trusts is what the API server accepts. pydantic writes JSON
Schema, the API server reads structural OpenAPI v3; `structural` is the way from one to the other.
"""

from collections.abc import Mapping
from typing import Any, Final

from orrery.api import continent, forms, globaldeployment, region, regionclass
from orrery.api.base import GROUP, VERSION, Column, Definition, Rule, cel, literal, validations

DEFINITIONS: Final = (
    continent.DEFINITION,
    globaldeployment.DEFINITION,
    region.DEFINITION,
    regionclass.DEFINITION,
)
"""The four kinds, by name."""

PLURALS: Final = {definition.kind: definition.plural for definition in DEFINITIONS}
"""The word for each kind in the API server's paths."""

LONGEST_CEL: Final = 4096
"""Longest text that CEL may search: its cost counts the longest allowed text of every list item."""

_KEPT: Final = frozenset(
    {
        "description",
        "enum",
        "format",
        "maximum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minimum",
        "minItems",
        "minLength",
        "minProperties",
        "pattern",
        "required",
        "type",
    }
)
_DROPPED: Final = frozenset({"$defs", "title", "default"})
"""A default in a schema makes GitOps tools see eternal drift: defaults live in the code."""


def documents() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of all kinds."""
    return [document(definition) for definition in DEFINITIONS]


def document(definition: Definition) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind."""
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_printer_column(column) for column in definition.columns],
        "schema": {"openAPIV3Schema": object_schema(definition)},
    }
    if definition.has_status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short_name],
                "categories": ["orrery"],
            },
            "scope": "Namespaced" if definition.namespaced else "Cluster",
            "versions": [version],
        },
    }


def object_schema(definition: Definition) -> dict[str, Any]:
    """Return the structural schema of a kind's objects; its apiVersion and kind go without saying."""
    schema = structural(definition.model.model_json_schema(by_alias=True))
    properties = {
        name: field
        for name, field in schema["properties"].items()
        if name not in {"apiVersion", "kind", "metadata"}
    }
    properties["metadata"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": definition.name_max}},
    }
    rules = validations(
        _form_rule("self.metadata.name", *forms.LABEL, ".metadata.name"), *definition.rules
    )
    return {**schema, "properties": properties, "required": ["spec"], **rules}


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a JSON Schema as pydantic writes it to a structural one.

    A keyword without a structural counterpart is an error: dropping it would accept in silence
    what the model refuses.
    """
    return _convert(schema, schema.get("$defs", {}))


def _convert(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema = _described(_without_unions(_inlined(schema, definitions), definitions), definitions)
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        match keyword:
            case "properties":
                result[keyword] = {name: _convert(s, definitions) for name, s in value.items()}
            case "items":
                result[keyword] = _convert(value, definitions)
            case "additionalProperties":
                result |= _open_ended(value, definitions)
            case "const":
                result["enum"] = [value]
            case "exclusiveMinimum":
                result |= {"minimum": value, "exclusiveMinimum": True}
            case "exclusiveMaximum":
                result |= {"maximum": value, "exclusiveMaximum": True}
            case _ if keyword in _KEPT or keyword.startswith("x-kubernetes-"):
                result[keyword] = value
            case _ if keyword not in _DROPPED:
                raise ValueError(f"'{keyword}' has no structural form: {value!r}")
    return _with_words(result)


def _inlined(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the definition in the place of a reference to it; what stands beside the reference wins."""
    if "$ref" not in schema:
        return schema
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    definition = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return _inlined({**definition, **beside}, definitions)


def _without_unions(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve the two unions that have a structural form: with null, and of integer and string."""
    if "anyOf" not in schema:
        return schema
    beside = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    if len(options) == 1:
        return _without_unions(_inlined({**options[0], **beside}, definitions), definitions)
    if [option.get("type") for option in options] == ["integer", "string"]:
        return {**beside, "x-kubernetes-int-or-string": True}
    raise ValueError(f"'anyOf' of {len(options)} shapes has no structural form: {options!r}")


def _open_ended(value: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Convert additionalProperties: a map keeps its value's schema, an open one keeps everything.

    Closed objects need nothing: the API server prunes or refuses unknown fields by itself.
    """
    if value is False:
        return {}
    if value is True:
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {"additionalProperties": _convert(value, definitions)}


def _described(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the words for a field's form, or for that of its items, where `kubectl explain` shows."""
    items = _inlined(schema.get("items", {}), definitions)
    for subject, described in (("Must", schema), ("Each must", items)):
        allowed = forms.ALLOWED.get(described.get("pattern", ""))
        if allowed and "description" in schema:
            text, default, value = schema["description"].partition(" Default: ")
            return {**schema, "description": f"{text} {subject} be {allowed}.{default}{value}"}
    return schema


def _with_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Check a form by CEL, which answers in words; long texts keep the expression, for its price."""
    allowed = forms.ALLOWED.get(schema.get("pattern", ""))
    if allowed is None or schema.get("maxLength", LONGEST_CEL + 1) > LONGEST_CEL:
        return schema
    pattern = schema.pop("pattern")
    rule = _form_rule("self", pattern, allowed)
    return {**schema, **validations(rule, *schema.get("x-kubernetes-validations", ()))}


def _form_rule(value: str, pattern: str, allowed: str, field: str = "") -> Rule:
    return cel(
        f"{value}.matches({literal(pattern)})",
        f"must be {allowed}",
        detail=f'"%s" is not allowed, must be {allowed.replace("%", "%%")}',
        values=[value],
        field=field,
    )


def _printer_column(column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**shown, "priority": 1} if column.wide else shown
