"""How a change of a RegionClass moves over its regions, and what is told of it. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import forms
from orrery.api.base import (
    Duration,
    Label,
    LabelSelector,
    Model,
    RegionName,
    StatusModel,
    cel,
    list_map,
    list_set,
    validations,
)
from orrery.api.conditions import Condition

COUNT_MAX: Final = 1000
COUNT_OR_SHARE: Final = "a count from 1 to 1000, or a share from 1% to 100%"

Share = Annotated[
    int | str,
    Field(
        json_schema_extra=validations(
            cel(
                f"type(self) == int ? self >= 1 && self <= {COUNT_MAX} : self.matches('{forms.SHARE.pattern}')",
                f"must be {COUNT_OR_SHARE}",
            )
        )
    ),
]
"""A number of regions: a count, or a share of all regions of the class as in ``25%``."""

MAX_CONCURRENT: Final = 1
SOAK: Final = "5m"
PROGRESS_DEADLINE: Final = "20m"

REMAINING: Final = "remaining"
"""Name of the wave of all regions that are in no other."""


class RegionWave(Model):
    """Regions that take a change together, before those of the next wave."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "(has(self.regions) ? 1 : 0) + (has(self.regionSelector) ? 1 : 0)"
                " + (has(self.percent) ? 1 : 0) == 1",
                "exactly one of regions, regionSelector and percent must be set",
            ),
            cel(
                f"self.name != '{REMAINING}'",
                f'name "{REMAINING}" is that of the last wave, which needs no entry',
                field=".name",
            ),
        )
    )

    name: Label
    """Name of the wave, which approvals use."""

    regions: (
        Annotated[
            list[RegionName], Field(max_length=100, min_length=1, json_schema_extra=list_set())
        ]
        | None
    ) = None
    """Names of its regions. Default: none."""

    region_selector: LabelSelector | None = None
    """Its regions by their labels. Default: none."""

    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Its part of all Managed regions of the class, rounded up: the first by name of those in no earlier wave. Default: none."""

    max_concurrent: Annotated[int, Field(ge=1, le=COUNT_MAX)] | None = None
    """Regions that may be in motion at once while this wave is on, as a count. Default: that of the rollout."""

    soak: Duration | None = None
    """How long a region must have been well before the next one starts. Default: that of the rollout."""

    approval: Literal["Required"] | None = None
    """Required: the wave starts only when it was approved for this very revision, by `orrery class approve`. Default: it starts by itself."""


class ClassRollout(Model):
    """How a change of the class moves over its Managed regions."""

    max_concurrent: Share | None = None
    """Regions that may be in motion at once: a count, or a share of all such as 25%, rounded down and at least 1. Default: 1."""

    soak: Duration = SOAK
    """How long a region must have been well before the next one starts. Default: 5m."""

    waves: Annotated[
        list[RegionWave], Field(max_length=20, json_schema_extra=list_map("name"))
    ] = []
    """Groups of regions, in their order; a region belongs to the first that names it, and those that none names come last. Default: one wave of all."""

    max_failed_regions: Annotated[int, Field(ge=0, le=1000)] = 0
    """Regions that may fail before the rollout stops. Default: 0."""

    on_failure: Literal["Pause", "RollBack"] = "Pause"
    """What happens when more have failed. Pause: no other region starts until they are well, or the class is changed. RollBack: the regions that have the new revision go back to their former one. Default: Pause."""

    progress_deadline: Duration = PROGRESS_DEADLINE
    """How long a region that has the new revision may be not well before it counts as failed. Default: 20m."""

    paused: bool = False
    """While true, no region starts; those in motion go on. Default: false."""


class ClassRegions(StatusModel):
    """The Managed regions of a class, counted."""

    desired: int = 0
    """Managed regions of the class."""

    updated: int = 0
    """Those that have the class's current revision and are well with it."""


class ClassDisplay(StatusModel):
    """What `kubectl get` shows."""

    regions: Annotated[str, Field(max_length=32)] = ""
    """Regions that are updated, of those of the class, as in `3/4`."""

    status: Annotated[str, Field(max_length=1024)] = ""
    """How far the rollout is, in one sentence."""


class RegionClassStatus(StatusModel):
    """How far a change of the class is."""

    observed_generation: int | None = None
    """The generation of the spec that this status speaks of."""

    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = []
    """Ready, and Reconciling and Stalled while true."""

    revision: Annotated[str, Field(max_length=64)] = ""
    """Digest of what the class says of control planes."""

    regions: ClassRegions | None = None
    """Its Managed regions, counted."""

    wave: Annotated[str, Field(max_length=63)] | None = None
    """Name of the wave that the rollout is in; absent when it is complete."""

    display: ClassDisplay | None = None
    """What `kubectl get` shows."""
