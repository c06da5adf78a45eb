"""Records as Nomad's JSON shows them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from orrery.sim.machines import BUILD
from orrery.sim.records import (
    Allocation,
    Deployment,
    Evaluation,
    GroupProgress,
    Job,
    Namespace,
    Node,
    Submission,
    Variable,
)

Document = dict[str, Any]

_BILLION: Final = 1_000_000_000

NO_UPDATES: Final[Mapping[str, int]] = {
    "Canary": 0,
    "DestructiveUpdate": 0,
    "Disconnect": 0,
    "Ignore": 0,
    "InPlaceUpdate": 0,
    "Migrate": 0,
    "Place": 0,
    "Preemptions": 0,
    "Reconnect": 0,
    "RescheduleLater": 0,
    "RescheduleNow": 0,
    "Stop": 0,
}


def timestamp(nanoseconds: int) -> str | None:
    """Write a point in time as Go does, null for none."""
    if not nanoseconds:
        return None
    seconds, rest = divmod(nanoseconds, _BILLION)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{day}{fraction}Z"


def job_document(job: Job, region: str) -> Document:
    """Render one version of a job."""
    return job.spec.document | {
        "CreateIndex": job.create_index,
        "JobModifyIndex": job.job_modify_index,
        "ModifyIndex": job.modify_index,
        "NomadTokenID": job.accessor,
        "Region": region,
        "Stable": job.stable,
        "Status": job.status,
        "StatusDescription": "",
        "Stop": job.stop,
        "SubmitTime": job.submit_time,
        "Version": job.version,
    }


def job_stub(job: Job, summary: Document, *, meta: bool) -> Document:
    """Render a row of the job list."""
    document = job.spec.document
    stub = {
        "ID": job.id,
        "ParentID": document["ParentID"],
        "Name": document["Name"],
        "Namespace": job.namespace,
        "Datacenters": document["Datacenters"],
        "NodePool": document["NodePool"],
        "Multiregion": None,
        "Type": document["Type"],
        "Priority": document["Priority"],
        "Periodic": document["Periodic"] is not None,
        "ParameterizedJob": document["ParameterizedJob"] is not None,
        "Stop": job.stop,
        "Status": job.status,
        "StatusDescription": "",
        "JobSummary": summary,
        "CreateIndex": job.create_index,
        "ModifyIndex": job.modify_index,
        "JobModifyIndex": job.job_modify_index,
        "SubmitTime": job.submit_time,
    }
    if meta and document["Meta"]:
        stub["Meta"] = document["Meta"]
    return stub


_SUMMARY_FIELD: Final = {
    "pending": "Starting",
    "running": "Running",
    "complete": "Complete",
    "failed": "Failed",
    "lost": "Lost",
    "unknown": "Unknown",
}


def summary_document(
    job: Job, allocations: Iterable[Allocation], queued: Mapping[str, int], index: int
) -> Document:
    """Count a job's instances by group."""
    groups: dict[str, dict[str, int]] = {
        name: {
            "Queued": queued.get(name, 0),
            "Complete": 0,
            "Failed": 0,
            "Running": 0,
            "Starting": 0,
            "Lost": 0,
            "Unknown": 0,
        }
        for name in job.spec.groups
    }
    for allocation in allocations:
        group = groups.get(allocation.group)
        if group is not None and allocation.job_create_index == job.create_index:
            group[_SUMMARY_FIELD[allocation.client_status]] += 1
    return {
        "JobID": job.id,
        "Namespace": job.namespace,
        "Summary": groups,
        "Children": {"Pending": 0, "Running": 0, "Dead": 0},
        "CreateIndex": job.create_index,
        "ModifyIndex": index,
    }


def submission_document(job: Job, submission: Submission) -> Document:
    """Render what was submitted with a version."""
    return {
        "Source": submission.source,
        "Format": submission.format,
        "VariableFlags": submission.flags,
        "Variables": submission.variables,
        "Namespace": job.namespace,
        "JobID": job.id,
        "Version": job.version,
        "JobModifyIndex": job.job_modify_index,
    }


def deployment_document(deployment: Deployment) -> Document:
    """Render one of Nomad's deployments."""
    return {
        "ID": deployment.id,
        "Namespace": deployment.namespace,
        "JobID": deployment.job_id,
        "JobVersion": deployment.job_version,
        "JobCreateIndex": deployment.job_create_index,
        "JobModifyIndex": deployment.job_modify_index,
        "JobSpecModifyIndex": deployment.job_modify_index,
        "IsMultiregion": False,
        "EvalPriority": deployment.priority,
        "Status": deployment.status,
        "StatusDescription": deployment.description,
        "TaskGroups": {name: _progress(group) for name, group in deployment.groups.items()},
        "CreateIndex": deployment.create_index,
        "ModifyIndex": deployment.modify_index,
        "CreateTime": deployment.create_time,
        "ModifyTime": deployment.modify_time,
    }


