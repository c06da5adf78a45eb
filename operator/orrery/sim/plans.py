"""Write a plan: instances start, stop and change; the deployment and the job follow."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from orrery.sim.core import Core
from orrery.sim.outcome import Outcome
from orrery.sim.placement import Usage
from orrery.sim.reconcile import Placement
from orrery.sim.records import Allocation, Deployment, Evaluation, Job, Node
from orrery.sim.reschedule import retry
from orrery.sim.rollout import SUPERSEDED, count_placed, next_deployment
from orrery.sim.store import Write

MIN_PORT: Final = 20000
MAX_PORT: Final = 32000


class PlanWriter:
    """Writes plans of one region.

    *started* and *stopping* hear of instances that machines must act on, *rerun* of an evaluation
    whose time has come.
    """

    def __init__(
        self,
        core: Core,
        *,
        started: Callable[[str], None],
        stopping: Callable[[str], None],
        rerun: Callable[[str], None],
    ) -> None:
        self._core = core
        self._started = started
        self._stopping = stopping
        self._rerun = rerun

    def write(self, evaluation: Evaluation, job: Job | None, outcome: Outcome) -> str:
        """Write the plan, if it changes anything. Return the deployment that it belongs to."""
        core = self._core
        newest = core.newest_deployment(job) if job else None
        new_id = core.new_id()
        deployment = next_deployment(job, newest, outcome.plans, new_id=new_id, now=core.now())
        if deployment is newest and not outcome.changes:
            return newest.id if newest else ""
        with core.store.write("PlanResult") as entry:
            if newest and deployment and newest.id != deployment.id and newest.active:
                ended = replace(newest, status="cancelled", description=SUPERSEDED)
                self._put_deployment(entry, ended)
            started = self._apply(entry, evaluation, job, outcome, deployment)
            if deployment and (deployment is not newest or started):
                deployment = count_placed(deployment, started, entry.now)
                self._put_deployment(entry, deployment)
            if job:
                done = deployment and deployment.status == "successful"
                self._touch_job(entry, job, stable=bool(done and deployment is not newest))
            core.entries.show_evaluation(entry, evaluation)
        for allocation in started:
            self._started(allocation.id)
        return deployment.id if deployment else ""

    def _touch_job(self, entry: Write, job: Job, *, stable: bool) -> None:
        """Note what the plan means for the job itself."""
        core = self._core
        status = core.job_status(job)
        if status != job.status or (stable and not job.stable):
            changed = replace(
                job, status=status, stable=job.stable or stable, modify_index=entry.index
            )
            core.entries.put_job(core.tables, entry, changed)

    def _put_deployment(self, entry: Write, deployment: Deployment) -> None:
        self._core.entries.put_deployment(
            self._core.tables,
            entry,
            replace(
                deployment,
                create_index=deployment.create_index or entry.index,
                modify_index=entry.index,
                modify_time=entry.now,
            ),
        )

    def _apply(
        self,
        entry: Write,
        evaluation: Evaluation,
        job: Job | None,
        outcome: Outcome,
        deployment: Deployment | None,
    ) -> list[Allocation]:
        """Write what happens to instances; return those that start or change their version."""
        active = deployment.id if deployment and deployment.active else ""
        started: list[Allocation] = []
        successors: dict[str, str] = {}
        for name, pairs in outcome.placed.items():
            for placement, node in pairs:
                assert job is not None
                allocation = self._new_allocation(entry, evaluation, job, name, placement, node)
                started.append(replace(allocation, deployment_id=active))
                if placement.previous:
                    successors[placement.previous.id] = allocation.id
        for plan in outcome.plans.values():
            unplaced = {p.previous.id for p in plan.place if p.previous} - set(successors)
            for allocation, reason in plan.stop:
                if allocation.id not in unplaced:
                    self._stop(entry, allocation, reason, successors.get(allocation.id, ""))
            for allocation in plan.in_place:
                assert job is not None
                changed = self._change(entry, evaluation, job, allocation, active)
                started.append(changed)
            for allocation in plan.later:
                self._postpone(entry, allocation)
        for allocation in started:
            self._core.put_allocation(entry, allocation)
        return started

    def _new_allocation(  # noqa: PLR0917 - each says one thing about the instance
        self,
        entry: Write,
        evaluation: Evaluation,
        job: Job,
        group: str,
        placement: Placement,
        node: Node,
    ) -> Allocation:
        previous = placement.previous
        attempts: tuple[tuple[int, str, str, int], ...] = ()
        if previous and placement.rescheduled:
            delay = retry(previous, now=self._core.now(), timing=self._core.timing)[2]
            attempt = (entry.now, previous.id, previous.node_id, delay)
            attempts = (*previous.attempts, attempt)
        return Allocation(
            id=self._core.new_id(),
            namespace=job.namespace,
            job_id=job.id,
            group=group,
            position=placement.position,
            node_id=node.id,
            node_name=node.machine.name,
            spec=job.spec,
            job_version=job.version,
            job_create_index=job.create_index,
            job_modify_index=job.job_modify_index,
            eval_id=evaluation.id,
            create_index=entry.index,
            create_time=entry.now,
            modify_index=entry.index,
            modify_time=entry.now,
            plan_index=entry.index,
            canary=placement.canary,
            previous=previous.id if previous else "",
            attempts=attempts,
            ports=self._ports(job.spec.groups[group], node),
        )

    def _ports(self, group: Mapping[str, Any], node: Node) -> tuple[tuple[str, int, int], ...]:
        networks = group["Networks"] or ()
        reserved = [port for network in networks for port in network.get("ReservedPorts", ())]
        dynamic = [port for network in networks for port in network.get("DynamicPorts", ())]
        usage = self._core.usage.setdefault(node.id, Usage())
        first, span = usage.ports, MAX_PORT - MIN_PORT
        usage.ports = (first + len(dynamic)) % span
        return (
            *((port["Label"], port["Value"], port.get("To", 0)) for port in reserved),
            *(
                (port["Label"], MIN_PORT + (first + number) % span, port.get("To", 0))
                for number, port in enumerate(dynamic)
            ),
        )

    def _stop(self, entry: Write, allocation: Allocation, reason: str, successor: str) -> None:
        stopped = replace(
            allocation,
            desired_status="stop",
            desired_description=reason,
            next=successor or allocation.next,
            followup="",
            modify_index=entry.index,
            modify_time=entry.now,
            plan_index=entry.index,
        )
        self._core.put_allocation(entry, stopped)
        if not allocation.client_terminal:
            self._stopping(allocation.id)

    def _change(
        self, entry: Write, evaluation: Evaluation, job: Job, allocation: Allocation, active: str
    ) -> Allocation:
        """Take a new version over in place; its health is judged anew."""
        return replace(
            allocation,
            spec=job.spec,
            job_version=job.version,
            job_modify_index=job.job_modify_index,
            eval_id=evaluation.id,
            deployment_id=active,
            healthy=None,
            health_index=0,
            health_time=0,
            canary=False,
            modify_index=entry.index,
            modify_time=entry.now,
            plan_index=entry.index,
        )

    def _postpone(self, entry: Write, allocation: Allocation) -> None:
        """Create the evaluation that will give a failed instance its successor."""
        if allocation.followup:
            return
        core = self._core
        _, seconds, _ = retry(allocation, now=core.now(), timing=core.timing)
        evaluation = Evaluation(
            id=core.new_id(),
            namespace=allocation.namespace,
            job_id=allocation.job_id,
            type=allocation.spec.type,
            priority=allocation.spec.priority,
            trigger="alloc-reschedule",
            status="pending",
            description="created for delayed rescheduling",
            create_index=entry.index,
            create_time=entry.now,
            modify_index=entry.index,
            modify_time=entry.now,
            wait_until=entry.now + int(seconds * 1e9),
        )
        core.entries.put_evaluation(core.tables, entry, evaluation)
        core.put_allocation(
            entry, replace(allocation, followup=evaluation.id, modify_index=entry.index)
        )
        core.timers.after(seconds, lambda: self._rerun(evaluation.id))
