"""Continent: the group that regions near each other belong to. Pure."""

from typing import Annotated, Final, Literal

from pydantic import Field

from orrery.api.base import (
    API_VERSION,
    CLUSTER_NAME_MAX,
    Column,
    Definition,
    Metadata,
    Model,
)


class ContinentSpec(Model):
    """A continent."""

    display_name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, for example Europe; `orrery status` and `orrery describe` show it. Default: the object's name."""


class Continent(Model):
    """Groups regions that lie near each other."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["Continent"] = "Continent"
    metadata: Metadata
    spec: ContinentSpec


DEFINITION: Final = Definition(
    kind="Continent",
    plural="continents",
    short_name="cont",
    namespaced=False,
    name_max=CLUSTER_NAME_MAX,
    model=Continent,
    columns=(
        Column("Display Name", ".spec.displayName"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)
