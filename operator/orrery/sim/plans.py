"""Write a plan: instances start, stop and change; the deployment and the job follow."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from orrery.sim.absence import LOST, UNKNOWN, lost_after
from orrery.sim.core import Core
from orrery.sim.outcome import Outcome
from orrery.sim.placement import Usage
from orrery.sim.reconcile import GroupPlan, Placement
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
        started = self._placed(entry, evaluation, job, outcome, active)
        successors = {a.previous: a.id for a in started if a.previous}
        for plan in outcome.plans.values():
            self._settle_absent(entry, plan, successors)
            unplaced = {p.previous.id for p in plan.place if p.previous} - set(successors)
            for allocation, reason in plan.stop:
                if allocation.id not in unplaced:
                    self._stop(entry, allocation, reason, successors.get(allocation.id, ""))
            for allocation in plan.in_place:
                assert job is not None
                changed = self._change(entry, evaluation, job, allocation, active)
                started.append(changed)
            for allocation in plan.later:
                if allocation not in plan.unknown:
                    self._postpone(entry, allocation)
        for allocation in started:
            self._core.put_allocation(entry, allocation)
        return started

    def _placed(
        self,
        entry: Write,
        evaluation: Evaluation,
        job: Job | None,
        outcome: Outcome,
        active: str,
    ) -> list[Allocation]:
        """Make the instances that found a place; *active*: the deployment that they count for."""
        placed = []
        for name, pairs in outcome.placed.items():
            for placement, node in pairs:
                assert job is not None
                allocation = self._new_allocation(entry, evaluation, job, name, placement, node)
                placed.append(replace(allocation, deployment_id=active))
        return placed

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

    def _settle_absent(self, entry: Write, plan: GroupPlan, successors: Mapping[str, str]) -> None:
        """Write what becomes of instances whose machine is away or back."""
        core = self._core
        for allocation in plan.lost:
            lost = replace(
                self._touched(entry, allocation, successors),
                desired_status="stop",
                desired_description=LOST,
                client_status="lost",
            )
            core.put_allocation(entry, lost)
        if plan.lost:
            core.timers.after(0, core.on_lost)
        for allocation in plan.unknown:
            self._disconnect(entry, plan, self._touched(entry, allocation, successors))
        for allocation in plan.reconnected:
            back = replace(self._touched(entry, allocation, {}), unknown_since=0)
            core.put_allocation(entry, back)
        known = {a.id for a in (*plan.lost, *plan.unknown)} | {a.id for a, _ in plan.stop}
        for placement in plan.place:
            absent = placement.previous
            if absent and absent.id in successors and absent.id not in known:
                core.put_allocation(entry, self._touched(entry, absent, successors))

    def _disconnect(self, entry: Write, plan: GroupPlan, allocation: Allocation) -> None:
        """Let an instance wait for its machine, and say when that ends."""
        seconds = self._core.timing.policy(lost_after(allocation))
        followup = self._schedule(
            entry,
            allocation,
            "max-disconnect-timeout",
            "created for delayed disconnect timeout",
            seconds,
        )
        unknown = replace(
            allocation,
            client_status="unknown",
            client_description=UNKNOWN,
            unknown_since=entry.now,
            followup=followup,
        )
        self._core.put_allocation(entry, unknown)
        if any(later.id == allocation.id for later in plan.later):
            self._postpone(entry, replace(unknown, followup=""))

    @staticmethod
    def _touched(entry: Write, allocation: Allocation, successors: Mapping[str, str]) -> Allocation:
        """Note that this plan has to do with an instance, and who takes over from it."""
        return replace(
            allocation,
            next=successors.get(allocation.id, allocation.next),
            modify_index=entry.index,
            modify_time=entry.now,
            plan_index=entry.index,
        )

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
        """Create the evaluation that will give an instance its successor."""
        if allocation.followup:
            return
        core = self._core
        _, seconds, _ = retry(allocation, now=core.now(), timing=core.timing)
        followup = self._schedule(
            entry, allocation, "alloc-reschedule", "created for delayed rescheduling", seconds
        )
        core.put_allocation(entry, replace(allocation, followup=followup, modify_index=entry.index))

    def _schedule(
        self, entry: Write, allocation: Allocation, trigger: str, description: str, seconds: float
    ) -> str:
        """Create an evaluation that runs later; return its id."""
        core = self._core
        evaluation = Evaluation(
            id=core.new_id(),
            namespace=allocation.namespace,
            job_id=allocation.job_id,
            type=allocation.spec.type,
            priority=allocation.spec.priority,
            trigger=trigger,
            status="pending",
            description=description,
            create_index=entry.index,
            create_time=entry.now,
            modify_index=entry.index,
            modify_time=entry.now,
            wait_until=entry.now + int(seconds * 1e9),
        )
        core.entries.put_evaluation(core.tables, entry, evaluation)
        core.timers.after(seconds, lambda: self._rerun(evaluation.id))
        return evaluation.id
