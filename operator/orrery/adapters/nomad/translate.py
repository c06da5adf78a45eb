"""Read Nomad's JSON into the values of the port. Pure.

A document of another shape raises whatever reading it raises; `orrery.adapters.nomad.decoding` is
the one place that says what that means.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from orrery.adapters.nomad.replies import one_line
from orrery.ports import (
    AclToken,
    AclTokenStub,
    AgentFacts,
    Allocation,
    AutopilotHealth,
    EventBatch,
    Job,
    JobDeployment,
    JobStub,
    Node,
    PlacementFailure,
    PlanResult,
    RegionEvent,
    ServerHealth,
    Submission,
    Variable,
)

_BAD_TASK_EVENTS = frozenset(
    {
        "Alloc Unhealthy",
        "Disk Resources Exceeded",
        "Driver Failure",
        "Failed Artifact Download",
        "Failed Restoring Task",
        "Failed Validation",
        "Not Restarting",
        "Setup Failure",
        "Task hook failed",
    }
)
_CONSEQUENCES = frozenset({"Alloc Unhealthy", "Not Restarting"})
"""Of these, what Nomad does about another one, or concludes from it."""

_UPDATES = {
    "Place": "place",
    "Stop": "stop",
    "Migrate": "migrate",
    "InPlaceUpdate": "in_place",
    "DestructiveUpdate": "destructive",
    "Canary": "canary",
    "Preemptions": "preemption",
    "Ignore": "ignore",
}


def job_stubs(rows: list[Any]) -> list[JobStub]:
    """Read the rows of the job list."""
    return [_job_stub(row) for row in rows]


def job(document: dict[str, Any]) -> Job:
    """Read one job."""
    return Job(
        namespace=_text(document["Namespace"]),
        id=_text(document["ID"]),
        version=int(document["Version"]),
        job_modify_index=int(document["JobModifyIndex"]),
        stop=bool(document["Stop"]),
        meta=dict(document.get("Meta") or {}),
        document=document,
    )


def submission(document: dict[str, Any]) -> Submission:
    """Read what was submitted with a version of a job."""
    return Submission(source=_text(document["Source"]), format=_text(document["Format"]))


def plan(document: dict[str, Any]) -> PlanResult:
    """Read the outcome of a plan; instances are added up over the task groups."""
    groups = ((document.get("Annotations") or {}).get("DesiredTGUpdates") or {}).values()
    failures = (document.get("FailedTGAllocs") or {}).items()
    return PlanResult(
        job_modify_index=int(document["JobModifyIndex"]),
        diff=dict(document["Diff"] or {}),
        updates={
            ours: sum(int(group.get(theirs) or 0) for group in groups)
            for theirs, ours in _UPDATES.items()
        },
        failures={group: _placement_failure(metric) for group, metric in failures},
        warnings=one_line(document.get("Warnings") or ""),
    )


def allocations(rows: list[Any]) -> list[Allocation]:
    """Read the allocations of a job."""
    return [
        Allocation(
            id=_text(row["ID"]),
            job_version=int(row["JobVersion"]),
            client_status=_text(row["ClientStatus"]),
            desired_status=_text(row["DesiredStatus"]),
            healthy=(row.get("DeploymentStatus") or {}).get("Healthy"),
            node=_text(row["NodeName"]),
            message=_complaint(row.get("TaskStates") or {}),
            node_id=_text(row["NodeID"]),
            started=_has_started(row.get("TaskStates") or {}),
        )
        for row in rows
    ]


def deployments(rows: list[Any]) -> list[JobDeployment]:
    """Read the deployments of a job, newest first."""
    newest_first = sorted(rows, key=lambda row: -int(row["CreateIndex"]))
    return [_deployment(row, (row.get("TaskGroups") or {}).values()) for row in newest_first]


def waiting(rows: list[Any]) -> dict[str, PlacementFailure]:
    """Read from a job's evaluations what the blocked one, there is one at most, waits for."""
    blocked = [row.get("FailedTGAllocs") or {} for row in rows if row["Status"] == "blocked"]
    return {g: _placement_failure(metric) for failed in blocked for g, metric in failed.items()}


