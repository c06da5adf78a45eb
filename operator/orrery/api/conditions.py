"""Conditions as kstatus reads them: types, reasons, and the condition itself. Pure.

``Ready`` is always there. ``Reconciling`` and ``Stalled`` are abnormal-true: present only while
true. ``Degraded`` stands beside a ``Ready`` that still holds.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from orrery.api.base import StatusModel


class ConditionType(StrEnum):
    """The few condition types, the same for every kind."""

    READY = "Ready"
    """The object does what its spec says."""
    RECONCILING = "Reconciling"
    """Orrery is working on it, or waits for something that will come by itself."""
    STALLED = "Stalled"
    """Waiting will not help: the message says what to change."""
    DEGRADED = "Degraded"
    """Part of it is impaired while the whole still does its job."""


class Reason(StrEnum):
    """Why a condition is as it is. Stable API; each is explained in docs/reference/reasons.md."""

    SUCCEEDED = "Succeeded"
    """Everything asked for is in place."""
    PROGRESSING = "Progressing"
    """Regions are being brought to the current spec."""
    PAUSED = "Paused"
    """`spec.paused` is true: Orrery observes and writes nothing."""
    INVALID_SPEC = "InvalidSpec"
    """The spec contradicts itself or asks for something that is not allowed."""
    NO_REGION = "NoRegion"
    """No region is selected by the placement."""
    REGION_NOT_AVAILABLE = "RegionNotAvailable"
    """A region that the placement names does not exist or is not open."""
    REGION_UNREACHABLE = "RegionUnreachable"
    """A region does not answer; its jobs keep running and its last state is kept."""
    SECRET_NOT_FOUND = "SecretNotFound"
    """A Secret that the spec names does not exist."""
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"
    """A Secret that the spec names lacks a key."""
    SECRET_INVALID = "SecretInvalid"
    """A Secret that the spec names holds something that cannot be used: not text, too long."""
    UNKNOWN_DRIVER = "UnknownDriver"
    """The region's class has no driver of that name."""
    FOREIGN_JOB = "ForeignJob"
    """A job with this name exists in the region and is not Orrery's; it is left alone."""
    JOB_REFUSED = "JobRefused"
    """The region's Nomad refused the job."""
    REVERTED = "Reverted"
    """The new version did not become healthy and Nomad went back to the one before."""
    UNHEALTHY = "Unhealthy"
    """Fewer instances than wanted are healthy."""
    DELETING = "Deleting"
    """The object is being deleted; its jobs are stopped first."""
    CONTINENT_NOT_FOUND = "ContinentNotFound"
    """The region names a continent that does not exist."""
    CLASS_NOT_FOUND = "ClassNotFound"
    """The region names a class that does not exist."""
    CREDENTIALS_INVALID = "CredentialsInvalid"
    """The credentials Secret is missing, incomplete, or bound to another address."""
    NOMAD_UNSUPPORTED = "NomadUnsupported"
    """The region's Nomad is older or newer than Orrery supports."""
    NOMAD_REFUSED = "NomadRefused"
    """The region's Nomad denies a call that Orrery needs."""
    NO_MACHINES = "NoMachines"
    """No machine of the region is ready."""
    INTERNAL_ERROR = "InternalError"
    """A bug in Orrery; the log has the traceback."""


Status = Literal["True", "False", "Unknown"]


class Condition(StatusModel):
    """One condition of an object, in the standard Kubernetes shape."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition: Ready, Reconciling, Stalled or Degraded."""

    status: Status
    """True, False or Unknown."""

    observed_generation: int
    """The generation of the spec that this condition was judged on."""

    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, as one CamelCase word."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people."""
