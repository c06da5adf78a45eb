"""Allocations as Nomad's JSON shows them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from orrery.sim.records import Allocation, TaskEvent, TaskState
from orrery.sim.wire import Document, timestamp

_NO_TRANSITION: Final = {
    "ForceReschedule": None,
    "Migrate": None,
    "MigrateDisablePlacement": None,
    "NoShutdownDelay": None,
    "Reschedule": None,
}

_NO_TASK_EVENT: Final = {
    "DiskLimit": 0,
    "DownloadError": "",
    "DriverError": "",
    "DriverMessage": "",
    "ExitCode": 0,
    "FailedSibling": "",
    "FailsTask": False,
    "GenericSource": "",
    "KillError": "",
    "KillReason": "",
    "KillTimeout": 0,
    "Message": "",
    "RestartReason": "",
    "SetupError": "",
    "Signal": 0,
    "StartDelay": 0,
    "TaskSignal": "",
    "TaskSignalReason": "",
    "ValidationError": "",
    "VaultError": "",
}


def allocation_stub(allocation: Allocation) -> Document:
    """Render a row of an allocation list."""
    waiting = bool(allocation.followup)
    return {
        "ID": allocation.id,
        "EvalID": allocation.eval_id,
        "Name": allocation.name,
        "Namespace": allocation.namespace,
        "NodeID": allocation.node_id,
        "NodeName": allocation.node_name,
        "JobID": allocation.job_id,
        "JobType": allocation.spec.type,
        "JobVersion": allocation.job_version,
        "TaskGroup": allocation.group,
        "DesiredStatus": allocation.desired_status,
        "DesiredDescription": allocation.desired_description,
        "DesiredTransition": _NO_TRANSITION | {"Reschedule": True} if waiting else _NO_TRANSITION,
        "ClientStatus": allocation.client_status,
        "ClientDescription": allocation.client_description,
        "TaskStates": _task_states(allocation),
        "DeploymentStatus": _health(allocation),
        "FollowupEvalID": allocation.followup,
        "NextAllocation": allocation.next,
        "RescheduleTracker": _tracker(allocation),
        "PreemptedAllocations": None,
        "PreemptedByAllocation": "",
        "CreateIndex": allocation.create_index,
        "ModifyIndex": allocation.modify_index,
        "CreateTime": allocation.create_time,
        "ModifyTime": allocation.modify_time,
    }


def allocation_document(allocation: Allocation) -> Document:
    """Render an allocation without its job."""
    group = allocation.spec.groups[allocation.group]
    document = {
        "ID": allocation.id,
        "EvalID": allocation.eval_id,
        "Name": allocation.name,
        "Namespace": allocation.namespace,
        "NodeID": allocation.node_id,
        "NodeName": allocation.node_name,
        "JobID": allocation.job_id,
        "TaskGroup": allocation.group,
        "DesiredStatus": allocation.desired_status,
        "ClientStatus": allocation.client_status,
        "ClientDescription": allocation.client_description,
        "TaskStates": _task_states(allocation),
        "AllocatedResources": allocated_resources(allocation, group),
        "AllocModifyIndex": allocation.plan_index,
        "CreateIndex": allocation.create_index,
        "ModifyIndex": allocation.modify_index,
        "CreateTime": allocation.create_time,
        "ModifyTime": allocation.modify_time,
    }
    optional = {
        "DeploymentID": allocation.deployment_id,
        "DeploymentStatus": _health(allocation),
        "DesiredDescription": allocation.desired_description,
        "FollowupEvalID": allocation.followup,
        "NextAllocation": allocation.next,
        "PreviousAllocation": allocation.previous,
        "RescheduleTracker": _tracker(allocation),
    }
    return document | {name: value for name, value in optional.items() if value}


def allocated_resources(allocation: Allocation, group: Mapping[str, Any]) -> Document:
    """Render what an allocation holds of its machine."""
    ports = [
        {"Label": label, "Value": value, **({"To": to} if to else {}), "HostIP": "127.0.0.1"}
        for label, value, to in allocation.ports
    ]
    tasks = {
        task["Name"]: {
            "Cpu": {"CpuShares": task["Resources"]["CPU"], "ReservedCores": None},
            "Memory": {
                "MemoryMB": task["Resources"]["MemoryMB"],
                "MemoryMaxMB": task["Resources"]["MemoryMaxMB"],
            },
            "Devices": None,
            "Networks": None,
        }
        for task in group["Tasks"]
    }
    shared = {"DiskMB": group["EphemeralDisk"]["SizeMB"], "Networks": None, "Ports": ports or None}
    return {"Shared": shared, "Tasks": tasks, "TaskLifecycles": dict.fromkeys(tasks)}


def _health(allocation: Allocation) -> Document | None:
    if allocation.healthy is None and not allocation.canary:
        return None
    return {
        "Canary": allocation.canary,
        "Healthy": allocation.healthy,
        "ModifyIndex": allocation.health_index,
        "Timestamp": timestamp(allocation.health_time) or "0001-01-01T00:00:00Z",
    }


def _tracker(allocation: Allocation) -> Document | None:
    if not allocation.attempts:
        return None
    events = [
        {"RescheduleTime": time, "PrevAllocID": previous, "PrevNodeID": node, "Delay": delay}
        for time, previous, node, delay in allocation.attempts
    ]
    return {"Events": events, "LastReschedule": "ok"}


def _task_states(allocation: Allocation) -> Document | None:
    if not allocation.tasks:
        return None
    names = [task["Name"] for task in allocation.spec.groups[allocation.group]["Tasks"]]
    return {name: _task_state(state) for name, state in zip(names, allocation.tasks, strict=False)}


def _task_state(state: TaskState) -> Document:
    return {
        "State": state.state,
        "Failed": state.failed,
        "Restarts": state.restarts,
        "LastRestart": timestamp(state.restarted),
        "StartedAt": timestamp(state.started),
        "FinishedAt": timestamp(state.finished),
        "Paused": "",
        "Events": [_task_event(event) for event in state.events],
    }


def _task_event(event: TaskEvent) -> Document:
    return {
        **_NO_TASK_EVENT,
        "Type": event.type,
        "Time": event.time,
        "DisplayMessage": event.text,
        "Details": dict(event.details),
        **event.fields,
    }
