"""Judge how a job does in its region from its allocations and Nomad's own deployments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orrery.ports import Allocation, JobDeployment

Phase = Literal["Updating", "Healthy", "Degraded", "Failed"]

ENDED = frozenset({"complete", "failed", "lost"})
_UNDER_WAY = frozenset({"running", "pending", "paused", "blocked", "unblocking", "initializing"})


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict over one job in one region."""

    phase: Phase
    ready: int
    desired: int
    message: str | None = None


def judge(
    *,
    job_type: str,
    count: int,
    version: int,
    allocations: Sequence[Allocation],
    deployments: Sequence[JobDeployment],
) -> Health:
    """Judge the job's own *version*, never what some older deployment says of itself.

    Nomad's auto-revert ends with a successful deployment too, so only a deployment of this very
    version counts.
    """
    if job_type == "batch":
        return _judge_batch(count, version, allocations)
    current = [a for a in allocations if a.job_version == version and a.desired_status == "run"]
    desired = len(current) if job_type == "system" else count
    deployment = next((d for d in deployments if d.job_version == version), None)
    ready = sum(_is_ready(a, judged=deployment is not None) for a in current)
    leftovers = any(
        a.job_version != version and a.client_status == "running" and a.desired_status == "run"
        for a in allocations
    )

    if not allocations and deployment is None and (count or job_type == "system"):
        return Health("Updating", 0, desired)  # Nomad has not scheduled it yet.
    if deployment is not None and deployment.status == "failed":
        return Health(
            "Failed", ready, desired, _why(deployment.description, ready, desired, current)
        )
    if deployment is not None and deployment.status in _UNDER_WAY:
        return Health("Updating", ready, desired, _so_far(version, desired, allocations))
    if ready >= desired and not leftovers:
        return Health("Healthy", ready, desired)
    starting = any(a.client_status == "pending" for a in current)
    phase: Phase = "Updating" if leftovers or starting else "Degraded"
    so_far = _so_far(version, desired, allocations) if leftovers else None
    return Health(phase, ready, desired, so_far or _tally(ready, desired, current))


def tally(ready: int, desired: int) -> str:
    """Say how many of the instances that are wanted are healthy."""
    return f"{ready} of {desired} instances are healthy"


def _judge_batch(count: int, version: int, allocations: Sequence[Allocation]) -> Health:
    current = [a for a in allocations if a.job_version == version]
    complete = sum(a.client_status == "complete" for a in current)
    active = sum(a.client_status in {"running", "pending"} for a in current)
    if complete >= count:
        return Health("Healthy", complete, count)
    if active:
        return Health("Updating", complete, count)
    failed = any(a.client_status in {"failed", "lost"} for a in current)
    phase: Phase = "Degraded" if failed else "Updating"
    worst = _worst(current)
    message = f"{complete} of {count} instances ran to their end, one failed with: {worst}"
    return Health(phase, complete, count, message if worst else None)


def _is_ready(allocation: Allocation, *, judged: bool) -> bool:
    if allocation.client_status != "running":
        return False
    return bool(allocation.healthy) if judged else allocation.healthy is not False


def _why(description: str, ready: int, desired: int, allocations: Sequence[Allocation]) -> str:
    tally = _tally(ready, desired, allocations)
    return f"{description}: {tally}" if tally else description


def _tally(ready: int, desired: int, allocations: Sequence[Allocation]) -> str | None:
    """Say how many instances are healthy, and what goes wrong with another; None: nothing does."""
    worst = _worst(allocations)
    return f"{tally(ready, desired)}, one fails with: {worst}" if worst else None


def _so_far(version: int, desired: int, allocations: Sequence[Allocation]) -> str | None:
    """Say what goes wrong in a roll-out that is under way.

    The sentence stays while instances come and go: it counts none that are healthy, and one that
    failed speaks on when it has a successor. When it has none, what it waits for is to be told.
    """
    ours = [a for a in allocations if a.job_version == version]
    current = [a for a in ours if a.desired_status == "run"]
    replaced = sum(a.client_status in {"pending", "running"} for a in current) >= desired
    failed = [a for a in ours if a.client_status == "failed"] if replaced else []
    worst = _worst([*current, *failed])
    who = "the only instance" if desired == 1 else f"one of {desired} instances"
    return f"{who} fails with: {worst}" if worst else None


def _worst(allocations: Sequence[Allocation]) -> str | None:
    messages = sorted({a.message for a in allocations if a.message})
    return messages[0] if messages else None
