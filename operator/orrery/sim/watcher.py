"""The deployment watcher: promotes, ends, fails and reverts roll-outs."""

from dataclasses import replace
from typing import Final

from orrery.sim.core import Core
from orrery.sim.evaluation import Evaluator
from orrery.sim.records import Deployment, GroupProgress, Job
from orrery.sim.reschedule import may_retry
from orrery.sim.rollout import RUNNING
from orrery.sim.store import Write

UNHEALTHY: Final = "Failed due to unhealthy allocations"
TOO_SLOW: Final = "Failed due to progress deadline"


class Watcher:
    """Watches the deployments of one region."""

    def __init__(self, core: Core, evaluator: Evaluator) -> None:
        self._core = core
        self._evaluator = evaluator
        self._due: set[str] = set()
        """Deployments that will be looked at soon."""
        self._deadlines: dict[str, int] = {}
        """Which deadline is watched, by deployment."""

    def judged(self, deployment_id: str) -> None:
        """Look at a deployment soon: the health of one of its instances became known."""
        if deployment_id not in self._due:
            self._due.add(deployment_id)
            self._core.timers.after(self._core.timing.settle, lambda: self._look(deployment_id))

    def follow(self, deployment_id: str) -> None:
        """Watch the progress deadline of a deployment."""
        deployment = self._core.tables.deployments.get(deployment_id)
        deadline = _deadline(deployment) if deployment and deployment.active else 0
        if deployment is None or not deadline or self._deadlines.get(deployment_id) == deadline:
            return
        self._deadlines[deployment_id] = deadline
        limit = max(group.progress_deadline for group in deployment.groups.values())
        began = deadline - limit
        left = self._core.timing.policy(limit) - (self._core.now() - began) / 1e9
        self._core.timers.after(max(0.0, left), lambda: self._expire(deployment_id, deadline))

    def resume(self) -> None:
        """Watch all deployments, after a restore."""
        self._due.clear()
        self._deadlines.clear()
        for deployment in list(self._core.tables.deployments.values()):
            if deployment.active:
                self.follow(deployment.id)
                self.judged(deployment.id)

    def _look(self, deployment_id: str) -> None:
        self._due.discard(deployment_id)
        core = self._core
        deployment = core.tables.deployments.get(deployment_id)
        job = core.tables.jobs.get(deployment.key) if deployment else None
        if deployment is None or job is None or not deployment.active:
            return
        self.follow(deployment_id)
        if self._has_hopeless(deployment, job):
            self._fail(deployment, job, UNHEALTHY)
        elif _promotes(deployment):
            self._promote(deployment, job)
        else:
            with core.store.write("EvaluationUpdated") as entry:
                self._evaluator.request(entry, job.key, job, "deployment-watcher")

    def _has_hopeless(self, deployment: Deployment, job: Job) -> bool:
        """Tell whether an instance failed that will get no successor."""
        return any(
            allocation.deployment_id == deployment.id
            and allocation.healthy is False
            and not allocation.next
            and not may_retry(
                allocation,
                allocation.spec.groups[allocation.group]["ReschedulePolicy"],
                self._core.timing,
            )
            for allocation in self._core.allocations_of(job)
        )

    def _expire(self, deployment_id: str, deadline: int) -> None:
        core = self._core
        deployment = core.tables.deployments.get(deployment_id)
        job = core.tables.jobs.get(deployment.key) if deployment else None
        if deployment is None or job is None or not deployment.active:
            return
        if _deadline(deployment) != deadline:
            self.follow(deployment_id)
        elif not _awaits_people(deployment):
            self._fail(deployment, job, TOO_SLOW)

    def _promote(self, deployment: Deployment, job: Job) -> None:
        core = self._core
        with core.store.write("DeploymentPromotion") as entry:
            groups = {
                name: replace(group, promoted=True) if group.desired_canaries else group
                for name, group in deployment.groups.items()
            }
            self._put(entry, replace(deployment, groups=groups, description=RUNNING))
            for allocation in core.allocations_of(job):
                if allocation.canary and allocation.deployment_id == deployment.id:
                    promoted = replace(
                        allocation,
                        canary=False,
                        modify_index=entry.index,
                        health_index=entry.index,
                    )
                    core.put_allocation(entry, promoted)
            self._evaluator.request(entry, job.key, job, "deployment-watcher")

    def _fail(self, deployment: Deployment, job: Job, reason: str) -> None:
        """End a deployment; go back to the last stable version if a group asks for it."""
        core = self._core
        target = None
        if any(group.auto_revert for group in deployment.groups.values()):
            target = self._stable(job)
            if target is None:
                reason += " - no stable job version to auto revert to"
            elif target.spec is job.spec:
                reason += (
                    f" - not rolling back to stable job version {target.version}"
                    " as current job has same specification"
                )
                target = None
            else:
                reason += f" - rolling back to job version {target.version}"
        with core.store.write("DeploymentStatusUpdate") as entry:
            self._put(entry, replace(deployment, status="failed", description=reason))
            if target is not None:
                job = self._revert(entry, job, target)
            else:
                changed = replace(job, status=core.job_status(job), modify_index=entry.index)
                core.entries.put_job(core.tables, entry, changed)
            self._evaluator.request(entry, job.key, job, "deployment-watcher")

    def _stable(self, job: Job) -> Job | None:
        versions = self._core.tables.versions[job.key]
        return next((v for v in versions if v.stable and v.version < job.version), None)

    def _revert(self, entry: Write, job: Job, target: Job) -> Job:
        """Register older content as a new version; its submission comes along."""
        reverted = replace(
            target,
            version=job.version + 1,
            create_index=job.create_index,
            modify_index=entry.index,
            job_modify_index=entry.index,
            stable=False,
            status=self._core.job_status(job),
        )
        self._core.entries.put_job(self._core.tables, entry, reverted, version=True)
        return reverted

    def _put(self, entry: Write, deployment: Deployment) -> None:
        changed = replace(deployment, modify_index=entry.index, modify_time=entry.now)
        self._core.entries.put_deployment(self._core.tables, entry, changed)


def _deadline(deployment: Deployment) -> int:
    """Return when the slowest group must have made progress; 0 before anything was placed."""
    return max((group.require_progress_by for group in deployment.groups.values()), default=0)


def _canaries(deployment: Deployment) -> list[GroupProgress]:
    return [g for g in deployment.groups.values() if g.desired_canaries and not g.promoted]


def _ready(group: GroupProgress) -> bool:
    return group.healthy >= group.desired_canaries <= len(group.placed_canaries)


def _promotes(deployment: Deployment) -> bool:
    canaries = _canaries(deployment)
    return bool(canaries) and all(g.auto_promote and _ready(g) for g in canaries)


def _awaits_people(deployment: Deployment) -> bool:
    canaries = _canaries(deployment)
    return bool(canaries) and all(_ready(group) for group in canaries)
