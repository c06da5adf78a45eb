"""One region's Nomad: the calls, and the values they exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from orrery.ports.admin import RegionAdmin
from orrery.ports.values import Document


@dataclass(frozen=True, slots=True)
class JobStub:
    """One row of a region's job list: enough to tell whether a job is as we left it."""

    namespace: str
    id: str
    job_modify_index: int
    status: str
    """pending, running or dead."""
    stop: bool
    meta: Mapping[str, str]
    running: int
    """Running allocations over all groups, from the job's summary."""
    failed: int
    """Failed and lost allocations over all groups, from the job's summary."""
    queued: int
    """Allocations that found no place or have not started, over all groups."""


@dataclass(frozen=True, slots=True)
class JobList:
    """A region's jobs in all namespaces, and the raft index they were read at."""

    index: int
    jobs: Sequence[JobStub]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as Nomad holds it: *document* is Nomad's JSON, with all defaults filled in."""

    namespace: str
    id: str
    version: int
    job_modify_index: int
    stop: bool
    meta: Mapping[str, str]
    document: Document


@dataclass(frozen=True, slots=True)
class Submission:
    """What travels beside a register call and is kept per job version."""

    source: str
    format: str = "json"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One instance of a job in its region."""

    id: str
    job_version: int
    client_status: str
    """pending, running, complete, failed, lost or unknown."""
    desired_status: str
    """run, stop or evict."""
    healthy: bool | None
    """Nomad's verdict within a deployment; None while there is none."""
    node: str
    message: str = ""
    """The last task event that went wrong, for people."""
    node_id: str = ""
    started: bool = False
    """Whether a task of it has run, as far as its last ten events tell."""


@dataclass(frozen=True, slots=True)
class JobDeployment:
    """One of Nomad's own deployments: the roll-out of one version inside the region."""

    id: str
    job_version: int
    status: str
    """running, successful, failed, cancelled, paused, pending, blocked or unblocking."""
    description: str
    desired: int
    healthy: int
    unhealthy: int


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a region."""

    id: str
    name: str
    datacenter: str
    status: str
    """initializing, ready, down or disconnected."""
    eligible: bool
    drivers: frozenset[str]
    """Healthy task drivers."""
    cpu_mhz: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class PlacementFailure:
    """Why Nomad could not place instances of a job."""

    evaluated: int
    """Machines looked at."""
    exhausted: int
    """Machines that fit but are full."""
    dimensions: Mapping[str, int]
    """Machines that ran out, by dimension, such as ``memory``."""
    constraints: Mapping[str, int]
    """Machines filtered out, by constraint."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What a register of a job would do."""

    job_modify_index: int
    """The index the plan was made at; 0 when the job does not exist."""
    diff: Document
    """Nomad's structured diff: Type (None, Added, Edited, Deleted), Fields, Objects..."""
    updates: Mapping[str, int]
    """Instances by kind of change.

    Kinds: place, stop, migrate, in_place, destructive, canary, preemption, ignore.
    """
    failures: Mapping[str, PlacementFailure]
    """By task group; empty when everything finds a place."""
    warnings: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A Nomad variable: *items* are secret values and never leave memory."""

    path: str
    modify_index: int
    items: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What the server that answered says of itself."""

    version: str
    region: str
    acl_enabled: bool | None = None
    """Whether its ACL system is on; None when it does not say."""


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One Nomad server, as the leader's autopilot sees it."""

    name: str
    """With Nomad's region at its end, for example ``fra-nomad-0.fra``."""
    leader: bool
    voter: bool
    healthy: bool
    stable_since: str
    """When *healthy* last changed, by the clock of the leader, as in RFC 3339."""


@dataclass(frozen=True, slots=True)
class AutopilotHealth:
    """The Nomad servers, as the leader's autopilot sees them."""

    healthy: bool
    """Whether every server is."""
    failure_tolerance: int
    """Servers that may still be lost before the quorum is."""
    servers: Sequence[ServerHealth]
    """By name."""
    time: float | None = field(default=None, compare=False)
    """Wall-clock seconds, by the clock of the server that answered; None when it does not say."""


