"""What is read of Nomad's large documents: whatever else they hold is skipped while decoding.

The list of a region's jobs and the events are most of what Nomad sends: an event carries a whole
job, or a whole allocation with its job, of which a few words count.
"""

from typing import TypedDict


class Summary(TypedDict, total=False):
    """Counts of allocations by task group."""

    Summary: dict[str, dict[str, int]] | None


class JobRow(TypedDict, total=False):
    """One row of the job list."""

    Namespace: str
    ID: str
    JobModifyIndex: int
    Status: str
    Stop: bool
    Meta: dict[str, str] | None
    JobSummary: Summary | None


class Health(TypedDict, total=False):
    """What is decided about an allocation of a deployment."""

    Healthy: bool | None


class Subject(TypedDict, total=False):
    """What an event is about: a job, an allocation or a deployment."""

    ID: str
    JobID: str
    JobModifyIndex: int
    Status: str
    ClientStatus: str
    DesiredStatus: str
    DeploymentStatus: Health | None


class Payload(TypedDict, total=False):
    """The subject of an event, under its topic."""

    Job: Subject | None
    Allocation: Subject | None
    Deployment: Subject | None
    Deleted: bool


class Event(TypedDict, total=False):
    """One event of a batch."""

    Topic: str
    Type: str
    Namespace: str | None
    Payload: Payload | None


class Batch(TypedDict, total=False):
    """One line of the event stream."""

    Index: int
    Events: list[Event] | None
