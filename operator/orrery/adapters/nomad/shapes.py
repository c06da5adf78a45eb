"""What is read of Nomad's large documents: whatever else they hold is skipped while decoding.

The list of a region's jobs and the events are most of what Nomad sends: an event carries a whole
job, or a whole allocation with its job, of which a few words count.

Decoding holds everything else up, so each shape says how long its lists may be: a document with
more than that is given up at the first item too many.
"""

from typing import Annotated, TypedDict

from msgspec import Meta

PAGE_ROWS = 1000
"""Rows of a list that are asked for at a time; Nomad sends no more."""

EVENTS = 10_000
"""Events of one write, so of one line of the stream; a plan for a large job has thousands."""

ENTRIES = 1000
"""Keys of a job's Meta, and its task groups."""


class Summary(TypedDict, total=False):
    """Counts of allocations by task group."""

    Summary: Annotated[dict[str, dict[str, int]], Meta(max_length=ENTRIES)] | None


class JobRow(TypedDict, total=False):
    """One row of the job list."""

    Namespace: str
    ID: str
    JobModifyIndex: int
    Status: str
    Stop: bool
    Meta: Annotated[dict[str, str], Meta(max_length=ENTRIES)] | None
    JobSummary: Summary | None


JobPage = Annotated[list[JobRow], Meta(max_length=PAGE_ROWS)]
"""One page of the job list."""


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
    Events: Annotated[list[Event], Meta(max_length=EVENTS)] | None