def nodes(rows: list[Any]) -> list[Node]:
    """Read the machines; what is reserved for the machine itself is not counted."""
    return [
        Node(
            id=_text(row["ID"]),
            name=_text(row["Name"]),
            datacenter=_text(row["Datacenter"]),
            status=_text(row["Status"]),
            eligible=row["SchedulingEligibility"] == "eligible" and not row["Drain"],
            drivers=frozenset(
                name for name, driver in (row["Drivers"] or {}).items() if driver["Healthy"]
            ),
            cpu_mhz=_capacity(row, "Cpu", "CpuShares"),
            memory_mb=_capacity(row, "Memory", "MemoryMB"),
        )
        for row in rows
    ]


def namespaces(rows: list[Any]) -> frozenset[str]:
    """Read the names of the namespaces."""
    return frozenset(_text(row["Name"]) for row in rows)


def variable(document: dict[str, Any]) -> Variable:
    """Read a variable."""
    return Variable(
        path=_text(document["Path"]),
        modify_index=int(document["ModifyIndex"]),
        items={_text(name): _text(value) for name, value in document["Items"].items()},
    )


def agent(document: dict[str, Any]) -> AgentFacts:
    """Read version and region, with the suffix of a pre-release."""
    version = document["config"]["Version"]
    suffix = version.get("VersionPrerelease") or ""
    metadata = version.get("VersionMetadata") or ""
    return AgentFacts(
        version=_text(version["Version"])
        + (f"-{suffix}" if suffix else "")
        + (f"+{metadata}" if metadata else ""),
        region=_text(document["config"]["Region"]),
        acl_enabled=_acl_enabled(document["config"].get("ACL")),
    )


def _acl_enabled(acl: Any) -> bool | None:
    return None if acl is None else acl["Enabled"] is True


def http_date(text: str) -> float | None:
    """Read a moment as HTTP writes it, in wall-clock seconds; None when it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return None


def autopilot(document: dict[str, Any]) -> AutopilotHealth:
    """Read how the servers are, by name."""
    servers = [
        ServerHealth(
            name=_text(server["Name"]),
            leader=server["Leader"] is True,
            voter=server["Voter"] is True,
            healthy=server["Healthy"] is True,
            stable_since=_text(server["StableSince"]),
        )
        for server in document["Servers"]
    ]
    return AutopilotHealth(
        healthy=document["Healthy"] is True,
        failure_tolerance=int(document["FailureTolerance"]),
        servers=sorted(servers, key=lambda server: server.name),
    )


def leader(document: Any) -> str:
    """Read the leader's address; empty while there is none."""
    return _text(document)


def namespace(document: dict[str, Any]) -> str:
    """Read one namespace."""
    return _text(document["Name"])


def policy_rules(document: dict[str, Any]) -> str:
    """Read the rules of an ACL policy, as they were written."""
    return _text(document["Rules"])


def token(document: dict[str, Any]) -> AclToken:
    """Read an ACL token."""
    stub = _token_stub(document)
    secret = _text(document["SecretID"])
    return AclToken(stub.name, stub.policies, stub.accessor, secret, management=stub.management)


def token_stubs(rows: list[Any]) -> list[AclTokenStub]:
    """Read a list of ACL tokens."""
    return [_token_stub(row) for row in rows]


def _token_stub(row: Mapping[str, Any]) -> AclTokenStub:
    return AclTokenStub(
        name=_text(row["Name"]),
        policies=tuple(_text(name) for name in row["Policies"] or ()),
        accessor=_text(row["AccessorID"]),
        management=row["Type"] == "management",
    )


def written(document: dict[str, Any]) -> None:
    """Accept the reply to a write: what it says is never used, but it must be Nomad's."""
    if not isinstance(document, dict):
        raise TypeError


