"""What the parts of one region share: its tables, its time, its ids, what its machines hold."""

import random
from collections.abc import Callable

from orrery.sim.entries import Entries
from orrery.sim.placement import Usage, demand
from orrery.sim.records import Allocation, Deployment, Evaluation, Job, JobKey
from orrery.sim.store import Store, Tables, Write, records_of
from orrery.sim.timers import Timers
from orrery.sim.timing import Timing


class Core:
    """One region's state and the means to change it."""

    def __init__(
        self, name: str, *, timing: Timing, clock: Callable[[], float], buffer: int, seed: object
    ) -> None:
        self.name = name
        self.timing = timing
        self.store = Store(clock, buffer=buffer)
        self.timers = Timers(clock)
        self.entries = Entries(name)
        self.usage: dict[str, Usage] = {}
        self.blocked: dict[JobKey, str] = {}
        """The evaluations that wait for room, by job."""
        self.random = random.Random(f"{name} {seed}")  # noqa: S311 - ids, no secrets
        self.on_room: Callable[[], None] = lambda: None
        """Called when an instance leaves its machine, or a machine comes."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when an instance was given up with its machine."""

    @property
    def tables(self) -> Tables:
        """The newest tables."""
        return self.store.tables

    def now(self) -> int:
        """Return the region's time in nanoseconds."""
        return int(self.store.now() * 1e9)

    def new_id(self) -> str:
        """Make a UUID."""
        text = f"{self.random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def put_allocation(self, entry: Write, allocation: Allocation) -> None:
        """Store an allocation and account for what it holds of its machine."""
        before = self.tables.allocations.get(allocation.id)
        held = before is not None and not before.client_terminal
        holds = not allocation.client_terminal
        if before is not None and held:
            self._account(before, -1)
        if holds:
            self._account(allocation, 1)
        self.entries.put_allocation(self.tables, entry, allocation)
        if held and not holds and self.blocked:
            self.timers.after(0, self.on_room)

    def count_usage(self) -> None:
        """Add up from scratch what the machines hold, after a restore."""
        self.usage.clear()
        for allocation in self.tables.allocations.values():
            if not allocation.client_terminal:
                self._account(allocation, 1)

    def allocations_of(self, job: Job) -> list[Allocation]:
        """Return the allocations of a job, not those of an earlier one of the same name."""
        return [
            a
            for a in records_of(self.tables, "allocations", job.key)
            if a.job_create_index == job.create_index
        ]

    def newest_deployment(self, job: Job) -> Deployment | None:
        """Return the latest deployment of a job."""
        deployments: list[Deployment] = records_of(self.tables, "deployments", job.key)
        mine = [d for d in deployments if d.job_create_index == job.create_index]
        return mine[-1] if mine else None

    def job_status(self, job: Job) -> str:
        """Tell what a job's status should be."""
        if job.spec.type == "system":
            return "dead" if job.stop else "running"
        deployments: list[Deployment] = records_of(self.tables, "deployments", job.key)
        if any(deployment.active for deployment in deployments):
            return "running"
        if any(not a.terminal for a in records_of(self.tables, "allocations", job.key)):
            return "running"
        evaluations: list[Evaluation] = records_of(self.tables, "evaluations", job.key)
        if any(not evaluation.terminal for evaluation in evaluations):
            return "pending"
        return "dead" if evaluations or job.stop else "pending"

    def _account(self, allocation: Allocation, sign: int) -> None:
        usage = self.usage.setdefault(allocation.node_id, Usage())
        cpu, memory = demand(allocation.spec.groups[allocation.group])
        usage.cpu += sign * cpu
        usage.memory += sign * memory
        count = usage.jobs.get(allocation.key, 0) + sign
        if count:
            usage.jobs[allocation.key] = count
        else:
            usage.jobs.pop(allocation.key, None)
