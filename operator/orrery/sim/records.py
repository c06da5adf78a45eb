"""What a region remembers: immutable records, replaced as a whole.

Since nothing is changed in place, a snapshot of a region is a copy of its tables, an event may hold
the record it is about, and a hundred regions share one `Spec` per equal job.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orrery.sim.machines import Machine

JobKey: TypeAlias = tuple[str, str]
"""Namespace and job id."""


class Spec:
    """The part of a job that its author decides, with defaults filled in; shared, never changed."""

    __slots__ = ("__weakref__", "digest", "document", "groups")

    def __init__(self, document: dict[str, Any], digest: bytes) -> None:
        self.document = document
        self.digest = digest
        self.groups: dict[str, dict[str, Any]] = {
            group["Name"]: group for group in document["TaskGroups"]
        }

    @property
    def type(self) -> str:
        """One of service, batch, system, sysbatch."""
        return str(self.document["Type"])

    @property
    def priority(self) -> int:
        """From 1 to 100."""
        return int(self.document["Priority"])


@dataclass(frozen=True, slots=True)
class Submission:
    """What travelled with a register call."""

    source: str
    format: str
    variables: str = ""
    flags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One version of a job; the newest is the job."""

    namespace: str
    id: str
    spec: Spec
    stop: bool
    version: int
    create_index: int
    modify_index: int
    job_modify_index: int
    submit_time: int
    status: str = "pending"
    stable: bool = False
    accessor: str = ""
    submission: Submission | None = None

    @property
    def key(self) -> JobKey:
        """Namespace and id."""
        return self.namespace, self.id


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something that happened to a task."""

    type: str
    time: int
    text: str = ""
    """What people see."""
    details: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Nomad's own fields that are not empty for this type."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """How a task of an allocation fares."""

    state: str = "pending"
    failed: bool = False
    restarts: int = 0
    started: int = 0
    finished: int = 0
    restarted: int = 0
    events: tuple[TaskEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """One instance of a group of a job on a machine."""

    id: str
    namespace: str
    job_id: str
    group: str
    position: int
    node_id: str
    node_name: str
    spec: Spec
    job_version: int
    job_create_index: int
    job_modify_index: int
    eval_id: str
    create_index: int
    create_time: int
    modify_index: int
    modify_time: int
    plan_index: int
    """The index of the last plan that touched it."""
    deployment_id: str = ""
    desired_status: str = "run"
    desired_description: str = ""
    client_status: str = "pending"
    client_description: str = ""
    canary: bool = False
    healthy: bool | None = None
    health_index: int = 0
    health_time: int = 0
    previous: str = ""
    next: str = ""
    followup: str = ""
    attempts: tuple[tuple[int, str, str, int], ...] = ()
    """Earlier attempts: time, allocation, node, delay."""
    tasks: tuple[TaskState, ...] = ()
    """In the order of the group's tasks."""
    ports: tuple[tuple[str, int, int], ...] = ()
    """Label, value, to."""
    unknown_since: int = 0
    """When its machine fell silent, until it is decided what becomes of it; 0: it did not."""

    @property
    def key(self) -> JobKey:
        """The job's namespace and id."""
        return self.namespace, self.job_id

    @property
    def name(self) -> str:
        """The instance's name, which its successors share."""
        return f"{self.job_id}.{self.group}[{self.position}]"

    @property
    def client_terminal(self) -> bool:
        """Whether it has ended on its machine."""
        return self.client_status in {"complete", "failed", "lost"}

    @property
    def terminal(self) -> bool:
        """Whether it has ended or has been told to."""
        return self.desired_status != "run" or self.client_terminal


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How a deployment fares with one group."""

    auto_promote: bool
    auto_revert: bool
    progress_deadline: int
    desired_total: int
    desired_canaries: int = 0
    placed_canaries: tuple[str, ...] = ()
    promoted: bool = False
    placed: int = 0
    healthy: int = 0
    unhealthy: int = 0
    require_progress_by: int = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The roll-out of one version of a job."""

    id: str
    namespace: str
    job_id: str
    job_version: int
    job_create_index: int
    job_modify_index: int
    create_index: int
    create_time: int
    modify_index: int
    modify_time: int
    status: str
    description: str
    priority: int
    groups: Mapping[str, GroupProgress]

    @property
    def key(self) -> JobKey:
        """The job's namespace and id."""
        return self.namespace, self.job_id

    @property
    def active(self) -> bool:
        """Whether it still goes on."""
        return self.status in {"running", "paused", "blocked", "unblocking", "pending"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A request to make reality look like a job."""

    id: str
    namespace: str
    job_id: str
    type: str
    priority: int
    trigger: str
    status: str
    create_index: int
    create_time: int
    modify_index: int
    modify_time: int
    description: str = ""
    job_modify_index: int = 0
    snapshot_index: int = 0
    deployment_id: str = ""
    previous: str = ""
    blocked: str = ""
    wait_until: int = 0
    queued: Mapping[str, int] | None = None
    updates: Mapping[str, Mapping[str, int]] | None = None
    failures: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def key(self) -> JobKey:
        """The job's namespace and id."""
        return self.namespace, self.job_id

    @property
    def terminal(self) -> bool:
        """Whether nothing will come of it any more."""
        return self.status in {"complete", "failed", "canceled"}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine as the region sees it."""

    id: str
    machine: Machine
    create_index: int
    modify_index: int
    status: str = "ready"
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Namespace:
    """A tenant's room."""

    name: str
    description: str
    create_index: int
    modify_index: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A secret; its items are never shown in lists or events."""

    namespace: str
    path: str
    create_index: int
    create_time: int
    modify_index: int
    modify_time: int
    items: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """An ACL policy: rules by namespace."""

    name: str
    rules: Mapping[str, Any]
    modify_index: int


@dataclass(frozen=True, slots=True)
class Token:
    """An ACL token."""

    accessor: str
    secret: str = field(repr=False)
    name: str
    management: bool
    policies: tuple[str, ...]
    create_index: int
    create_time: float


Record: TypeAlias = (
    Job | Allocation | Deployment | Evaluation | Node | Namespace | Variable | Policy | Token
)
