"""One simulated region as an object: state, machines, faults and counters, without a socket."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orrery.sim import variables, wire
from orrery.sim.absence import DOWN, READY
from orrery.sim.client import Machines
from orrery.sim.core import Core
from orrery.sim.counters import Counters
from orrery.sim.diff import annotate, diff_jobs
from orrery.sim.evaluation import Evaluator
from orrery.sim.faults import Faults
from orrery.sim.jobs import Jobs
from orrery.sim.machines import Machine
from orrery.sim.outages import Outages
from orrery.sim.records import Job, JobKey, Node, Spec, Submission
from orrery.sim.store import Tables
from orrery.sim.stream import Broker
from orrery.sim.tenancy import Tenancy
from orrery.sim.timing import Timing
from orrery.sim.watcher import Watcher

Document = dict[str, Any]

DEFAULT_NODES = tuple(Machine(f"node-{i}") for i in range(1, 4))
DEFAULT_BUFFER = 100
"""Batches of events that Nomad keeps unless configured."""


class SimulatedRegion:
    """A region of Nomad, as far as its API shows.

    *token* is the management token; without one, ACLs are off. *clock* gives seconds since the
    epoch. What is due is run by `run_due`, which a server calls at the right moments.
    """

    def __init__(
        self,
        name: str = "global",
        *,
        nodes: Iterable[Machine] = DEFAULT_NODES,
        token: str | None = None,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
        event_buffer: int = DEFAULT_BUFFER,
        max_connections: int = 0,
        seed: object = 0,
    ) -> None:
        self.name = name
        self.token = token
        self.max_connections = max_connections
        """Per client address; 0: no limit. Nomad's own default is 100."""
        self.faults = Faults()
        self.counters = Counters()
        self.core = Core(
            name, timing=timing or Timing(), clock=clock, buffer=event_buffer, seed=seed
        )
        self.tenancy = Tenancy(self.core, token)
        self._machines = Machines(self.core, self._judged)
        self._evaluator = Evaluator(self.core, started=self._started, stopping=self._machines.stop)
        self._machines.evaluator = self._evaluator
        self._watcher = Watcher(self.core, self._evaluator)
        self._outages = Outages(self.core, self._evaluator, self._machines)
        self.jobs = Jobs(self.core, self._evaluator)
        self.add_nodes(nodes)
        self._snapshots: dict[str, Tables] = {}
        self.on_streams_dropped: Callable[[], None] = lambda: None
        self.on_darkness: Callable[[], None] = lambda: None

    @property
    def index(self) -> int:
        """The raft index."""
        return self.core.tables.index

    @property
    def broker(self) -> Broker:
        """The event stream."""
        return self.core.store.broker

    def run_due(self) -> None:
        """Do what is due by now."""
        self.core.timers.run()

    def add_nodes(self, machines: Iterable[Machine]) -> None:
        """Let machines join."""
        core = self.core
        for machine in machines:
            with core.store.write("NodeRegistration") as entry:
                node = Node(core.new_id(), machine, entry.index, entry.index)
                core.entries.put_node(core.tables, entry, node)
        core.timers.after(0, core.on_room)

    def set_node(self, name: str, *, status: str = READY, eligible: bool = True) -> None:
        """Let a machine come back (ready) or fall silent (down), and take new work or not.

        Raises KeyError for a machine, and ValueError for a status, that there is not. The region
        itself tells whether a machine that is down counts as disconnected.
        """
        nodes = [n for n in self.core.tables.nodes.values() if n.machine.name == name]
        if not nodes:
            raise KeyError(name)
        if status not in (READY, DOWN):
            raise ValueError(f"a machine is {READY} or {DOWN}, not {status!r}")
        for node in nodes:
            self._outages.change(node, up=status == READY, eligible=eligible)

    def set_faults(self, **values: Any) -> None:
        """Switch faults by name."""
        self.faults.change(values)
        self.broker.nudge()
        self.on_darkness()

    def drop_streams(self, *, evict: bool = False) -> None:
        """Cut all event streams; *evict*: what happened so far cannot be resumed from."""
        if evict:
            self.broker.forget()
        self.on_streams_dropped()

    def snapshot(self, name: str = "default") -> None:
        """Remember the present state."""
        self._snapshots[name] = self.core.tables.copy()

    def restore(self, name: str = "default") -> None:
        """Return with a state of old: raft index, jobs, versions, variables and all.

        Raises KeyError when there is no such snapshot.
        """
        self.resume(self._snapshots[name])

    def resume(self, tables: Tables) -> None:
        """Go on from *tables*, for example those of a process that was killed."""
        core = self.core
        core.timers.clear()
        core.store.restore(tables)
        # Another process has drawn ids before: the same ones would meet the records they name.
        core.random.seed(f"{self.name} {tables.index}")
        core.count_usage()
        core.blocked = {
            e.key: e.id for e in core.tables.evaluations.values() if e.status == "blocked"
        }
        self._machines.resume()
        self._watcher.resume()
        for evaluation in list(core.tables.evaluations.values()):
            if evaluation.status == "pending":
                self._later(evaluation.id)
        self.on_streams_dropped()

    def plan(
        self, spec: Spec, *, stop: bool, expected: int | None, diff: bool
    ) -> tuple[int, Document]:
        """Say what a register would do, without doing it."""
        core = self.core
        key: JobKey = (spec.document["Namespace"], spec.document["ID"])
        existing = core.tables.jobs.get(key)
        self.jobs.enforce(existing, expected)
        index = existing.job_modify_index if existing else 0
        planned = self._planned(key, spec, existing, stop=stop)
        outcome = self._evaluator.compute(planned, key)
        document: Document = {
            "Annotations": {"DesiredTGUpdates": outcome.updates, "PreemptedAllocs": None},
            "CreatedEvals": None,
            "Diff": None,
            "FailedTGAllocs": outcome.failed,
            "Index": index,
            "JobModifyIndex": index,
            "NextPeriodicLaunch": None,
            "Warnings": self.jobs.warnings(spec),
        }
        if diff:
            old = None
            if existing:
                old = existing.spec.document | self._own(stop=existing.stop)
            new = spec.document | self._own(stop=stop)
            document["Diff"] = diff_jobs(old, new)
            annotate(document["Diff"], old, new, outcome.updates)
        return index, document

    def stub(self, job: Job, *, meta: bool = False) -> Document:
        """Render a row of the job list."""
        return wire.job_stub(job, self.summary(job), meta=meta)

    def summary(self, job: Job) -> Document:
        """Count a job's instances."""
        tables = self.core.tables
        rows = tables.allocations
        return wire.summary_document(
            job,
            [rows[one] for one in tables.allocations_of.get(job.key, ())],
            tables.queued.get(job.key, {}),
            tables.summaries.get(job.key, job.modify_index),
        )

    def document(self, job: Job) -> Document:
        """Render a job."""
        return wire.job_document(job, self.name)

    def register(
        self, job: Mapping[str, Any], *, expected: int | None = None, source: str = ""
    ) -> Job:
        """Register *job* as a test or a person would, past the API's doors. Return it."""
        submission = Submission(source, "json") if source else None
        spec = self.jobs.admit(job)
        self.jobs.register(
            spec,
            stop=bool(job.get("Stop")),
            expected=expected,
            submission=submission,
            version=job.get("Version") or 0,
        )
        return self.core.tables.jobs[spec.document["Namespace"], spec.document["ID"]]

    def list_jobs(self, namespace: str = "*") -> Sequence[Job]:
        """Return the jobs of one namespace or of all, in the order of the API."""
        tables = self.core.tables
        keys = tables.job_keys()
        return [tables.jobs[key] for key in keys if namespace in {"*", key[0]}]

    def variable_items(self, namespace: str, path: str) -> Mapping[str, str] | None:
        """Return a variable's items, for tests."""
        variable = variables.read(self.core, namespace, path)
        return variable.items if variable else None

    def _own(self, *, stop: bool) -> Document:
        return {"Region": self.name, "Stop": stop}

    def _planned(self, key: JobKey, spec: Spec, existing: Job | None, *, stop: bool) -> Job:
        """Return the job that a register would make, at an index that is no real one."""
        future = self.index + 1
        unchanged = existing and existing.spec is spec and existing.stop == stop
        return Job(
            namespace=key[0],
            id=key[1],
            spec=spec,
            stop=stop,
            version=existing.version + (0 if unchanged else 1) if existing else 0,
            create_index=existing.create_index if existing else future,
            modify_index=future,
            job_modify_index=future,
            submit_time=self.core.now(),
        )

    def _judged(self, deployment_id: str) -> None:
        self._watcher.judged(deployment_id)

    def _started(self, allocation_id: str) -> None:
        allocation = self.core.tables.allocations[allocation_id]
        self._machines.start(allocation_id)
        if allocation.deployment_id:
            self._watcher.follow(allocation.deployment_id)

    def _later(self, evaluation_id: str) -> None:
        evaluation = self.core.tables.evaluations[evaluation_id]
        wait = max(0.0, (evaluation.wait_until - self.core.now()) / 1e9)
        self.core.timers.after(wait, lambda: self._evaluator.run(evaluation_id))