def event_batch(document: dict[str, Any]) -> EventBatch:
    """Read one line of the event stream; an empty object is a heartbeat."""
    events = document.get("Events") or []
    index = int(document["Index"]) if events else 0
    return EventBatch(index=index, events=[_event(event) for event in events])


def _event(event: Mapping[str, Any]) -> RegionEvent:
    topic = _text(event["Topic"])
    payload = event.get("Payload") or {}
    subject = payload.get(topic) or {}
    gone = bool(payload.get("Deleted"))
    index = subject.get("JobModifyIndex") if topic == "Job" and not gone else None
    job_id = subject.get("ID" if topic == "Job" else "JobID") or ""
    return RegionEvent(
        topic=topic,
        type=_text(event["Type"]),
        namespace=event.get("Namespace") or "",
        job_id=_text(job_id),
        job_modify_index=None if index is None else int(index),
        is_progress=_is_progress(topic, subject),
    )


def _is_progress(topic: str, subject: Mapping[str, Any]) -> bool:
    match topic:
        case "Allocation":
            under_way = subject.get("ClientStatus") in {"pending", "running"}
            told = (subject.get("DeploymentStatus") or {}).get("Healthy") is not None
            return under_way and subject.get("DesiredStatus") == "run" and not told
        case "Deployment":
            return subject.get("Status") in {"initializing", "pending", "running"}
        case _:
            return False


def _job_stub(row: Mapping[str, Any]) -> JobStub:
    counts: Counter[str] = Counter()
    for group in ((row.get("JobSummary") or {}).get("Summary") or {}).values():
        counts.update(group)
    return JobStub(
        namespace=_text(row["Namespace"]),
        id=_text(row["ID"]),
        job_modify_index=int(row["JobModifyIndex"]),
        status=_text(row["Status"]),
        stop=bool(row["Stop"]),
        meta=dict(row.get("Meta") or {}),
        running=counts["Running"],
        failed=counts["Failed"] + counts["Lost"],
        queued=counts["Queued"] + counts["Starting"],
    )


def _deployment(row: Mapping[str, Any], groups: Iterable[Mapping[str, Any]]) -> JobDeployment:
    return JobDeployment(
        id=_text(row["ID"]),
        job_version=int(row["JobVersion"]),
        status=_text(row["Status"]),
        description=one_line(_text(row["StatusDescription"])),
        desired=sum(int(group["DesiredTotal"]) for group in groups),
        healthy=sum(int(group["HealthyAllocs"]) for group in groups),
        unhealthy=sum(int(group["UnhealthyAllocs"]) for group in groups),
    )


def _placement_failure(metric: Mapping[str, Any]) -> PlacementFailure:
    return PlacementFailure(
        evaluated=int(metric["NodesEvaluated"]),
        exhausted=int(metric["NodesExhausted"]),
        dimensions=dict(metric.get("DimensionExhausted") or {}),
        constraints=dict(metric.get("ConstraintFiltered") or {}),
    )


def _has_started(tasks: Mapping[str, Any]) -> bool:
    return any(
        event["Type"] in {"Started", "Terminated"}
        for task in tasks.values()
        for event in task.get("Events") or []
    )


def _complaint(tasks: Mapping[str, Any]) -> str:
    """Find the last task event that went wrong; what only follows from others comes second."""
    bad = [
        event
        for task in tasks.values()
        for event in task.get("Events") or []
        if event.get("FailsTask")
        or event["Type"] in _BAD_TASK_EVENTS
        or (event["Type"] == "Terminated" and event.get("ExitCode"))
    ]
    if not bad:
        return ""
    causes = [event for event in bad if event["Type"] not in _CONSEQUENCES]
    last = max(causes or bad, key=lambda event: int(event["Time"]))
    return one_line(last.get("DisplayMessage") or last["Type"])


def _capacity(row: Mapping[str, Any], kind: str, amount: str) -> int:
    has = (row.get("NodeResources") or {}).get(kind) or {}
    keeps = (row.get("ReservedResources") or {}).get(kind) or {}
    return max(0, int(has.get(amount) or 0) - int(keeps.get(amount) or 0))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