def evaluation_document(evaluation: Evaluation) -> Document:
    """Render an evaluation; what is empty is left out."""
    document: Document = {
        "ID": evaluation.id,
        "Namespace": evaluation.namespace,
        "JobID": evaluation.job_id,
        "Type": evaluation.type,
        "Priority": evaluation.priority,
        "TriggeredBy": evaluation.trigger,
        "Status": evaluation.status,
        "CreateIndex": evaluation.create_index,
        "ModifyIndex": evaluation.modify_index,
        "CreateTime": evaluation.create_time,
        "ModifyTime": evaluation.modify_time,
    }
    annotations = {"DesiredTGUpdates": evaluation.updates, "PreemptedAllocs": None}
    optional = {
        "BlockedEval": evaluation.blocked,
        "DeploymentID": evaluation.deployment_id,
        "FailedTGAllocs": evaluation.failures,
        "JobModifyIndex": evaluation.job_modify_index,
        "PlanAnnotations": annotations if evaluation.updates else None,
        "PreviousEval": evaluation.previous,
        "QueuedAllocations": evaluation.queued,
        "SnapshotIndex": evaluation.snapshot_index,
        "StatusDescription": evaluation.description,
        "WaitUntil": timestamp(evaluation.wait_until),
    }
    return document | {name: value for name, value in optional.items() if value}


def node_stub(node: Node, *, resources: bool) -> Document:
    """Render a row of the node list."""
    machine = node.machine
    stub: Document = {
        "ID": node.id,
        "Name": machine.name,
        "Address": "127.0.0.1",
        "Datacenter": machine.datacenter,
        "NodePool": "default",
        "NodeClass": "",
        "Version": BUILD,
        "Status": node.status,
        "StatusDescription": "",
        "SchedulingEligibility": "eligible" if node.eligible else "ineligible",
        "Drain": False,
        "LastDrain": None,
        "HostVolumes": {},
        "Drivers": {name: _driver(name) for name in sorted(machine.drivers)},
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    }
    if resources:
        stub["NodeResources"] = {
            "Cpu": {"CpuShares": machine.cpu_mhz, "TotalCpuCores": 4, "ReservableCpuCores": None},
            "Memory": {"MemoryMB": machine.memory_mb},
            "Disk": {"DiskMB": 100_000},
            "Devices": None,
            "MinDynamicPort": 20000,
            "MaxDynamicPort": 32000,
        }
        stub["ReservedResources"] = {
            "Cpu": {"CpuShares": 0, "ReservedCpuCores": None},
            "Memory": {"MemoryMB": 0},
            "Disk": {"DiskMB": 0},
            "Networks": {"ReservedHostPorts": ""},
        }
    return stub


def namespace_document(namespace: Namespace) -> Document:
    """Render a namespace."""
    return {
        "Name": namespace.name,
        "Description": namespace.description,
        "Quota": "",
        "Capabilities": None,
        "Meta": None,
        "NodePoolConfiguration": None,
        "VaultConfiguration": None,
        "ConsulConfiguration": None,
        "OptionalExtraClaims": None,
        "RequiredExtraClaims": None,
        "Hash": "",
        "CreateIndex": namespace.create_index,
        "ModifyIndex": namespace.modify_index,
    }


def variable_metadata(variable: Variable) -> Document:
    """Render a variable without its items."""
    return {
        "Namespace": variable.namespace,
        "Path": variable.path,
        "CreateIndex": variable.create_index,
        "ModifyIndex": variable.modify_index,
        "CreateTime": variable.create_time,
        "ModifyTime": variable.modify_time,
    }


def variable_document(variable: Variable) -> Document:
    """Render a variable with its items; one that never was has none."""
    items = {"Items": dict(variable.items)} if variable.items else {}
    return variable_metadata(variable) | items


def _driver(name: str) -> Document:
    return {
        "Attributes": {f"driver.{name}": "true"},
        "Detected": True,
        "Healthy": True,
        "HealthDescription": "Healthy",
        "UpdateTime": "2026-01-01T00:00:00Z",
    }


def _progress(group: GroupProgress) -> Document:
    return {
        "AutoPromote": group.auto_promote,
        "AutoRevert": group.auto_revert,
        "DesiredCanaries": group.desired_canaries,
        "DesiredTotal": group.desired_total,
        "HealthyAllocs": group.healthy,
        "PlacedAllocs": group.placed,
        "PlacedCanaries": list(group.placed_canaries) or None,
        "ProgressDeadline": group.progress_deadline,
        "Promoted": group.promoted,
        "RequireProgressBy": timestamp(group.require_progress_by),
        "UnhealthyAllocs": group.unhealthy,
    }
