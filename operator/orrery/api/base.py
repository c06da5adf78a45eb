"""What all kinds share: the group, the base model, object metadata, common field types. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orrery.api import forms

GROUP: Final = "orrery.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "orrery.dev/v1alpha1"

CLUSTER_NAME_MAX: Final = 32
"""Longest name of a continent, region or class: it becomes part of the names of what they hold."""

Label = Annotated[str, forms.LABEL.text(max_length=63)]
RegionName = Annotated[str, forms.LABEL.text(max_length=CLUSTER_NAME_MAX)]
ContinentName = Annotated[str, forms.LABEL.text(max_length=CLUSTER_NAME_MAX)]
ClassName = Annotated[str, forms.LABEL.text(max_length=CLUSTER_NAME_MAX)]
Duration = Annotated[str, forms.DURATION.text(max_length=32)]
SecretKey = Annotated[str, forms.SECRET_KEY.text(max_length=253)]
ObjectName = Annotated[str, forms.OBJECT_NAME.text(max_length=253)]

Rule = dict[str, str]
"""A validation rule as it stands in a CRD."""


def list_map(*keys: str) -> dict[str, Any]:
    """Mark a list as a map with *keys*: the API server refuses duplicates, appliers can merge."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def list_set() -> dict[str, Any]:
    """Mark a list as a set: the API server refuses duplicates, appliers can merge."""
    return {"x-kubernetes-list-type": "set"}


def cel(
    rule: str, message: str, *, detail: str = "", values: Sequence[str] = (), field: str = ""
) -> Rule:
    """One rule that the API server evaluates, with the sentence a user reads when it fails.

    *detail* is a better sentence, in which each %s stands for one of the CEL expressions *values*;
    *message* is what remains when they cannot be shown. *field* is the path that is to blame.
    """
    optional = {
        "messageExpression": detail and f"{literal(detail)}.format([{', '.join(values)}])",
        "fieldPath": field,
    }
    return {"rule": rule, "message": message, **{k: v for k, v in optional.items() if v}}


def literal(text: str) -> str:
    """Quote *text* for CEL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def validations(*rules: Rule) -> dict[str, Any]:
    """Attach *rules* to the schema of a field or, as `json_schema_extra`, of a model."""
    return {"x-kubernetes-validations": list(rules)}


class Model(BaseModel):
    """A wire type: camelCase outside, frozen, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class StatusModel(Model):
    """A wire type that Orrery itself writes.

    Unknown fields are dropped: what an older or newer Orrery left must not stop this one.
    """

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that `kubectl get` prints; *wide* ones only with `-o wide`."""

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CustomResourceDefinition says of a kind beside its schema."""

    kind: str
    plural: str
    short_name: str
    namespaced: bool
    name_max: int
    model: type[Model]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    """Rules over the whole object, beside the one on its name."""

    @property
    def has_status(self) -> bool:
        """Whether Orrery writes a status."""
        return "status" in self.model.model_fields


class Metadata(BaseModel):
    """The part of an object's metadata that Orrery reads."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class SecretRef(Model):
    """A Secret in the namespace of the object that names it."""

    name: ObjectName
    """Name of the Secret."""


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the object that names it."""

    name: ObjectName
    """Name of the Secret."""

    key: SecretKey
    """Key in the Secret's data."""


class SelectorRequirement(Model):
    """One requirement on labels."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "operators In and NotIn need values, Exists and DoesNotExist take none",
                field=".values",
            )
        )
    )

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The label key that the requirement applies to."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label relates to the values: In, NotIn, Exists or DoesNotExist."""

    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=100)] = []
    """The values for In and NotIn; none for Exists and DoesNotExist. Default: none."""


class LabelSelector(Model):
    """A selection by labels; every requirement must hold. An empty selector selects everything."""

    match_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)
    ] = {}
    """Labels that must be present with exactly these values. Default: none."""

    match_expressions: Annotated[list[SelectorRequirement], Field(max_length=32)] = []
    """Requirements on labels, all of which must hold. Default: none."""

    def matches(self, labels: dict[str, str]) -> bool:
        """Tell whether *labels* satisfy every requirement."""
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(
            _holds(requirement, labels) for requirement in self.match_expressions
        )

    def describe(self) -> str:
        """Write the selection as `kubectl --selector` takes it."""
        equal = [f"{key}={value}" for key, value in sorted(self.match_labels.items())]
        return ",".join([*equal, *map(_describe, self.match_expressions)]) or "everything"


_UNIT_NANOSECONDS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def nanoseconds(duration: str) -> int:
    """Convert a Go-style duration such as ``1m30s`` to nanoseconds, Nomad's unit."""
    return sum(
        int(number) * _UNIT_NANOSECONDS[unit]
        for number, unit in re.findall(r"([0-9]+)(ms|s|m|h)", duration)
    )


def seconds(duration: str) -> float:
    """Convert a Go-style duration to seconds."""
    return nanoseconds(duration) / 10**9


def span(duration: str) -> timedelta:
    """Convert a Go-style duration to a `timedelta`, in whole microseconds."""
    return timedelta(microseconds=nanoseconds(duration) // 1000)


def _describe(requirement: SelectorRequirement) -> str:
    key, values = requirement.key, ",".join(requirement.values)
    match requirement.operator:
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return key
        case _:
            return f"!{key}"


def _holds(requirement: SelectorRequirement, labels: dict[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case "In":
            return present and labels[requirement.key] in requirement.values
        case "NotIn":
            return not present or labels[requirement.key] not in requirement.values
        case "Exists":
            return present
        case _:
            return not present
