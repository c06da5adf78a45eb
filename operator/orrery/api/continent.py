"""Continent: the Kubernetes cluster that hosts the control planes of the regions near it. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import forms
from orrery.api.base import (
    API_VERSION,
    CLUSTER_NAME_MAX,
    Column,
    Definition,
    Metadata,
    Model,
    SecretKeyRef,
    StatusModel,
    cel,
    list_map,
    list_set,
    validations,
)
from orrery.api.conditions import Condition

PREFIX_DEFAULT: Final = "orrery-"


class ContinentalCluster(Model):
    """Where the continent's cluster is: exactly one of the two ways must be given."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.kubeconfigSecretRef) != (has(self.local) && self.local)",
                "exactly one of kubeconfigSecretRef and local: true must be set",
            )
        )
    )

    kubeconfig_secret_ref: SecretKeyRef | None = None
    """Key of a Secret in the operator's namespace that holds a kubeconfig. Default: none."""

    local: bool = False
    """The hub itself is the continent's cluster, for set-ups with one cluster. Default: false."""


class FrontDoorDefaults(Model):
    """How the continent's cluster gives its regions an address."""

    load_balancer_class: Annotated[str, Field(max_length=253)] = ""
    """Class of the load balancers. Default: the cluster's own choice."""

    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=20)
    ] = {}
    """Annotations of the load balancers' Services, which many providers read. Default: none."""

    source_ranges: Annotated[
        list[Annotated[str, forms.CIDR.text(max_length=43)]],
        Field(max_length=100, json_schema_extra=list_set()),
    ] = []
    """Ranges of addresses that may reach the front doors. Default: everybody may try."""


class Registry(Model):
    """Where the continent's cluster gets images from."""

    mirror: Annotated[str, forms.MIRROR.text(max_length=253)]
    """Registry that stands before the names of all images of control planes, for example `mirror.eu.example/cache`."""


_PREFIX: Final = "(has({0}.namespacePrefix) ? {0}.namespacePrefix : '" + PREFIX_DEFAULT + "')"


class ContinentSpec(Model):
    """A continent."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"{_PREFIX.format('self')} == {_PREFIX.format('oldSelf')}",
                "namespacePrefix cannot be changed: the regions' namespaces carry it",
                field=".namespacePrefix",
            )
        )
    )

    display_name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, for example Europe; `orrery status` and `orrery describe` show it. Default: the object's name."""

    cluster: ContinentalCluster | None = None
    """The Kubernetes cluster that hosts the control planes of its Managed regions. Default: none; all its regions are External."""

    namespace_prefix: Annotated[str, forms.NAME_PREFIX.text(max_length=30)] | None = None
    """Before a region's name, the name of its namespace. Cannot be changed. Default: orrery-."""

    front_door: FrontDoorDefaults = FrontDoorDefaults()
    """How its cluster gives regions an address."""

    storage_class_name: Annotated[str, forms.OBJECT_NAME.text(max_length=253)] | None = None
    """Storage class of the servers' volumes. Default: the cluster's own."""

    registry: Registry | None = None
    """Where its cluster gets images from. Default: where their names say."""

    paused: bool = False
    """While true, Orrery observes the cluster and writes nothing to it. Default: false."""

    @property
    def prefix(self) -> str:
        """What stands before a region's name in the name of its namespace."""
        return self.namespace_prefix or PREFIX_DEFAULT


class ContinentStatus(StatusModel):
    """What Orrery last saw of the continent's cluster."""

    observed_generation: int | None = None
    """The generation of the spec that this status speaks of."""

    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = []
    """Ready, and Reconciling and Stalled while true."""

    version: Annotated[str, Field(max_length=64)] = ""
    """Kubernetes version of the cluster."""

    last_seen_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When an unreachable cluster last answered; absent while it answers."""

    regions: int = 0
    """Regions that name this continent."""


class Continent(Model):
    """A part of the world: its regions lie near each other, and one Kubernetes cluster hosts their control planes."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["Continent"] = "Continent"
    metadata: Metadata
    spec: ContinentSpec
    status: ContinentStatus | None = None

    def namespace_of(self, region: str) -> str:
        """Name the namespace of a region's control plane in its cluster."""
        return f"{self.spec.prefix}{region}"


DEFINITION: Final = Definition(
    kind="Continent",
    plural="continents",
    short_name="cont",
    namespaced=False,
    name_max=CLUSTER_NAME_MAX,
    model=Continent,
    columns=(
        Column("Display Name", ".spec.displayName"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        Column("Regions", ".status.regions", type="integer"),
        Column("Version", ".status.version"),
        Column("Last Seen", ".status.lastSeenTime", type="date"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Status", '.status.conditions[?(@.type=="Ready")].message'),
    ),
)
