"""The machines: they start instances, judge their health, restart, fail and stop them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orrery.sim import taskevents
from orrery.sim.absence import READY
from orrery.sim.core import Core
from orrery.sim.evaluation import Evaluator
from orrery.sim.records import Allocation, TaskEvent, TaskState
from orrery.sim.store import Write
from orrery.sim.workload import Behaviour, behaviour

BATCH = frozenset({"batch", "sysbatch"})
ENDED = frozenset({"complete", "failed"})
"""How a machine reports that an instance has ended; "lost" says that it reports nothing."""


class Machines:
    """Lives the lives of one region's instances, by timers.

    *judged* hears when an instance of a deployment is found healthy or not.
    """

    def __init__(self, core: Core, judged: Callable[[str], None]) -> None:
        self._core = core
        self._judged = judged
        self._runs: dict[str, int] = {}
        """How often an instance has begun to run: what was scheduled for an earlier run is void."""
        self.evaluator: Evaluator

    def start(self, allocation_id: str) -> None:
        """Take up an instance that a plan placed, or one whose version changed in place."""
        allocation = self._core.tables.allocations[allocation_id]
        if allocation.client_status == "running":
            self._watch_health(allocation)
        elif not allocation.tasks:
            told = self._behaviour(allocation)
            delay = self._core.timing.start + told.start_delay
            self._core.timers.after(delay, lambda: self._begin(allocation_id))

    def stop(self, allocation_id: str) -> None:
        """Stop an instance that a plan told to stop."""
        self._core.timers.after(self._core.timing.stop, lambda: self._stopped(allocation_id))

    def resume(self) -> None:
        """Take up all instances, after a restore."""
        self._runs.clear()
        for allocation in list(self._core.tables.allocations.values()):
            if self._is_heard(allocation):
                self._take_up(allocation)

    def rejoin(self, node_id: str) -> None:
        """Take up the instances of a machine that has come back; they ran on meanwhile."""
        for allocation in list(self._core.tables.allocations.values()):
            if allocation.node_id == node_id:
                self._take_up(allocation)

    def _take_up(self, allocation: Allocation) -> None:
        timers, one = self._core.timers, allocation.id
        if allocation.client_status in ENDED:
            return
        if allocation.desired_status != "run":
            self.stop(one)
        elif allocation.client_status == "unknown":
            timers.after(self._core.timing.start, lambda: self._reconnect(one))
        elif allocation.client_status == "running":
            self._run_on(allocation)
        else:
            timers.after(0, lambda: self._begin(one))

    def _behaviour(self, allocation: Allocation) -> Behaviour:
        return behaviour(
            allocation.spec.groups[allocation.group],
            attempt=len(allocation.attempts),
            batch=allocation.spec.type in BATCH,
            batch_seconds=self._core.timing.batch,
        )

    def _alive(self, allocation_id: str) -> Allocation | None:
        """Find an instance that lives, on a machine that can be heard."""
        allocation = self._core.tables.allocations.get(allocation_id)
        if allocation is None or allocation.terminal or not self._is_heard(allocation):
            return None
        return allocation

    def _is_heard(self, allocation: Allocation) -> bool:
        return self._core.tables.nodes[allocation.node_id].status == READY

    def _begin(self, allocation_id: str) -> None:
        allocation = self._alive(allocation_id)
        if allocation is None or allocation.client_status == "running":
            return
        told = self._behaviour(allocation)
        now = self._core.now()
        if told.start_error:
            events = [*taskevents.arrival(now), taskevents.driver_failure(now, told.start_error)]
            self._end_task(allocation, events, exit_code=1)
            return
        again = bool(allocation.tasks)
        events = [] if again else list(taskevents.arrival(now))
        running = self._update(
            allocation,
            [*events, taskevents.started(now)],
            status="running",
            description="Tasks are running",
            state="running",
            started=now,
        )
        self._run_on(running)

    def _reconnect(self, allocation_id: str) -> None:
        """Report an instance that the region had lost sight of."""
        allocation = self._alive(allocation_id)
        if allocation is None or allocation.client_status != "unknown":
            return
        core = self._core
        running = self._update(
            replace(allocation, followup=""),
            [taskevents.reconnected(core.now())],
            status="running",
            description="Tasks are running",
        )
        self._run_on(running)
        job = core.tables.jobs.get(allocation.key)
        with core.store.write("EvaluationUpdated") as entry:
            self.evaluator.cancel(entry, allocation.followup, "allocs reconnected")
            if job:
                self.evaluator.request(entry, job.key, job, "reconnect")

    def _run_on(self, allocation: Allocation) -> None:
        """Schedule what will come of an instance that runs; what was scheduled before is void."""
        told, run = self._behaviour(allocation), self._runs.get(allocation.id, 0) + 1
        self._runs[allocation.id] = run
        if told.run_for is not None:
            self._core.timers.after(
                told.run_for, lambda: self._exit(allocation.id, run, told.exit_code)
            )
        self._watch_health(allocation)

    def _watch_health(self, allocation: Allocation) -> None:
        if not allocation.deployment_id or allocation.healthy is not None:
            return
        core, run = self._core, self._runs.get(allocation.id, 0)
        update = allocation.spec.groups[allocation.group]["Update"]
        version = allocation.job_version
        core.timers.after(
            core.timing.until_healthy(update["MinHealthyTime"]),
            lambda: self._judge(allocation.id, version, run=run, healthy=True),
        )
        if run <= 1:
            core.timers.after(
                core.timing.policy(update["HealthyDeadline"]),
                lambda: self._judge(allocation.id, version, run=None, healthy=False),
            )

    def _judge(self, allocation_id: str, version: int, *, run: int | None, healthy: bool) -> None:
        """Decide on health, unless it is decided or the run that was watched has ended."""
        allocation = self._alive(allocation_id)
        if allocation is None or allocation.healthy is not None or not allocation.deployment_id:
            return
        if allocation.job_version != version:
            return
        if run is not None and (
            run != self._runs.get(allocation_id, 0) or allocation.client_status != "running"
        ):
            return
        self._update(allocation, [], healthy=healthy)
        self._judged(allocation.deployment_id)

    def _exit(self, allocation_id: str, run: int, exit_code: int) -> None:
        allocation = self._alive(allocation_id)
        if allocation is None or self._runs.get(allocation_id) != run:
            return
        self._end_task(
            allocation,
            [taskevents.terminated(self._core.now(), exit_code)],
            exit_code=exit_code,
        )

    def _end_task(self, allocation: Allocation, events: list[TaskEvent], *, exit_code: int) -> None:
        """Complete, restart or fail, as the type and the restart policy say."""
        now = self._core.now()
        if allocation.spec.type in BATCH and exit_code == 0:
            self._update(
                allocation,
                events,
                status="complete",
                description="All tasks have completed",
                state="dead",
                finished=now,
            )
            self._evaluate(allocation, "")
            return
        group = allocation.spec.groups[allocation.group]
        policy = group["Tasks"][0]["RestartPolicy"]
        delay = self._restart_delay(allocation, policy)
        if delay is not None:
            events.append(taskevents.restarting(now, delay))
            self._update(allocation, events, status="pending", state="pending", restarted=now)
            self._core.timers.after(delay, lambda: self._begin(allocation.id))
            return
        self._fail(allocation, [*events, taskevents.not_restarting(now, policy)])

    def _restart_delay(self, allocation: Allocation, policy: Mapping[str, Any]) -> float | None:
        """Return the seconds until the next restart, None when there is none."""
        timing = self._core.timing
        restarts = allocation.tasks[0].restarts if allocation.tasks else 0
        if restarts < policy["Attempts"]:
            return timing.policy(policy["Delay"])
        return timing.policy(policy["Interval"]) if policy["Mode"] == "delay" else None

    def _fail(self, allocation: Allocation, events: list[TaskEvent]) -> None:
        judged = bool(allocation.deployment_id) and allocation.healthy is None
        if judged:
            events.append(taskevents.unhealthy(self._core.now()))
        self._update(
            allocation,
            events,
            status="failed",
            description="Failed tasks",
            state="dead",
            failed=True,
            finished=self._core.now(),
            healthy=False if judged else None,
        )
        self._evaluate(allocation, "alloc-failure")
        if judged:
            self._judged(allocation.deployment_id)

    def _stopped(self, allocation_id: str) -> None:
        allocation = self._core.tables.allocations.get(allocation_id)
        if allocation is None or allocation.client_status in ENDED:
            return
        if not self._is_heard(allocation):
            return
        now = self._core.now()
        self._update(
            allocation,
            list(taskevents.killed(now)) if allocation.tasks else [],
            status="complete",
            description="All tasks have completed",
            state="dead",
            finished=now,
        )
        self._runs.pop(allocation_id, None)
        if allocation.key not in self._core.tables.jobs:
            stopped = self._core.tables.allocations[allocation_id]
            self._core.entries.delete_allocation(self._core.tables, stopped)

    def _update(
        self,
        allocation: Allocation,
        events: list[TaskEvent],
        *,
        status: str = "",
        description: str = "",
        healthy: bool | None = None,
        **fields: Any,
    ) -> Allocation:
        """Report to the servers: one raft entry with the allocation and its deployment."""
        core = self._core
        with core.store.write("AllocationUpdated") as entry:
            changed = replace(
                allocation,
                client_status=status or allocation.client_status,
                client_description=description or allocation.client_description,
                tasks=_with(allocation, events, fields),
                modify_index=entry.index,
                modify_time=entry.now,
            )
            if healthy is not None:
                changed = replace(
                    changed, healthy=healthy, health_index=entry.index, health_time=entry.now
                )
                self._count_health(entry, changed)
            core.put_allocation(entry, changed)
            self._settle_status(entry, changed)
        return changed

    def _count_health(self, entry: Write, allocation: Allocation) -> None:
        core = self._core
        deployment = core.tables.deployments.get(allocation.deployment_id)
        group = deployment.groups.get(allocation.group) if deployment else None
        if deployment is None or group is None:
            return
        if allocation.healthy:
            group = replace(
                group,
                healthy=group.healthy + 1,
                require_progress_by=entry.now + group.progress_deadline,
            )
        else:
            group = replace(group, unhealthy=group.unhealthy + 1)
        changed = replace(
            deployment,
            groups={**deployment.groups, allocation.group: group},
            modify_index=entry.index,
            modify_time=entry.now,
        )
        core.entries.put_deployment(core.tables, entry, changed)

    def _settle_status(self, entry: Write, allocation: Allocation) -> None:
        core = self._core
        job = core.tables.jobs.get(allocation.key)
        if job and (status := core.job_status(job)) != job.status:
            changed = replace(job, status=status, modify_index=entry.index)
            core.entries.put_job(core.tables, entry, changed)

    def _evaluate(self, allocation: Allocation, trigger: str) -> None:
        core = self._core
        job = core.tables.jobs.get(allocation.key)
        if job and trigger:
            with core.store.write("EvaluationUpdated") as entry:
                self.evaluator.request(entry, job.key, job, trigger)


def _with(
    allocation: Allocation, events: list[TaskEvent], fields: Mapping[str, Any]
) -> tuple[TaskState, ...]:
    """Apply a change to all tasks of an instance; they live and die together here."""
    if not events and not fields:
        return allocation.tasks
    number = len(allocation.spec.groups[allocation.group]["Tasks"])
    states = allocation.tasks or (TaskState(),) * number
    again = "restarted" in fields
    return tuple(
        replace(
            state,
            events=(*state.events, *events)[-10:],
            restarts=state.restarts + 1 if again else state.restarts,
            **fields,
        )
        for state in states
    )
