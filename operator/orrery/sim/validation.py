"""Find what is wrong with a job, in Nomad's words. Pure.

The checks that a client of ours could run into; Nomad has more.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from orrery.sim.refusal import errors

Document = Mapping[str, Any]

TYPES: Final = ("batch", "service", "sysbatch", "system")
MAX_PRIORITY: Final = 100
MIN_MEMORY: Final = 10
MIN_CPU: Final = 1

_SERVICE_NAME = re.compile(r"(?i)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INTERPOLATED = re.compile(r"\$\{[^}]*\}")


def job_errors(job: Document) -> list[str]:
    """Return the errors of a canonical job, empty when there are none."""
    found = []
    if " " in job["ID"]:
        found.append("Job ID contains a space")
    elif "\000" in job["ID"]:
        found.append("Job ID contains a null character")
    if job["Type"] not in TYPES:
        found.append(f'Invalid job type: "{job["Type"]}"')
    if not 1 <= job["Priority"] <= MAX_PRIORITY:
        found.append(f"job priority must be between [1, {MAX_PRIORITY}]")
    found += [
        text
        for number, one in enumerate(job["Constraints"] or (), 1)
        for text in _nested(f"Constraint {number} validation failed", _operand(one, "constraint"))
    ]
    if not job["TaskGroups"]:
        found.append("Missing job task groups")
    found += _name_errors(job["TaskGroups"], "Job task group", "group")
    for group in job["TaskGroups"]:
        found += _nested(
            f"Task group {group['Name']} validation failed", _group_errors(group, job["Type"])
        )
    return found


def job_warnings(job: Document) -> list[str]:
    """Return what Nomad warns of and registers all the same."""
    found = []
    for group in job["TaskGroups"]:
        delayed = group["ShutdownDelay"] or any(task["ShutdownDelay"] for task in group["Tasks"])
        if group["Services"] and not delayed:
            found.append(
                f'group "{group["Name"]}" defines services, but neither the group nor any of'
                " its tasks have shutdown_delay set"
            )
        found += [
            f'task "{task["Name"]}" in group "{group["Name"]}" defines services,'
            " but has no shutdown_delay set"
            for task in group["Tasks"]
            if task["Services"] and not task["ShutdownDelay"] and not group["ShutdownDelay"]
        ]
    return found


def _nested(head: str, texts: list[str]) -> list[str]:
    return [f"{head}: {errors(texts)}"] if texts else []


def _name_errors(named: Iterable[Document], what: str, short: str) -> list[str]:
    found = []
    seen: dict[str, int] = {}
    for number, one in enumerate(named, 1):
        name = one["Name"]
        if not name:
            found.append(f"{what} {number} missing name")
        elif name in seen:
            found.append(f"{what} {number} redefines '{name}' from {short} {seen[name]}")
        else:
            seen[name] = number
    return found


def _operand(rule: Document, kind: str) -> list[str]:
    if rule["Operand"]:
        return []
    return [f"Missing {kind} operand", f'Unknown {kind} type ""']


def _group_errors(group: Document, job_type: str) -> list[str]:
    found = []
    if group["Count"] < 0:
        found.append("Task group count can't be negative")
    if not group["Tasks"]:
        found.append("Missing tasks for task group")
    for number, one in enumerate(group["Constraints"] or (), 1):
        found += _nested(f"Constraint {number} validation failed", _operand(one, "constraint"))
    found += _reschedule_errors(group["ReschedulePolicy"])
    if job_type in {"batch", "sysbatch"}:
        if group["Update"]:
            found.append(f'Job type "{job_type}" does not allow update block')
    elif group["Update"]:
        found += _update_errors(group["Update"])
    found += _name_errors(group["Tasks"], "Task", "task")
    found += _nested("Task group service validation failed", _services_errors(group))
    for task in group["Tasks"]:
        found += _nested(f"Task {task['Name']} validation failed", _task_errors(task, group))
    return found


def _reschedule_errors(policy: Document | None) -> list[str]:
    if policy is None or not (policy["Unlimited"] and policy["Attempts"]):
        return []
    return ["If Attempts >0, Unlimited cannot also be set to true"]


def _update_errors(update: Document) -> list[str]:
    found = []
    if update["MinHealthyTime"] >= update["HealthyDeadline"]:
        found.append(
            "Minimum healthy time must be less than healthy deadline:"
            f" {update['MinHealthyTime']} > {update['HealthyDeadline']}"
        )
    if update["ProgressDeadline"] and update["HealthyDeadline"] >= update["ProgressDeadline"]:
        found.append(
            "Healthy deadline must be less than progress deadline:"
            f" {update['HealthyDeadline']} > {update['ProgressDeadline']}"
        )
    return found


def _services_errors(group: Document) -> list[str]:
    found = []
    services = group["Services"] or ()
    if len({service["Provider"] for service in services}) > 1:
        found.append(
            "Multiple service providers used: task group services must use the same provider"
        )
    for number, service in enumerate(services):
        head = f"Service[{number}] {service['Name']} validation failed"
        found += _nested(head, _service_errors(service))
    return found


def _service_errors(service: Document) -> list[str]:
    found = []
    if not _SERVICE_NAME.fullmatch(_INTERPOLATED.sub("x", service["Name"])):
        found.append(
            "Service name must be valid per RFC 1123 and can contain only alphanumeric characters"
            f' or dashes and must be no longer than 63 characters: "{service["Name"]}"'
        )
    found += [
        f"Check {check['Name']} invalid: check requires a port but neither check nor service"
        f' "{service["Name"]}" have a port'
        for check in service["Checks"] or ()
        if not check["PortLabel"] and not service["PortLabel"]
    ]
    return found


def _task_errors(task: Document, group: Document) -> list[str]:
    found = []
    if not task["Driver"]:
        found.append("Missing task driver")
    update = group["Update"]
    if update and update["ProgressDeadline"] and task["KillTimeout"] > update["ProgressDeadline"]:
        found.append(
            f"KillTimout ({_seconds(task['KillTimeout'])}) longer than the group's"
            f" ProgressDeadline ({_seconds(update['ProgressDeadline'])})"
        )
    resources = task["Resources"]
    small = []
    if resources["CPU"] < MIN_CPU:
        small.append(f"minimum CPU value is {MIN_CPU}; got {resources['CPU']}")
    if resources["MemoryMB"] < MIN_MEMORY:
        small.append(f"minimum MemoryMB value is {MIN_MEMORY}; got {resources['MemoryMB']}")
    if small:
        found.append(errors([errors(small)]))
    return found


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:g}s"
