"""RegionClass: what regions of one kind have in common. Pure."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from orrery.api import forms
from orrery.api.base import (
    API_VERSION,
    CLUSTER_NAME_MAX,
    Column,
    Definition,
    Label,
    Metadata,
    Model,
    list_map,
)

PLACEHOLDERS: Final = frozenset(
    {"image", "command", "args", "port", "ports", "registryUsername", "registryPassword"}
)
"""What is filled in where a driver's configuration names it in braces."""

LISTS: Final = frozenset({"args", "ports"})
"""The placeholders that stand for a list, and so must be a whole value."""

PLACEHOLDER: Final = re.compile(r"(?<!\$)(?:\{\{(?P<literal>\w+)\}\}|\{(?P<name>\w+)\})")
"""``{name}`` in a text; ``{{literal}}`` stands for the text itself, and ``${...}`` is Nomad's own."""


class Driver(Model):
    """A way to run an image: a Nomad task driver and its configuration."""

    name: Label
    """Name that a GlobalDeployment may choose."""

    nomad_driver: Annotated[str, forms.NOMAD_DRIVER.text(max_length=63)]
    """Nomad task driver, for example docker."""

    port_mapping: bool = True
    """Whether the driver maps the program's port to the one that Nomad allocates. When false, the program itself listens on the allocated port. Default: true."""

    config: dict[str, Any]
    """Configuration of the Nomad driver. `{image}`, `{command}`, `{args}`, `{port}`, `{ports}`, `{registryUsername}` and `{registryPassword}` are filled in; an entry whose placeholder has no value is left out."""


class NomadClass(Model):
    """Nomad in regions of this class."""

    drivers: Annotated[list[Driver], Field(max_length=20, json_schema_extra=list_map("name"))] = []
    """Drivers that users may choose by name; the first is the default. Default: one named docker, on Nomad's docker driver."""


class RegionClassSpec(Model):
    """What regions of this class have in common."""

    nomad: NomadClass = NomadClass()
    """Nomad in regions of this class."""


class RegionClass(Model):
    """What regions of one kind have in common."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["RegionClass"] = "RegionClass"
    metadata: Metadata
    spec: RegionClassSpec


DOCKER = Driver(
    name="docker",
    nomad_driver="docker",
    port_mapping=True,
    config={
        "image": "{image}",
        "command": "{command}",
        "args": "{args}",
        "ports": "{ports}",
        "auth": {"username": "{registryUsername}", "password": "{registryPassword}"},
    },
)
"""The driver of a class that names none."""

DEFINITION: Final = Definition(
    kind="RegionClass",
    plural="regionclasses",
    short_name="rgc",
    namespaced=False,
    name_max=CLUSTER_NAME_MAX,
    model=RegionClass,
    columns=(
        Column("Default Driver", ".spec.nomad.drivers[0].name"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)
