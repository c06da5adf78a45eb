"""Region: Nomad servers and the machines that joined them, in one place of the world. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import forms
from orrery.api.base import (
    API_VERSION,
    CLUSTER_NAME_MAX,
    ClassName,
    Column,
    ContinentName,
    Definition,
    Metadata,
    Model,
    RegionName,
    SecretRef,
    StatusModel,
    cel,
    list_map,
    validations,
)
from orrery.api.conditions import Condition
from orrery.api.regionopening import (
    Checks,
    CheckStatus,
    Latency,
    Opening,
    OpeningStatus,
    RegionDataCenter,
    RegionDisplay,
)


class Location(Model):
    """Where on Earth the region is."""

    country: Annotated[str, forms.COUNTRY.text(max_length=2)] | None = None
    """Country. Default: not given."""

    city: Annotated[str, Field(max_length=100)] | None = None
    """City. Default: not given."""

    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Degrees north of the equator, from -90 to 90. Default: not given."""

    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Degrees east of Greenwich, from -180 to 180. Default: not given."""


class ExternalControlPlane(Model):
    """A Nomad that already exists."""

    nomad_address: Annotated[str, forms.NOMAD_ADDRESS.text(max_length=512)]
    """Address of the Nomad API, for example `https://nomad.fra.example:4646`."""

    credentials_secret_ref: SecretRef
    """Secret in the operator's namespace with `token`, `ca.crt`, `tls.crt` and `tls.key`. Its annotation `orrery.dev/endpoint` must be this very address."""


class ControlPlane(Model):
    """Who runs the region's control plane."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.management) || (self.management == 'External') == has(self.external)",
                "management External needs external, Managed takes none",
            )
        )
    )

    management: Literal["Managed", "External"] | None = None
    """Managed: Orrery runs Nomad servers and a front door in the continent's cluster. External: a Nomad that already exists; Orrery uses it and never changes its servers. Default: External where `external` is given, else Managed."""

    external: ExternalControlPlane | None = None
    """Where the existing Nomad is. Default: none; Orrery runs one."""


class FrontDoor(Model):
    """The address at which machines and the hub reach the region's servers."""

    host: Annotated[str, forms.HOST_NAME.text(max_length=253)] | None = None
    """DNS name or IPv4 address that leads to the load balancer, for its certificate. Default: the load balancer's address alone."""


_IS_EXTERNAL: Final = "(has({0}.controlPlane) && has({0}.controlPlane.external))"


class RegionSpec(Model):
    """A region and how to reach it."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"{_IS_EXTERNAL.format('self')} == {_IS_EXTERNAL.format('oldSelf')}",
                "a Managed region cannot become External, nor the reverse: make a new region",
            ),
            cel(
                f"!(has(self.deletionPolicy) && self.deletionPolicy == 'Teardown' && {_IS_EXTERNAL.format('self')})",
                "deletionPolicy Teardown is for Managed regions: an External one is never torn down",
                field=".deletionPolicy",
            ),
        )
    )

    continent: Annotated[
        ContinentName,
        Field(
            json_schema_extra=validations(
                cel("self == oldSelf", "continent cannot be changed: make a new region instead")
            )
        ),
    ]
    """Name of its Continent. Cannot be changed."""

    class_: ClassName = Field(alias="class")
    """Name of its RegionClass."""

    display_name: Annotated[str, Field(max_length=100)] = ""
    """Name for people, for example Frankfurt; `orrery status` and `orrery describe` show it. Default: the object's name."""

    location: Location | None = None
    """Where on Earth it is, for people: `orrery describe` shows it. Default: not given."""

    control_plane: ControlPlane = ControlPlane()
    """Who runs its control plane. Default: Orrery does."""

    front_door: FrontDoor = FrontDoor()
    """The address of a Managed region."""

    deletion_policy: Literal["Orphan", "Teardown"] = "Orphan"
    """What becomes of a Managed region when its Region is deleted. Orphan: its control plane and its jobs run on. Teardown: once no job runs there, its namespace is deleted, with volumes, keys and all. Default: Orphan."""

    data_centers: Annotated[
        list[RegionDataCenter], Field(max_length=50, json_schema_extra=list_map("name"))
    ] = []
    """Data centers that the region is to have, with the machines that each needs. Default: any, and one ready machine in all."""

    latency: Latency = Latency()
    """How far machines may be from the front door, in time."""

    checks: Checks = Checks()
    """Which checks count."""

    opening: Opening | None = None
    """How the region is opened to new deployments. Default: when the checks of a Managed region pass; an External one is open from the beginning."""

    lifecycle: Literal["Active", "Cordoned"] | None = None
    """Cordoned: no new deployment is placed in the region; what runs there is carried on. Default: Active."""

    paused: bool = False
    """While true, Orrery observes the region and writes nothing to it. Default: false."""

    @property
    def is_managed(self) -> bool:
        """Whether Orrery runs the region's control plane."""
        return self.control_plane.external is None


class NomadStatus(StatusModel):
    """What the region's Nomad says of itself."""

    version: Annotated[str, Field(max_length=64)] = ""
    """Version of the server that answered."""

    region: Annotated[str, Field(max_length=128)] = ""
    """Nomad's own name of the region."""


class DataCenterStatus(StatusModel):
    """The machines of one data center."""

    name: Annotated[str, Field(max_length=128)]
    """The Nomad datacenter."""

    machines: int = 0
    """Machines that have joined."""

    ready: int = 0
    """Machines that are ready and eligible."""


