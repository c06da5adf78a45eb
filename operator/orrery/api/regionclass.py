"""RegionClass: what regions of one kind have in common. Pure."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

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
    literal,
    validations,
)
from orrery.api.classrollout import ClassRollout, RegionClassStatus
from orrery.api.mesh import MeshClass

PLACEHOLDERS: Final = frozenset(
    {"image", "command", "args", "port", "ports", "registryUsername", "registryPassword"}
)
"""What is filled in where a driver's configuration names it in braces."""

LISTS: Final = frozenset({"args", "ports"})
"""The placeholders that stand for a list, and so must be a whole value."""

PLACEHOLDER: Final = re.compile(r"(?<!\$)(?:\{\{(?P<literal>\w+)\}\}|\{(?P<name>\w+)\})")
"""``{name}`` in a text; ``{{literal}}`` stands for the text itself, and ``${...}`` is Nomad's own."""


ENVOY_IMAGE: Final = "docker.io/envoyproxy/envoy:distroless-v1.36.2"


UNSUPPORTED_IMAGE: Final = (
    r"^[^@]*:v?([01]([.][0-9]+){0,2}|2[.]0[.][0-3]|2[.]0[.]4-(alpha|beta|dev|rc)|[3-9]([.][0-9]+){1,2})"
    r"([-+_.][-+_.a-zA-Z0-9]*)?(@.*)?$"
)
"""An image whose tag names a version of Nomad that is too old or too new, as `nomad_version` has
it; a tag that names none says nothing."""

IMAGE_ALLOWED: Final = "an image of Nomad 2.0.4 or a later 2.x"


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

    cpu: Annotated[str, forms.CPU_QUANTITY.text(max_length=16)] = "500m"
    """CPU that is reserved for it. Default: 500m."""

    memory: Annotated[str, forms.BYTES_QUANTITY.text(max_length=16)] = "1Gi"
    """Memory that is reserved for it, and its limit. Default: 1Gi."""


class Snapshots(Model):
    """Snapshots of a region's Nomad: all that its servers know, to be restored when all are lost."""

    image: Annotated[str, forms.PINNED_IMAGE.text(max_length=512)]
    """Image of Orrery itself, whose command `orrery snapshot` takes them."""

    interval: Literal["1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h"] = "6h"
    """Time between two of them. Default: 6h."""

    keep: Annotated[int, Field(ge=1, le=1000)] = 12
    """How many are kept; the oldest go first. Default: 12."""

    storage: Annotated[str, forms.BYTES_QUANTITY.text(max_length=16)] = "10Gi"
    """Size of the volume that holds them; it outlives the servers, and goes with the region's namespace when a Teardown deletes that. Default: 10Gi."""


class NomadClass(Model):
    """Nomad in regions of this class."""

    image: (
        Annotated[
            str,
            forms.PINNED_IMAGE.text(max_length=512),
            Field(
                json_schema_extra=validations(
                    cel(
                        f"!self.matches({literal(UNSUPPORTED_IMAGE)})",
                        f"must be {IMAGE_ALLOWED}",
                        detail=f"the image %s is not allowed, must be {IMAGE_ALLOWED}",
                        values=["self"],
                    )
                )
            ),
        ]
        | None
    ) = None
    """Image of Nomad 2.0.4 or a later 2.x, for example `docker.io/hashicorp/nomad:2.0.6`; Managed regions need it. Default: none, since Nomad's licence leaves the choice to you."""

    servers: Literal[1, 3, 5] = 3
    """Servers of a region: 1 for trials, 3 or 5 to survive the loss of one or two. Default: 3."""

    resources: ServerResources = ServerResources()
    """What one server is given."""

    storage: Annotated[str, forms.BYTES_QUANTITY.text(max_length=16)] = "10Gi"
    """Size of a server's volume. Default: 10Gi."""

    snapshots: Snapshots | None = None
    """Snapshots on a schedule, to a volume in the region's namespace. Default: none are taken."""

    drivers: Annotated[list[Driver], Field(max_length=20, json_schema_extra=list_map("name"))] = []
    """Drivers that users may choose by name; the first is the default. Default: one named docker, on Nomad's docker driver."""


class FrontDoorClass(Model):
    """The front door of regions of this class: Envoy, behind a load balancer."""

    image: Annotated[str, forms.PINNED_IMAGE.text(max_length=512)] = ENVOY_IMAGE
    """Image of Envoy. Default: docker.io/envoyproxy/envoy:distroless-v1.36.2."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 2
    """Envoys of a region. Default: 2."""


class PkiClass(Model):
    """The certificates of regions of this class."""

    certificate_lifetime: Annotated[
        Duration,
        Field(
            json_schema_extra=validations(
                cel(
                    "duration(self) >= duration('24h') && duration(self) <= duration('8760h')",
                    "certificateLifetime must be from 24h to 8760h",
                )
            )
        ),
    ] = "720h"
    """How long a certificate of a server or a client is valid; it is renewed when a third of it is left, and ends no later than the region's authority. From 24h to 8760h. Default: 720h."""


class ProbeClass(Model):
    """A job that runs on every machine now and then: whether it can be used, and how far it is."""

    image: Annotated[str, forms.PINNED_IMAGE.text(max_length=512)]
    """Image in which `orrery` is on the path, without an entrypoint of its own. It runs `orrery probe`, which times TCP connects to the region's front door."""

    driver: Label | None = None
    """Name of the driver of the class that runs it; its configuration must name `{args}`. Default: the first one."""

    interval: Annotated[
        Duration,
        Field(
            json_schema_extra=validations(
                cel("duration(self) >= duration('5m')", "interval must be at least 5m")
            )
        ),
    ] = "1h"
    """Time between two runs; a run in which a machine failed is repeated after five minutes, and a new machine is probed at once. At least 5m. Default: 1h."""


class RegionClassSpec(Model):
    """What regions of this class have in common."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.probe) || !has(self.probe.driver)"
                " || (has(self.nomad) && has(self.nomad.drivers) && size(self.nomad.drivers) > 0"
                " ? self.nomad.drivers.exists(d, d.name == self.probe.driver)"
                " : self.probe.driver == 'docker')",
                "probe.driver must be the name of a driver of nomad.drivers",
                field=".probe.driver",
            )
        )
    )

    nomad: NomadClass = NomadClass()
    """Nomad in regions of this class."""

    front_door: FrontDoorClass = FrontDoorClass()
    """The front door of Managed regions."""

    pki: PkiClass = PkiClass()
    """The certificates of Managed regions."""

    mesh: MeshClass = MeshClass()
    """The mesh of Managed regions."""

    probe: ProbeClass | None = None
    """What runs on every machine to see whether it can be used. Default: none, and what it would find is not known."""

    rollout: ClassRollout = ClassRollout()
    """How a change of the class moves over its Managed regions. Drivers are no part of it: deployments take them at once."""


class RegionClass(Model):
    """What regions of one kind have in common."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["RegionClass"] = "RegionClass"
    metadata: Metadata
    spec: RegionClassSpec
    status: RegionClassStatus | None = None


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
        Column("Regions", ".status.display.regions"),
        Column("Status", ".status.display.status"),
        Column("Default Driver", ".spec.nomad.drivers[0].name"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)
