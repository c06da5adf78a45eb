"""How a region is checked and opened: the part of a Region's spec and status about that. Pure."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from orrery.api.base import (
    Duration,
    Label,
    LabelSelector,
    Model,
    StatusModel,
    cel,
    list_map,
    list_set,
    validations,
)

LATENCY_TARGET: Final = "40ms"
LATENCY_LIMIT: Final = "70ms"

EVERYONE: Final = "everyone"
"""The last step of every opening: no stage may have this name."""


class CheckName(StrEnum):
    """The checks of a region. Stable API."""

    FRONT_DOOR_REACHABLE = "FrontDoorReachable"
    MTLS_ENFORCED = "MTLSEnforced"
    NOMAD_QUORUM = "NomadQuorum"
    NOMAD_LEADER_STABLE = "NomadLeaderStable"
    NOMAD_ACL_ENABLED = "NomadACLEnabled"
    SNAPSHOT_RECENT = "SnapshotRecent"
    ZONE_ONLINE = "ZoneOnline"
    MACHINES_JOINED = "MachinesJoined"
    DRIVER_HEALTHY = "DriverHealthy"
    LATENCY_WITHIN_BUDGET = "LatencyWithinBudget"
    REGISTRY_PULL = "RegistryPull"
    SMOKE_DEPLOY = "SmokeDeploy"
    CERTIFICATES_VALID = "CertificatesValid"
    CLOCK_SKEW = "ClockSkew"


def _named(text: object) -> object:
    """Read a check's name as it stands on the wire; what is none is left for the model to refuse."""
    known = isinstance(text, str) and text in set(CheckName)
    return CheckName(str(text)) if known else text


class RegionDataCenter(Model):
    """A data center that the region is to have."""

    name: Label
    """The Nomad datacenter."""

    min_machines: Annotated[int, Field(ge=0, le=10_000)] = 1
    """Machines that must be ready for the check MachinesJoined to pass. Default: 1."""


class Latency(Model):
    """How long a TCP connection from a machine to the front door may take to be made."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"duration(has(self.target) ? self.target : '{LATENCY_TARGET}') <= "
                f"duration(has(self.limit) ? self.limit : '{LATENCY_LIMIT}')",
                "target must not be longer than limit",
            )
        )
    )

    target: Duration = LATENCY_TARGET
    """Up to here all is well. Default: 40ms."""

    limit: Duration = LATENCY_LIMIT
    """Above this, the check LatencyWithinBudget fails. Default: 70ms."""


class OpeningStage(Model):
    """One step of the opening: who else may be placed in the region from then on."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.namespaceSelector) != has(self.percent)",
                "exactly one of namespaceSelector and percent must be set",
            )
        )
    )

    name: Annotated[
        Label,
        Field(
            json_schema_extra=validations(
                cel(
                    f"self != '{EVERYONE}'",
                    f"{EVERYONE} is the name of the last step, which every opening has",
                )
            )
        ),
    ]
    """Name of the stage; an approval names it."""

    namespace_selector: LabelSelector | None = None
    """Namespaces that may be placed here from this stage on. Default: none; `percent` is given then."""

    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Namespaces, in percent, that may be placed here from this stage on: always the same ones, by a hash of the name. Default: none; `namespaceSelector` is given then."""

    soak: Duration = "0s"
    """How long all checks must pass in this stage before the next step. Default: 0s."""

    approval: Literal["Required"] | None = None
    """Required: the stage begins when somebody approves it, by `orrery region approve`. Default: it begins by itself."""


class Opening(Model):
    """How the region is opened to new deployments. What runs there already is always carried on."""

    mode: Literal["Automatic", "Manual"] | None = None
    """Automatic: step by step, as soon as the checks pass. Manual: each step, the last one to everyone too, waits for `orrery region approve`. Default: Automatic."""

    stages: Annotated[
        list[OpeningStage],
        Field(
            max_length=10,
            json_schema_extra=list_map("name")
            | validations(
                cel(
                    "self.filter(stage, has(stage.percent)).map(stage, stage.percent).isSorted()",
                    "the percent of a stage must not be less than that of one before",
                )
            ),
        ),
    ] = []
    """Steps before the region is open to everyone; each adds to those before, so percentages rise. Default: none, everyone at once."""


class Checks(Model):
    """Which checks count."""

    disabled: Annotated[
        list[Annotated[CheckName, BeforeValidator(_named)]],
        Field(max_length=20, json_schema_extra=list_set()),
    ] = []
    """Checks that are not made, by name. Default: none."""


CheckStatusWord = Literal["Pass", "Fail", "Unknown", "Skipped"]


class CheckStatus(StatusModel):
    """What came of one check."""

    name: Annotated[str, Field(max_length=64)]
    """Name of the check."""

    status: CheckStatusWord
    """Pass, Fail, Unknown or Skipped."""

    message: Annotated[str, Field(max_length=1024)] = ""
    """What was found and, when it is not as it should be, what to do about it."""

    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""


class OpeningStatus(StatusModel):
    """How far the opening is."""

    stage: Annotated[str, Field(max_length=63)] | None = None
    """The stage that the region is in; absent before the first, and once it is open."""

    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When that stage began."""

    opened: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When the region was opened to everyone. It stays open from then on."""

    waits_for_approval: Annotated[str, Field(max_length=63)] | None = None
    """The step that somebody has to approve, when that is all it waits for."""


class RegionDisplay(StatusModel):
    """What `kubectl get` shows."""

    checks: Annotated[str, Field(max_length=16)] = ""
    """Checks that pass, of those that are made, as in `9/10`; as in `12 waiting` before the region has an address."""

    machines: Annotated[str, Field(max_length=32)] = ""
    """Machines that are ready, of those that joined, as in `3/3`."""

    status: Annotated[str, Field(max_length=1024)] = ""
    """The state of the region in one sentence."""
