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
        return Health("Failed", ready, desired, _why(deployment.description, current))
    if deployment is not None and deployment.status in _UNDER_WAY:
        return Health("Updating", ready, desired, _worst(current))
    if ready >= desired and not leftovers:
        return Health("Healthy", ready, desired)
    starting = leftovers or any(a.client_status == "pending" for a in current)
    return Health("Updating" if starting else "Degraded", ready, desired, _worst(current))


def _judge_batch(count: int, version: int, allocations: Sequence[Allocation]) -> Health:
    current = [a for a in allocations if a.job_version == version]
    complete = sum(a.client_status == "complete" for a in current)
    active = sum(a.client_status in {"running", "pending"} for a in current)
    if complete >= count:
        return Health("Healthy", complete, count)
    if active:
        return Health("Updating", complete, count)
    failed = any(a.client_status in {"failed", "lost"} for a in current)
    return Health("Degraded" if failed else "Updating", complete, count, _worst(current))


def _is_ready(allocation: Allocation, *, judged: bool) -> bool:
    if allocation.client_status != "running":
        return False
    return bool(allocation.healthy) if judged else allocation.healthy is not False


def _why(description: str, allocations: Sequence[Allocation]) -> str:
    worst = _worst(allocations)
    return f"{description}: {worst}" if worst else description


def _worst(allocations: Sequence[Allocation]) -> str | None:
    messages = sorted({a.message for a in allocations if a.message})
    return messages[0] if messages else None
