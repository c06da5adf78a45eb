"""Judge documents of the four kinds as the API server does, with the same outcome. Pure.

The API server asks the schema and the CEL rules of the CRDs; this asks the models they are made of
and `orrery.api.semantics`. So a spec is judged before it is sent, by `orrery plan`, and once more by
the operator, which must not rely on CRDs that somebody may have changed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orrery.api import continent, crd, forms, globaldeployment, region, regionclass, semantics
from orrery.api.base import Definition, Model
from orrery.api.classrollout import RegionClassStatus
from orrery.api.continent import Continent, ContinentStatus
from orrery.api.globaldeployment import GlobalDeployment, GlobalDeploymentStatus
from orrery.api.problems import Problem, ValidationFailure, field, listed, not_allowed, shown
from orrery.api.region import Region, RegionStatus
from orrery.api.regionclass import RegionClass

__all__ = [
    "Problem",
    "ValidationFailure",
    "validate_continent",
    "validate_deployment",
    "validate_region",
    "validate_region_class",
]

Schema = Mapping[str, Any]
M = TypeVar("M", bound=Model)

_EITHER = "x-kubernetes-int-or-string"

_WORDS = {
    "string": "text (numbers, true and false need quotes)",
    "boolean": "true or false",
    "array": "a list",
    "integer": "a whole number",
    "object": "an object",
}


def validate_deployment(document: Mapping[str, Any]) -> GlobalDeployment:
    """Read a GlobalDeployment; raises `ValidationFailure` with everything that is wrong."""
    deployment = _validated(
        GlobalDeployment, globaldeployment.DEFINITION, document, semantics.deployment
    )
    status = _status(GlobalDeploymentStatus, document)
    return deployment.model_copy(update={"status": status})


def validate_region(document: Mapping[str, Any]) -> Region:
    """Read a Region; raises `ValidationFailure` with everything that is wrong."""
    found = _validated(Region, region.DEFINITION, document, semantics.region)
    return found.model_copy(update={"status": _status(RegionStatus, document)})


def validate_region_class(document: Mapping[str, Any]) -> RegionClass:
    """Read a RegionClass; raises `ValidationFailure` with everything that is wrong."""
    found = _validated(RegionClass, regionclass.DEFINITION, document, semantics.region_class)
    return found.model_copy(update={"status": _status(RegionClassStatus, document)})


def validate_continent(document: Mapping[str, Any]) -> Continent:
    """Read a Continent; raises `ValidationFailure` with everything that is wrong."""
    found = _validated(Continent, continent.DEFINITION, document, semantics.continent)
    return found.model_copy(update={"status": _status(ContinentStatus, document)})


def _validated(
    model: type[M],
    definition: Definition,
    document: Mapping[str, Any],
    semantic: Callable[[M], Iterable[Problem]] = lambda _: (),
) -> M:
    schema = _schema(definition.kind)
    normalised = _normalised({k: v for k, v in document.items() if k != "status"}, schema)
    problems = [*_duplicates(normalised.get("spec"), schema["properties"]["spec"], "spec")]
    try:
        found = model.model_validate(normalised, strict=True)
    except ValidationError as error:
        structural = (_problem(detail, schema) for detail in error.errors(include_url=False))
        raise ValidationFailure([*problems, *structural]) from None
    problems += [*semantics.name(normalised["metadata"]["name"], definition), *semantic(found)]
    if problems:
        raise ValidationFailure(problems)
    return found


def _status(model: type[M], document: Mapping[str, Any]) -> M | None:
    """Read a status leniently: one that cannot be read is made anew, and must not block."""
    if document.get("status") is None:
        return None
    try:
        return model.model_validate(document["status"])
    except ValidationError:
        return None


@cache
def _schema(kind: str) -> Schema:
    """Return the schema of whole objects: the CRDs leave out what goes without saying."""
    model = next(d.model for d in crd.DEFINITIONS if d.kind == kind)
    return crd.structural(model.model_json_schema(by_alias=True))


def _normalised(value: Any, schema: Schema) -> Any:
    """Write *value* as the API server stores it: known fields that are null dropped, 3.0 as 3."""
    match value:
        case Mapping():
            named = ((k if isinstance(k, str) else json.dumps(k), v) for k, v in value.items())
            return {
                name: _normalised(below, _below(schema, name))
                for name, below in named
                if below is not None or not _below(schema, name)
            }
        case list():
            return [_normalised(below, schema.get("items", {})) for below in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _problem(error: ErrorDetails, schema: Schema) -> Problem:
    """Say in our words what pydantic found."""
    if _below(schema, *error["loc"][:-1]).get(_EITHER):
        path = field("", *error["loc"][:-1])
        return Problem(path, not_allowed(error["input"], "a whole number or text"))
    *above, last = error["loc"]
    path = field("", *error["loc"])
    match error["type"]:
        case "extra_forbidden":
            known = list(_below(schema, *above).get("properties", ()))
            near = get_close_matches(str(last), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here are {listed(known)}"
            return Problem(path, f"unknown field, {hint}")
        case "missing":
            return Problem(path, "is required")
        case "string_pattern_mismatch":
            allowed = forms.ALLOWED[error["ctx"]["pattern"]]
            return Problem(path, not_allowed(error["input"], allowed))
        case "string_too_long" | "too_long":
            limit = error["ctx"]["max_length"]
            return Problem(path, f"{shown(error['input'])} is too long, at most {limit} allowed")
        case _:
            return Problem(
                path, not_allowed(error["input"], _allowed(_below(schema, *error["loc"])))
            )


def _below(schema: Schema, *location: str | int) -> Schema:
    """Return the schema at *location*, an empty one where there is none."""
    for step in location:
        if isinstance(step, int):
            schema = schema.get("items", {})
        else:
            properties = schema.get("properties", {})
            schema = properties.get(step, schema.get("additionalProperties", {}))
    return schema


def _allowed(schema: Schema) -> str:
    """Say in words what *schema* allows."""
    match schema:
        case {"enum": [only]}:
            return str(only)
        case {"enum": values}:
            return f"one of {listed(values)}"
        case {"properties": fields}:
            return f"an object with the fields {listed(list(fields))}"
        case {"additionalProperties": value}:
            return f"an object whose values are {_allowed(value)}"
        case {"minimum": least, "maximum": most, "type": kind}:
            sort = "number" if kind == "number" else "whole number"
            return f"a {sort} from {least:g} to {most:g}"
        case _:
            return _WORDS[schema["type"]]


def _duplicates(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    """Find what is given twice in lists that are sets or maps."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _duplicates(below, _below(schema, name), field(path, name))
    if not isinstance(value, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", ())
    is_set = schema.get("x-kubernetes-list-type") == "set"
    seen: list[Any] = []
    for index, item in enumerate(value):
        yield from _duplicates(item, schema.get("items", {}), field(path, index))
        if not is_set and not (keys and isinstance(item, dict)):
            continue
        identity = item if is_set else [item.get(key) for key in keys]
        if identity in seen:
            what = item if is_set else listed([f"{key} {shown(item.get(key))}" for key in keys])
            text = shown(what) if is_set else what
            yield Problem(field(path, index), f"{text} is given twice, once is allowed")
        seen.append(identity)
