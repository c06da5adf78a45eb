"""GlobalDeployment: what a user wants to run, once, in many regions. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import deploymentrules, forms
from orrery.api.base import (
    API_VERSION,
    Column,
    ContinentName,
    Definition,
    Label,
    LabelSelector,
    Metadata,
    Model,
    RegionName,
    cel,
    list_map,
    list_set,
    validations,
)
from orrery.api.deploymentstatus import (
    ContinentStatus,
    Display,
    GlobalDeploymentStatus,
    RegionalPhase,
    RegionalStatus,
    Summary,
)
from orrery.api.workload import (
    ContainerPort,
    Docker,
    EnvName,
    EnvVar,
    HealthCheck,
    Image,
    Port,
    Resources,
    Route,
    Scaling,
    Update,
)

NAME_MAX: Final = 52
"""Longest name: the services of a job carry the port behind it, and end at 63 characters."""

DeploymentType = Literal["WEB", "WORKER", "BATCH", "SYSTEM"]
Regions = Annotated[list[RegionName], Field(max_length=100, json_schema_extra=list_set())]


class DataCenters(Model):
    """Where inside a region instances run."""

    preferred: Annotated[
        list[Annotated[str, forms.DATA_CENTER.text(max_length=63)]],
        Field(max_length=50, json_schema_extra=list_set()),
    ] = []
    """Data centers to prefer; others are used when these are full. Default: none."""

    spread: bool = True
    """Spread instances evenly over data centers. Default: true."""


class Placement(Model):
    """Which regions run it: those named, or else those that the label selector and the continents both select. With none of the three, every region does."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.regions) || size(self.regions) == 0 || (!has(self.regionSelector)"
                " && (!has(self.continents) || size(self.continents) == 0))",
                "regions cannot be combined with regionSelector or continents",
                detail="%s cannot be combined with regionSelector or continents: name regions, or"
                " select them",
                values=["self.regions"],
                field=".regions",
            )
        )
    )

    regions: Regions = []
    """Names of regions. Cannot be combined with `regionSelector` or `continents`. An empty list is the same as none given: then, with neither of these two, every region runs it. Default: none."""

    region_selector: LabelSelector | None = None
    """Selects regions by their labels. Default: all."""

    continents: Annotated[
        list[ContinentName], Field(max_length=20, json_schema_extra=list_set())
    ] = []
    """Names of continents; only their regions are selected. Default: all."""

    exclude_regions: Regions = []
    """Regions that never run it, whatever selects them. Default: none."""

    data_centers: DataCenters = DataCenters()
    """Where inside a region instances run. Not for type SYSTEM, which runs on every machine."""

    @property
    def selects_everything(self) -> bool:
        """Whether nothing narrows the choice but exclusions."""
        return not self.regions and self.region_selector is None and not self.continents


class DockerOverride(Model):
    """What a region changes of the container."""

    image: Image
    """Image to run in these regions."""


