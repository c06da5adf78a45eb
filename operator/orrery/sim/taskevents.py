"""What happens to tasks, in Nomad's words. Pure."""

from collections.abc import Mapping
from typing import Any

from orrery.sim.records import TaskEvent


def arrival(now: int) -> tuple[TaskEvent, ...]:
    """Say that the instance has come to its machine."""
    setup = "Building Task Directory"
    return (
        TaskEvent("Received", now, "Task received by client"),
        TaskEvent("Task Setup", now, setup, {"message": setup}, {"Message": setup}),
    )


def started(now: int) -> TaskEvent:
    """Say that the task runs."""
    return TaskEvent("Started", now, "Task started by client")


def driver_failure(now: int, error: str) -> TaskEvent:
    """Say that the driver could not start the task."""
    details = {"driver_error": error}
    return TaskEvent("Driver Failure", now, error, details, {"DriverError": error})


def terminated(now: int, exit_code: int) -> TaskEvent:
    """Say that the task has ended by itself."""
    details = {"exit_code": str(exit_code), "signal": "0", "oom_killed": "false"}
    return TaskEvent("Terminated", now, f"Exit Code: {exit_code}", details, {"ExitCode": exit_code})


def restarting(now: int, delay: float) -> TaskEvent:
    """Say that the task starts again soon."""
    reason, nanoseconds = "Restart within policy", int(delay * 1e9)
    return TaskEvent(
        "Restarting",
        now,
        f"Task restarting in {delay:g}s",
        {"restart_reason": reason, "start_delay": str(nanoseconds)},
        {"RestartReason": reason, "StartDelay": nanoseconds},
    )


def not_restarting(now: int, policy: Mapping[str, Any]) -> TaskEvent:
    """Say that the policy allows no further restart."""
    reason = "Policy allows no restarts"
    if policy["Attempts"]:
        interval = policy["Interval"] // 1_000_000_000
        minutes, rest = divmod(interval, 60)
        hours, minutes = divmod(minutes, 60)
        shown = (
            f"{hours}h{minutes}m{rest}s"
            if hours
            else f"{minutes}m{rest}s"
            if minutes
            else f"{rest}s"
        )
        reason = (
            f'Exceeded allowed attempts {policy["Attempts"]} in interval {shown} and mode is "fail"'
        )
    return TaskEvent(
        "Not Restarting",
        now,
        reason,
        {"restart_reason": reason, "fails_task": "true"},
        {"RestartReason": reason, "FailsTask": True},
    )


def unhealthy(now: int) -> TaskEvent:
    """Say that the instance is unhealthy since its task has failed."""
    text = "Unhealthy because of failed task"
    return TaskEvent("Alloc Unhealthy", now, text, {"message": text}, {"Message": text})


def reconnected(now: int) -> TaskEvent:
    """Say that the machine is back, and the task ran on meanwhile."""
    return TaskEvent("Reconnected", now, "Client reconnected")


def killed(now: int) -> tuple[TaskEvent, ...]:
    """Say that the task was told to stop, and stopped."""
    return (
        TaskEvent(
            "Killing",
            now,
            "Sent interrupt. Waiting 5s before force killing",
            {"kill_timeout": "5s"},
            {"KillTimeout": 5_000_000_000},
        ),
        terminated(now, 0),
        TaskEvent("Killed", now, "Task successfully killed"),
    )