@dataclass(frozen=True, slots=True)
class RegionEvent:
    """One line item of a region's event stream: something about one job, or about a node.

    *job_id* is empty for events about no job; *job_modify_index* is known for topic Job only.
    """

    topic: str
    """Job, Allocation, Deployment, Evaluation or Node."""
    type: str
    namespace: str
    job_id: str
    job_modify_index: int | None = None
    is_progress: bool = False
    """Whether it tells of an instance or a rollout that goes its way: no end, good or bad, yet."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events of one raft index.

    *gap* is set on the first batch after a (re)connect that may have lost events: list everything.
    A heartbeat is a batch without events, at index 0.
    """

    index: int
    events: Sequence[RegionEvent]
    gap: bool = False


class RegionNomad(Protocol):
    """One region's Nomad: ids are validated and quoted, every call has a deadline."""

    async def leader(self) -> str:
        """Return the leader's address; the light probe. Raises `Unreachable` without a leader."""

    async def agent(self) -> AgentFacts:
        """Read version and name of the server that answers; `Refused` when it is not supported."""

    async def autopilot(self) -> AutopilotHealth:
        """Ask the leader how all servers are. The token needs ``operator:read``."""

    async def admits_strangers(self) -> bool | None:
        """Tell whether its API answers a caller without a client certificate.

        None where nobody is asked for one: plain HTTP, or credentials without a certificate.
        """

    async def list_jobs(self) -> JobList:
        """List the jobs of all namespaces that the token may see, with their Meta."""

    async def read_job(self, namespace: str, job_id: str) -> Job | None:
        """Read one job, None when it does not exist."""

    async def read_submission(self, namespace: str, job_id: str, version: int) -> Submission | None:
        """Read what was submitted with *version* of a job, None when nothing was kept."""

    async def plan_job(self, document: Document) -> PlanResult:
        """Ask what a register of *document* would do; changes nothing."""

    async def register_job(
        self, document: Document, *, expected_index: int, submission: Submission
    ) -> None:
        """Register *document* if the job's JobModifyIndex is *expected_index*; 0: must not exist.

        The index of the reply is not the job's (Nomad 2.0): read the job afterwards.
        """

    async def purge_job(self, namespace: str, job_id: str) -> None:
        """Remove a job for good. Nomad has no compare-and-set here: check ownership just before."""

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        """List the allocations of a job, of all its versions."""

    async def read_log(self, allocation: str, task: str) -> str | None:
        """Read what *task* printed, from its machine; None when that is not there any more.

        Raises `Unreachable` when the machine cannot be asked. The token needs ``read-logs``.
        """

    async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
        """List Nomad's deployments of a job, newest first."""

    async def placement_failures(
        self, namespace: str, job_id: str
    ) -> Mapping[str, PlacementFailure]:
        """Say why instances of a job wait for a place, by task group; empty when none waits."""

    async def list_nodes(self) -> Sequence[Node]:
        """List the machines of the region with their resources."""

    async def list_namespaces(self) -> frozenset[str]:
        """List the names of the Nomad namespaces."""

    async def create_namespace(self, name: str, description: str) -> None:
        """Create a namespace; needs `Credentials.management`. Creating it again changes nothing."""

    async def read_variable(self, namespace: str, path: str) -> Variable | None:
        """Read a variable, None when it does not exist."""

    async def write_variable(
        self, namespace: str, path: str, items: Mapping[str, str], *, expected_index: int
    ) -> None:
        """Write a variable if its ModifyIndex is *expected_index*; 0: must not exist."""

    async def delete_variable(self, namespace: str, path: str, *, expected_index: int) -> None:
        """Delete a variable if its ModifyIndex is *expected_index*."""

    def events(self, *, index: int) -> AbstractAsyncContextManager[AsyncIterator[EventBatch]]:
        """Open the event stream of all namespaces, after raft *index* (0: from now).

        The iterator raises `Unreachable` when the stream ends, breaks, or is silent for longer
        than three heartbeats.
        """

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach one region's Nomad. PEM texts; *token* is sent to *endpoint* only."""

    endpoint: str
    token: str = field(repr=False)
    """What all calls are made with but those of `RegionAdmin`."""
    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    management: str = field(default="", repr=False)
    """A management token for what takes one; empty where *token* has to do for that, too."""


class NomadFactory(Protocol):
    """Makes clients, one per region and set of credentials."""

    def connect(self, credentials: Credentials) -> RegionNomad:
        """Make a client; connects lazily. Raises `InvalidSpec` for unusable credentials."""

    def administer(self, credentials: Credentials) -> RegionAdmin:
        """Make a client for what takes a management token. Raises as *connect* does."""
