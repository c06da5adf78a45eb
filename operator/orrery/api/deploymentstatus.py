"""The status of a GlobalDeployment: what Orrery last saw in each region, and in all. Pure."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from orrery.api.base import StatusModel, list_map
from orrery.api.conditions import Condition, Reason


class Display(StatusModel):
    """What `kubectl get` shows."""

    regions: Annotated[str, Field(max_length=32)] = ""
    """Regions that are ready, of those placed, as in `24/25`."""

    status: Annotated[str, Field(max_length=1024)] = ""
    """The state of the deployment in one sentence."""


class Summary(StatusModel):
    """Regions by state."""

    desired: int = 0
    """Regions that should run it."""

    updated: int = 0
    """Regions whose Nomad has the current spec."""

    ready: int = 0
    """Regions in which every wanted instance of the current spec is healthy."""

    failed: int = 0
    """Regions that could not be brought to the current spec."""

    unreachable: int = 0
    """Regions that do not answer; their last state is kept."""


RegionalPhase = Literal[
    "Pending", "Updating", "Healthy", "Degraded", "Failed", "Unreachable", "Stopping"
]


class RegionalStatus(StatusModel):
    """One region's part, short: up to a hundred of these stand in one object."""

    phase: RegionalPhase
    """Pending, Updating, Healthy, Degraded, Failed, Unreachable or Stopping."""

    ready: Annotated[str, Field(max_length=16)] = ""
    """Healthy instances of those wanted, as in `3/3`."""

    revision: Annotated[str, Field(max_length=16)] = ""
    """Digest of the regional definition that the region's Nomad has, or was last asked to take."""

    index: int = 0
    """The job's JobModifyIndex there; 0 while it is not known."""

    # No enumeration in the CRD: a newer Orrery with an older CRD must still be able to write.
    reason: Annotated[Reason, WithJsonSchema({"type": "string", "maxLength": 64})] | None = None
    """Why it is not well, as one word; only when something is wrong."""

    message: Annotated[str, Field(max_length=512)] | None = None
    """What is wrong, only when something is."""


class ContinentStatus(StatusModel):
    """The regions of one continent."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the continent."""

    regions: Annotated[
        dict[str, RegionalStatus], Field(json_schema_extra={"x-kubernetes-map-type": "atomic"})
    ] = {}
    """State by region."""


class GlobalDeploymentStatus(StatusModel):
    """What Orrery last saw."""

    observed_generation: int | None = None
    """The generation of the spec that this status speaks of."""

    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = []
    """Ready, and Reconciling, Stalled and Degraded while true."""

    updated_revision: Annotated[str, Field(max_length=16)] | None = None
    """Digest of the current spec."""

    display: Display | None = None
    """What `kubectl get` shows."""

    summary: Summary | None = None
    """Regions by state."""

    continents: Annotated[
        list[ContinentStatus], Field(max_length=50, json_schema_extra=list_map("name"))
    ] = []
    """State of each region, by continent."""