class Override(Model):
    """Values that differ in some regions. Overrides apply in order, later ones win."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "(has(self.regions) && size(self.regions) > 0) != has(self.regionSelector)",
                "exactly one of regions (not empty) and regionSelector must be set",
                detail='override "%s" has %s, exactly one of regions (not empty) and regionSelector'
                " must be set",
                values=["self.name", "has(self.regionSelector) ? 'both' : 'neither'"],
            ),
            cel(
                "has(self.docker) || (has(self.scaling) && has(self.scaling.count))"
                " || (has(self.env) && size(self.env) > 0) || (has(self.resources) &&"
                " (has(self.resources.cpuMHz) || has(self.resources.memoryMB)"
                " || has(self.resources.memoryMaxMB)))",
                "must change something: set scaling.count, resources, docker.image or env",
                detail='override "%s" changes nothing: set scaling.count, resources, docker.image or'
                " env",
                values=["self.name"],
            ),
        )
    )

    name: Label
    """Name of the override, shown by `orrery explain`."""

    regions: Regions = []
    """Regions it applies to; each must be one the placement selects. Exactly one of `regions` and `regionSelector` is set."""

    region_selector: LabelSelector | None = None
    """Selects, among the placed regions, those it applies to. Exactly one of `regions` and `regionSelector` is set."""

    scaling: Scaling | None = None
    """Replaces the count. Not for type SYSTEM."""

    resources: Resources | None = None
    """Replaces the resources that are set here, keeps the others."""

    docker: DockerOverride | None = None
    """Replaces the image."""

    env: Annotated[list[EnvVar], Field(max_length=200, json_schema_extra=list_map("name"))] = []
    """Variables to add, or to replace by name. Default: none."""


class GlobalDeploymentSpec(Model):
    """What to run and where."""

    model_config = ConfigDict(json_schema_extra=validations(*deploymentrules.SPEC))

    name: Annotated[str, Field(max_length=NAME_MAX)] | None = None
    """The name in a deployment definition that is pasted whole; when given it must equal `metadata.name`. Default: not given."""

    type: Annotated[
        DeploymentType,
        Field(
            json_schema_extra=validations(
                cel(
                    "self == oldSelf",
                    "type cannot be changed: delete the deployment and create it anew",
                )
            )
        ),
    ]
    """WEB (serves ports), WORKER (long-running, no routes), BATCH (runs to its end) or SYSTEM (one instance on every machine). Cannot be changed."""

    docker: Docker
    """The container to run."""

    env: Annotated[list[EnvVar], Field(max_length=200, json_schema_extra=list_map("name"))] = []
    """Environment variables. Default: none."""

    ports: Annotated[
        list[ContainerPort], Field(max_length=50, json_schema_extra=list_map("port"))
    ] = []
    """Ports that the program listens on. Type WEB needs at least one. Default: none."""

    routes: Annotated[list[Route], Field(max_length=100, json_schema_extra=list_map("path"))] = []
    """Public paths and the ports they lead to. Only for type WEB. Default: none."""

    resources: Resources = Resources()
    """What one instance may use."""

    scaling: Scaling = Scaling()
    """How many instances run in each region. Not for type SYSTEM."""

    health_checks: Annotated[list[HealthCheck], Field(max_length=20)] = []
    """How an instance is judged healthy. Not for type BATCH. Default: it runs."""

    update: Update = Update()
    """How instances are replaced inside one region. Not for type BATCH."""

    driver: Annotated[str, forms.OPTIONAL_LABEL.text(max_length=63)] = ""
    """One of the drivers that the region's class offers. Default: the class's first."""

    placement: Placement = Placement()
    """Which regions run it. Default: every region."""

    overrides: Annotated[
        list[Override], Field(max_length=50, json_schema_extra=list_map("name"))
    ] = []
    """Values that differ in some regions, in order; later ones win. Default: none."""

    deletion_policy: Literal["Delete", "Orphan"] = "Delete"
    """What happens to the regional jobs when this object is deleted: Delete stops them, Orphan leaves them running. Default: Delete."""

    paused: bool = False
    """While true, Orrery observes and writes nothing to any region. Default: false."""


class GlobalDeployment(Model):
    """Runs an application in many regions as if they were one place."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["GlobalDeployment"] = "GlobalDeployment"
    metadata: Metadata
    spec: GlobalDeploymentSpec
    status: GlobalDeploymentStatus | None = None


DEFINITION: Final = Definition(
    kind="GlobalDeployment",
    plural="globaldeployments",
    short_name="gd",
    namespaced=True,
    name_max=NAME_MAX,
    model=GlobalDeployment,
    columns=(
        Column("Regions", ".status.display.regions"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Status", ".status.display.status"),
        Column("Type", ".spec.type", wide=True),
        Column("Image", ".spec.docker.image", wide=True),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
    rules=(
        cel(
            "!has(self.spec.name) || self.spec.name == self.metadata.name",
            "spec.name, when given, must equal metadata.name",
            detail='"%s" is not the name of the object, must equal metadata.name, which is "%s"',
            values=["self.spec.name", "self.metadata.name"],
            field=".spec.name",
        ),
    ),
)

__all__ = [
    "DEFINITION",
    "NAME_MAX",
    "ContainerPort",
    "ContinentStatus",
    "DataCenters",
    "DeploymentType",
    "Display",
    "Docker",
    "DockerOverride",
    "EnvName",
    "EnvVar",
    "GlobalDeployment",
    "GlobalDeploymentSpec",
    "GlobalDeploymentStatus",
    "HealthCheck",
    "Image",
    "Override",
    "Placement",
    "Port",
    "RegionalPhase",
    "RegionalStatus",
    "Regions",
    "Resources",
    "Route",
    "Scaling",
    "Summary",
    "Update",
]
