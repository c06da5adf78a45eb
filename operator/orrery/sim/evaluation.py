"""Evaluate: compare a job with its instances, find places, have the plan written."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from orrery.sim import reconcile
from orrery.sim.core import Core
from orrery.sim.outcome import Outcome
from orrery.sim.placement import Ledger, choose, in_datacenters, obstacle
from orrery.sim.plans import PlanWriter
from orrery.sim.reconcile import GroupPlan, Situation
from orrery.sim.records import Allocation, Evaluation, Job, JobKey, Node
from orrery.sim.reschedule import retry
from orrery.sim.store import Write, records_of

BLOCKED: Final = "created to place remaining allocations"


class Evaluator:
    """Runs the evaluations of one region."""

    def __init__(
        self, core: Core, *, started: Callable[[str], None], stopping: Callable[[str], None]
    ) -> None:
        self._core = core
        self._plans = PlanWriter(core, started=started, stopping=stopping, rerun=self.run)
        core.on_room = self._unblock

    def request(
        self, entry: Write, key: JobKey, job: Job | None, trigger: str, *, forced: bool = False
    ) -> Evaluation:
        """Create an evaluation and run it soon; *forced*: nothing was registered."""
        core = self._core
        registers = trigger == "job-register" and not forced
        deployment = core.newest_deployment(job) if job and not registers else None
        evaluation = self._new(
            entry,
            key,
            job,
            trigger,
            job_modify_index=job.job_modify_index if registers and job else 0,
            deployment_id=deployment.id if deployment else "",
        )
        core.entries.put_evaluation(core.tables, entry, evaluation)
        core.timers.after(core.timing.evaluate, lambda: self.run(evaluation.id))
        return evaluation

    def cancel(self, entry: Write, evaluation_id: str, reason: str) -> None:
        """Take an evaluation back that has nothing left to do."""
        core = self._core
        evaluation = core.tables.evaluations.get(evaluation_id)
        if evaluation is None or evaluation.terminal:
            return
        canceled = replace(
            evaluation,
            status="canceled",
            description=reason,
            modify_index=entry.index,
            modify_time=entry.now,
        )
        core.entries.put_evaluation(core.tables, entry, canceled)

    def run(self, evaluation_id: str) -> None:
        """Run one evaluation that is pending or blocked."""
        core = self._core
        evaluation = core.tables.evaluations.get(evaluation_id)
        if evaluation is None or evaluation.terminal:
            return
        superseded = core.blocked.pop(evaluation.key, evaluation_id)
        job = core.tables.jobs.get(evaluation.key)
        snapshot = core.tables.index
        outcome = self.compute(job, evaluation.key)
        blocked = self._block(evaluation, job, outcome) if outcome.failures else ""
        deployment = self._plans.write(evaluation, job, outcome)
        with core.store.write("EvaluationUpdated") as entry:
            done = replace(
                evaluation,
                status="complete",
                description="",
                modify_index=entry.index,
                modify_time=entry.now,
                snapshot_index=snapshot,
                deployment_id=deployment,
                blocked=blocked,
                queued=outcome.queued,
                updates=outcome.updates,
                failures=outcome.failed,
            )
            core.entries.put_evaluation(core.tables, entry, done)
            if superseded != evaluation_id:
                self.cancel(entry, superseded, f'evaluation "{evaluation_id}" successful')
            core.entries.put_queued(core.tables, entry, evaluation.key, outcome.queued)
            self._settle_status(entry, evaluation.key)

    def compute(self, job: Job | None, key: JobKey) -> Outcome:
        """Decide what to do and find places for it; changes nothing."""
        core = self._core
        outcome = Outcome()
        allocations: list[Allocation] = records_of(core.tables, "allocations", key)
        wanted = {} if job is None or job.stop else job.spec.groups
        for name in sorted({a.group for a in allocations} - set(wanted)):
            stopped = reconcile.stop_group(a for a in allocations if a.group == name)
            outcome.plans[name] = stopped
        if job is None:
            return outcome
        for name in set(job.spec.groups) - set(outcome.plans) - set(wanted):
            outcome.plans[name] = GroupPlan()
        situation = Situation(
            job=job,
            allocations=[a for a in allocations if a.job_create_index == job.create_index],
            deployment=core.newest_deployment(job),
            retry=lambda allocation: self._retry(job, allocation),
            reachable=lambda a: in_datacenters(job.spec, core.tables.nodes[a.node_id]),
            node_of=lambda a: core.tables.nodes[a.node_id],
            now=core.now(),
            timing=core.timing,
        )
        for name, group in wanted.items():
            if job.spec.type in {"system", "sysbatch"}:
                plan = reconcile.reconcile_system(situation, group, self._suitable(job, group))
            else:
                plan = reconcile.reconcile_group(situation, group)
            outcome.plans[name] = plan
            self._find_places(job, group, plan, outcome)
        return outcome

    def _new(
        self, entry: Write, key: JobKey, job: Job | None, trigger: str, **fields: Any
    ) -> Evaluation:
        return Evaluation(
            id=self._core.new_id(),
            namespace=key[0],
            job_id=key[1],
            type=job.spec.type if job else "service",
            priority=job.spec.priority if job else 50,
            trigger=trigger,
            create_index=entry.index,
            create_time=entry.now,
            modify_index=entry.index,
            modify_time=entry.now,
            **{"status": "pending", **fields},
        )

    def _find_places(
        self, job: Job, group: Mapping[str, Any], plan: GroupPlan, outcome: Outcome
    ) -> None:
        """Choose a machine per placement, as if those before were there already."""
        if not plan.place:
            return
        core = self._core
        name = group["Name"]
        ledger = Ledger(core.usage, job.key, group)
        for allocation, _ in plan.stop:
            if not allocation.client_terminal:
                ledger.add(allocation.node_id, -1)
        for placement in plan.place:
            node = placement.node
            if node is None:
                nodes = core.tables.nodes.values()
                node, metrics = choose(job.spec, group, nodes, ledger)
                if node is None:
                    if name in outcome.failures:
                        outcome.failures[name].coalesced += 1
                    else:
                        outcome.failures[name] = metrics
                    continue
            ledger.add(node.id, 1)
            outcome.placed.setdefault(name, []).append((placement, node))

    def _suitable(self, job: Job, group: Mapping[str, Any]) -> list[Node]:
        return [
            node
            for node in self._core.tables.nodes.values()
            if node.status == "ready"
            and node.eligible
            and in_datacenters(job.spec, node)
            and not obstacle(job.spec, group, node)
        ]

    def _retry(self, job: Job, allocation: Allocation) -> str:
        deployment = self._core.newest_deployment(job)
        if deployment and deployment.status == "failed":
            return "never"
        return retry(allocation, now=self._core.now(), timing=self._core.timing)[0]

    def _block(self, evaluation: Evaluation, job: Job | None, outcome: Outcome) -> str:
        """Create the evaluation that waits for room."""
        core = self._core
        with core.store.write("EvaluationUpdated") as entry:
            waiting = self._new(
                entry,
                evaluation.key,
                job,
                "queued-allocs",
                status="blocked",
                description=BLOCKED,
                job_modify_index=evaluation.job_modify_index,
                previous=evaluation.id,
                failures=outcome.failed,
                snapshot_index=core.tables.index - 1,
            )
            core.entries.put_evaluation(core.tables, entry, waiting)
        core.blocked[evaluation.key] = waiting.id
        return waiting.id

    def _unblock(self) -> None:
        """Try again what found no room."""
        for evaluation_id in list(self._core.blocked.values()):
            self.run(evaluation_id)

    def _settle_status(self, entry: Write, key: JobKey) -> None:
        core = self._core
        job = core.tables.jobs.get(key)
        if job and (status := core.job_status(job)) != job.status:
            changed = replace(job, status=status, modify_index=entry.index)
            core.entries.put_job(core.tables, entry, changed)