class Capacity(StatusModel):
    """What the region's ready machines have in all."""

    cpu_mhz: int = Field(default=0, alias="cpuMHz")
    """CPU in MHz."""

    memory_mb: int = Field(default=0, alias="memoryMB")
    """Memory in MiB."""


class Orphans(StatusModel):
    """Jobs of this install whose GlobalDeployment does not exist. They are reported, never stopped."""

    count: int = 0
    """How many there are."""

    names: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=10)] = []
    """The first ten, as namespace/name."""


class Tombstone(StatusModel):
    """A GlobalDeployment that was deleted while the region did not answer: its job is stopped on return."""

    namespace: Annotated[str, Field(max_length=63)]
    """Namespace of the deleted object."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the deleted object."""

    uid: Annotated[str, Field(max_length=63)]
    """Identity of the deleted object: a job of a later one of that name is left alone."""

    revision: Annotated[str, Field(max_length=64)] = ""
    """Digest of the job that was last left in the region."""

    index: int = 0
    """JobModifyIndex of that job."""

    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When Orrery stopped waiting for the region."""


NOMAD_HTTP_PORT: Final = 4646

TOMBSTONES_MAX: Final = 500
"""More than these are not remembered: deleted objects wait for the region instead."""

RegionPhase = Literal[
    "Pending",
    "Provisioning",
    "Checking",
    "Opening",
    "Open",
    "Cordoned",
    "Unreachable",
    "Terminating",
    "TearingDown",
]


class ControlPlaneStatus(StatusModel):
    """How far the control plane of a Managed region is."""

    namespace: Annotated[str, Field(max_length=63)]
    """Namespace in the continent's cluster."""

    address: Annotated[str, Field(max_length=253)] = ""
    """Address of its load balancer, once it has one."""

    authority: Annotated[str, Field(max_length=64)] = ""
    """Fingerprint (SHA-256) of the region's certificate authority, once it was made: another one is never taken for it."""

    bootstrapped: bool = False
    """Whether Nomad's ACL system has been set up."""

    class_revision: Annotated[str, Field(max_length=64)] = ""
    """Revision of the RegionClass that it is built from."""

    expires: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When the first of its certificates expires."""

    last_snapshot: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When a snapshot of its Nomad was last taken on schedule; absent while none was."""

    snapshots_since: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When the schedule of its snapshots began; absent while there is none."""


class RegionStatus(StatusModel):
    """What Orrery last saw of the region."""

    observed_generation: int | None = None
    """The generation of the spec that this status speaks of."""

    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = []
    """Ready, and Reconciling, Stalled and Degraded while true."""

    phase: RegionPhase | None = None
    """Pending, Provisioning, Checking, Opening, Open, Cordoned or Unreachable; Terminating while a Teardown waits for jobs, then TearingDown."""

    display: RegionDisplay | None = None
    """What `kubectl get` shows."""

    checks: Annotated[
        list[CheckStatus], Field(max_length=64, json_schema_extra=list_map("name"))
    ] = []
    """What came of each check."""

    opening: OpeningStatus | None = None
    """How far the opening is; absent from a region that needs none."""

    last_seen_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When an unreachable region last answered; absent while it answers."""

    control_plane: ControlPlaneStatus | None = None
    """How far the control plane of a Managed region is."""

    nomad: NomadStatus | None = None
    """What its Nomad says of itself."""

    data_centers: Annotated[
        list[DataCenterStatus], Field(max_length=200, json_schema_extra=list_map("name"))
    ] = []
    """Machines by data center."""

    capacity: Capacity | None = None
    """What its ready machines have in all."""

    orphans: Orphans | None = None
    """Jobs of this install without an owner, when there are any."""

    tombstones: Annotated[
        list[Tombstone],
        Field(max_length=TOMBSTONES_MAX, json_schema_extra=list_map("uid")),
    ] = []
    """Deployments that were deleted while the region did not answer."""


class Region(Model):
    """A place of the world with its own Nomad, which keeps working when everything above it is gone."""

    api_version: Literal["orrery.dev/v1alpha1"] = API_VERSION
    kind: Literal["Region"] = "Region"
    metadata: Metadata
    spec: RegionSpec
    status: RegionStatus | None = None

    @property
    def nomad_address(self) -> str:
        """Address of its Nomad API, without a slash at its end; empty while it has none."""
        external = self.spec.control_plane.external
        if external is not None:
            return external.nomad_address.rstrip("/")
        told = self.status.control_plane if self.status else None
        return f"https://{told.address}:{NOMAD_HTTP_PORT}" if told and told.address else ""

    @property
    def credentials_secret(self) -> str:
        """Name of the Secret, in the operator's namespace, with the credentials of its Nomad."""
        external = self.spec.control_plane.external
        if external is not None:
            return external.credentials_secret_ref.name
        return f"{self.metadata.name}-region-credentials"


DEFINITION: Final = Definition(
    kind="Region",
    plural="regions",
    short_name="rgn",
    namespaced=False,
    name_max=CLUSTER_NAME_MAX,
    model=Region,
    columns=(
        Column("Continent", ".spec.continent"),
        Column("Phase", ".status.phase"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Checks", ".status.display.checks"),
        Column("Machines", ".status.display.machines"),
        Column("Last Seen", ".status.lastSeenTime", type="date", wide=True),
        Column("Nomad", ".status.nomad.version", wide=True),
        Column("Class", ".spec.class", wide=True),
        Column("Address", ".status.controlPlane.address", wide=True),
        Column("External Address", ".spec.controlPlane.external.nomadAddress", wide=True),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Status", ".status.display.status"),
    ),
)

__all__ = ["DEFINITION", "Region", "RegionName", "RegionSpec", "RegionStatus", "Tombstone"]
