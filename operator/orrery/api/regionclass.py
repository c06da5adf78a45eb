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
    Duration,
    Label,
    Metadata,
    Model,
    cel,
    list_map,
    validations,
)

PLACEHOLDERS: Final = frozenset(
    {"image", "command", "args", "port", "ports", "registryUsername", "registryPassword"}
)
"""What is filled in where a driver's configuration names it in braces."""

LISTS: Final = frozenset({"args", "ports"})
"""The placeholders that stand for a list, and so must be a whole value."""

PLACEHOLDER: Final = re.compile(r"(?<!\$)(?:\{\{(?P<literal>\w+)\}\}|\{(?P<name>\w+)\})")
"""``{name}`` in a text; ``{{literal}}`` stands for the text itself, and ``${...}`` is Nomad's own."""


ENVOY_IMAGE: Final = "docker.io/envoyproxy/envoy:distroless-v1.36.2"


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


class ServerResources(Model):
    """What one Nomad server is given."""

    cpu: Annotated[str, forms.QUANTITY.text(max_length=16)] = "500m"
    """CPU that is reserved for it. Default: 500m."""

    memory: Annotated[str, forms.QUANTITY.text(max_length=16)] = "1Gi"
    """Memory that is reserved for it, and its limit. Default: 1Gi."""


class Snapshots(Model):
    """Snapshots of a region's Nomad: all that its servers know, to be restored when all are lost."""

    image: Annotated[str, forms.IMAGE.text(max_length=512)]
    """Image of Orrery itself, whose command `orrery snapshot` takes them."""

    interval: Literal["1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h"] = "6h"
    """Time between two of them. Default: 6h."""

    keep: Annotated[int, Field(ge=1, le=1000)] = 12
    """How many are kept; the oldest go first. Default: 12."""

    storage: Annotated[str, forms.QUANTITY.text(max_length=16)] = "10Gi"
    """Size of the volume that holds them; it outlives the servers and the region's deletion. Default: 10Gi."""


class NomadClass(Model):
    """Nomad in regions of this class."""

    image: Annotated[str, forms.IMAGE.text(max_length=512)] | None = None
    """Image of Nomad 2.0.4 or a later 2.x, for example `docker.io/hashicorp/nomad:2.0.6`; Managed regions need it. Default: none, since Nomad's licence leaves the choice to you."""

    servers: Literal[1, 3, 5] = 3
    """Servers of a region: 1 for trials, 3 or 5 to survive the loss of one or two. Default: 3."""

    resources: ServerResources = ServerResources()
    """What one server is given."""

    storage: Annotated[str, forms.QUANTITY.text(max_length=16)] = "10Gi"
    """Size of a server's volume. Default: 10Gi."""

    snapshots: Snapshots | None = None
    """Snapshots on a schedule, to a volume in the region's namespace. Default: none are taken."""

    drivers: Annotated[list[Driver], Field(max_length=20, json_schema_extra=list_map("name"))] = []
    """Drivers that users may choose by name; the first is the default. Default: one named docker, on Nomad's docker driver."""


class FrontDoorClass(Model):
    """The front door of regions of this class: Envoy, behind a load balancer."""

    image: Annotated[str, forms.IMAGE.text(max_length=512)] = ENVOY_IMAGE
    """Image of Envoy. Default: docker.io/envoyproxy/envoy:distroless-v1.36.2."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 2
    """Envoys of a region. Default: 2."""


class PkiClass(Model):
    """The certificates of regions of this class."""

    certificate_lifetime: Annotated[
        Duration,
        Field(
            json_schema_extra=validations(
                cel("duration(self) >= duration('1h')", "certificateLifetime must be at least 1h")
            )
        ),
    ] = "720h"
    """How long a certificate of a server or a client is valid; it is renewed when a third of it is left. At least 1h. Default: 720h."""


class RegionClassSpec(Model):
    """What regions of this class have in common."""

    nomad: NomadClass = NomadClass()
    """Nomad in regions of this class."""

    front_door: FrontDoorClass = FrontDoorClass()
    """The front door of Managed regions."""

    pki: PkiClass = PkiClass()
    """The certificates of Managed regions."""


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
