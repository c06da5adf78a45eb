"""Decide what becomes of Nomad's deployment of a job's version. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from orrery.sim.reconcile import GroupPlan
from orrery.sim.records import Allocation, Deployment, GroupProgress, Job

SUPERSEDED: Final = "Cancelled due to newer version of job"
STOPPED: Final = "Cancelled because job is stopped"
RUNNING: Final = "Deployment is running"
AWAITS_PROMOTION: Final = "Deployment is running but requires manual promotion"
PROMOTES_ITSELF: Final = "Deployment is running pending automatic promotion"
SUCCESSFUL: Final = "Deployment completed successfully"

Plans = Mapping[str, GroupPlan]


def next_deployment(
    job: Job | None, newest: Deployment | None, plans: Plans, *, new_id: str, now: int
) -> Deployment | None:
    """Return the deployment after a plan: a new one, the same, or the same at its end."""
    if job is None:
        return newest
    if job.stop:
        return _cancel(newest, STOPPED)
    if newest and newest.job_version == job.version:
        return _finish(newest, plans)
    if _deploys(job, plans):
        return _begin(job, plans, new_id, now)
    return _cancel(newest, SUPERSEDED)


def count_placed(deployment: Deployment, started: Iterable[Allocation], now: int) -> Deployment:
    """Note what a plan placed on behalf of *deployment*."""
    groups = dict(deployment.groups)
    for allocation in started:
        group = groups.get(allocation.group)
        if group is None or allocation.deployment_id != deployment.id:
            continue
        canaries = group.placed_canaries
        groups[allocation.group] = replace(
            group,
            placed=group.placed + 1,
            placed_canaries=(*canaries, allocation.id) if allocation.canary else canaries,
            require_progress_by=group.require_progress_by or now + group.progress_deadline,
        )
    return replace(deployment, groups=groups)


def _cancel(newest: Deployment | None, reason: str) -> Deployment | None:
    if newest and newest.active:
        return replace(newest, status="cancelled", description=reason)
    return newest


def _finish(deployment: Deployment, plans: Plans) -> Deployment:
    """End a deployment whose every instance is new and healthy."""
    if not deployment.active:
        return deployment
    for name, group in deployment.groups.items():
        plan = plans.get(name)
        if plan and (plan.changes or plan.waiting or plan.later):
            return deployment
        if group.healthy < group.desired_total or (group.desired_canaries and not group.promoted):
            return deployment
    return replace(deployment, status="successful", description=SUCCESSFUL)


def _deploys(job: Job, plans: Plans) -> bool:
    """Tell whether a version's changes make a deployment."""
    for name, plan in plans.items():
        update = job.spec.groups.get(name, {}).get("Update")
        changes = plan.place or plan.in_place or plan.waiting
        if update and update["MaxParallel"] and plan.desired_total and changes:
            return True
    return False


def _begin(job: Job, plans: Plans, new_id: str, now: int) -> Deployment:
    groups = {}
    for name, plan in plans.items():
        update = job.spec.groups.get(name, {}).get("Update")
        if update and update["MaxParallel"]:
            groups[name] = GroupProgress(
                auto_promote=update["AutoPromote"],
                auto_revert=update["AutoRevert"],
                progress_deadline=update["ProgressDeadline"],
                desired_total=plan.desired_total,
                desired_canaries=plan.desired_canaries,
            )
    canaries = [group for group in groups.values() if group.desired_canaries]
    description = RUNNING
    if canaries:
        automatic = all(group.auto_promote for group in canaries)
        description = PROMOTES_ITSELF if automatic else AWAITS_PROMOTION
    return Deployment(
        id=new_id,
        namespace=job.namespace,
        job_id=job.id,
        job_version=job.version,
        job_create_index=job.create_index,
        job_modify_index=job.job_modify_index,
        create_index=0,
        create_time=now,
        modify_index=0,
        modify_time=now,
        status="running",
        description=description,
        priority=job.spec.priority,
        groups=groups,
    )
