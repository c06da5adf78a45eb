"""A region's Nomad in memory: jobs under compare-and-set, submissions, variables, instances.

Instances are healthy at once, unless the image's tag is ``bad``: then the deployment fails and the
job goes back to its last healthy version, as Nomad's auto-revert does.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from orrery.adapters.memory.acl import AclCalls, Bearer
from orrery.adapters.memory.beginnings import one_machine, well_servers
from orrery.adapters.memory.documents import copied
from orrery.adapters.memory.jobs import HeldJob, count_of, essence, machine_of
from orrery.adapters.memory.worldclock import EPOCH
from orrery.api.conditions import Reason
from orrery.errors import Conflict, OutcomeUnknown, Refused, Unreachable
from orrery.nomad_version import check_version
from orrery.ports import (
    AgentFacts,
    Allocation,
    AutopilotHealth,
    Credentials,
    Document,
    EventBatch,
    Job,
    JobDeployment,
    JobList,
    Node,
    PlacementFailure,
    PlanResult,
    RegionAdmin,
    RegionEvent,
    RegionNomad,
    Submission,
    Variable,
)


class MemoryNomad(AclCalls):
    """One region. Set *dark* to make it unreachable, *lose_replies* to lose the next replies."""

    def __init__(
        self, name: str = "region", *, nodes: Sequence[Node] | None = None, servers: int = 1
    ) -> None:
        super().__init__()
        self.name = name
        self.dark = False
        self.full = False
        """Whether new jobs find no place."""
        self.busy = False
        """Whether what was begun on every machine does not end yet."""
        self.lingers = False
        """Whether they do not end though they have printed; else busy ones print nothing."""
        self.logs: dict[str, str] = {}
        """What tasks print, by the name of their machine."""
        self.away: set[str] = set()
        """Machines that cannot be asked for what tasks print."""
        self.latency = 0.0
        """Seconds that each call takes."""
        self.lose_replies = 0
        """Writes that will be applied while their reply is lost."""
        self.version = "2.0.6"
        self.admits: bool | None = False
        """Whether its API answers a caller without a client certificate."""
        self.acl_enabled = True
        self.clock_ahead = 0.0
        """Seconds by which its clock is ahead of that of the world."""
        self.servers = well_servers(name, servers)
        self.reads: Counter[str] = Counter()
        self.namespaces = {"default"}
        self.variables: dict[tuple[str, str], Variable] = {}
        self.nodes = (one_machine(name),) if nodes is None else nodes
        self._jobs: dict[tuple[str, str], HeldJob] = {}
        self._raft = itertools.count(10)
        self._subscribers: set[asyncio.Queue[EventBatch | None]] = set()

    def job(self, namespace: str, job_id: str) -> dict[str, Any] | None:
        """Look at a job from outside, as a test or an operator of the region does."""
        held = self._jobs.get((namespace, job_id))
        return None if held is None else copied(held.current)

    def versions_of(self, namespace: str, job_id: str) -> int:
        """Count the versions that a job has had."""
        held = self._jobs.get((namespace, job_id))
        return len(held.versions) if held else 0

    def instances_started(self) -> dict[str, int]:
        """Count, per job, the instances ever started; a purged job takes its count along."""
        return {
            f"{namespace}/{job_id}": held.started
            for (namespace, job_id), held in self._jobs.items()
        }

    def contents(self) -> dict[str, Any]:
        """Describe all that the region holds."""
        return {
            "jobs": {f"{ns}/{job_id}": held.current for (ns, job_id), held in self._jobs.items()},
            "variables": {f"{ns}/{v.path}": v.items for (ns, _), v in self.variables.items()},
            "namespaces": sorted(self.namespaces),
        }

    def edit(self, namespace: str, job_id: str, **changes: Any) -> None:
        """Change a job by hand, beside Orrery."""
        held = self._jobs.setdefault((namespace, job_id), HeldJob())
        before = held.versions[-1] if held.versions else {"ID": job_id, "Namespace": namespace}
        self._commit(namespace, job_id, held, {**before, **changes}, None)

    def set_machines(self, *nodes: Node) -> None:
        """Have other machines than before; the event stream tells of it."""
        self.nodes = nodes
        self.announce(RegionEvent("Node", "NodeRegistration", "", ""))

    def break_streams(self) -> None:
        """Break the connections of all event streams."""
        for queue in self._subscribers:
            queue.put_nowait(None)

    def announce(self, *events: RegionEvent) -> None:
        """Publish events that nothing here causes by itself, as those of machines and instances."""
        for queue in self._subscribers:
            queue.put_nowait(EventBatch(next(self._raft), events))

    def forget(self, namespace: str, job_id: str) -> None:
        """Purge a job by hand, beside Orrery."""
        del self._jobs[namespace, job_id]
        self._publish(namespace, job_id, "JobDeregistered", next(self._raft))

    async def leader(self) -> str:
        """Answer the light probe."""
        await self._read("leader")
        return "127.0.0.1:4647"

    async def agent(self) -> AgentFacts:
        """Say version and name; refused when the version is not supported."""
        await self._read("agent")
        check_version(self.version)
        return AgentFacts(self.version, self.name, self.acl_enabled)

    async def autopilot(self) -> AutopilotHealth:
        """Say how the servers are."""
        await self._read("autopilot")
        moment = EPOCH + asyncio.get_running_loop().time() + self.clock_ahead
        return replace(self.servers, time=moment)

    async def admits_strangers(self) -> bool | None:
        """Tell whether it was told to."""
        await self._read("admits_strangers")
        return self.admits

    async def list_jobs(self) -> JobList:
        """List all jobs."""
        await self._read("list_jobs")
        stubs = [held.stub(ns, job_id) for (ns, job_id), held in self._jobs.items()]
        return JobList(next(self._raft), stubs)

    async def read_job(self, namespace: str, job_id: str) -> Job | None:
        """Read one job."""
        await self._read("read_job")
        held = self._jobs.get((namespace, job_id))
        if held is None:
            return None
        document = copied(held.current)
        return Job(
            namespace=namespace,
            id=job_id,
            version=len(held.versions) - 1,
            job_modify_index=held.index,
            stop=bool(document.get("Stop")),
            meta=document.get("Meta") or {},
            document=document,
        )

    async def read_submission(self, namespace: str, job_id: str, version: int) -> Submission | None:
        """Read what was submitted with a version."""
        await self._read("read_submission")
        held = self._jobs.get((namespace, job_id))
        return held.submissions.get(version) if held else None

    async def plan_job(self, document: Document) -> PlanResult:
        """Say whether a register would change anything."""
        await self._read("plan_job")
        held = self._jobs.get((document["Namespace"], document["ID"]))
        same = held is not None and essence(held.current) == essence(document)
        kind = "None" if same else "Edited" if held else "Added"
        return PlanResult(held.index if held else 0, {"Type": kind}, {}, {}, "")

    async def register_job(
        self, document: Document, *, expected_index: int, submission: Submission
    ) -> None:
        """Register under compare-and-set."""
        await self.arrive()
        namespace, job_id = document["Namespace"], document["ID"]
        if namespace not in self.namespaces:
            raise Refused(
                Reason.JOB_REFUSED, f'job "{job_id}" is in nonexistent namespace "{namespace}"'
            )
        held = self._jobs.get((namespace, job_id))
        index = held.index if held else 0
        if expected_index != index:
            raise Conflict("JobModifyIndex", f"expected {expected_index}, the job is at {index}")
        self.writes["register"] += 1
        held = held or self._jobs.setdefault((namespace, job_id), HeldJob())
        if not held.versions or essence(held.current) != essence(document):
            self._commit(namespace, job_id, held, dict(document), submission)
        self.reply()

    async def purge_job(self, namespace: str, job_id: str) -> None:
        """Remove a job."""
        await self.arrive()
        self.writes["purge"] += 1
        self._jobs.pop((namespace, job_id), None)
        self._publish(namespace, job_id, "JobDeregistered", next(self._raft))
        self.reply()

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        """List the instances of the current version."""
        await self._read("list_allocations")
        held = self._jobs.get((namespace, job_id))
        if held is None or held.current.get("Stop"):
            return ()
        version = len(held.versions) - 1
        if held.current.get("Type") == "sysbatch":
            fit = () if self.full else self.nodes
            return [held.run_on(node, busy=self.busy or self.lingers) for node in fit]
        status = "running" if held.healthy else "failed"
        return [
            Allocation(f"a{n}", version, status, "run", held.healthy, "n1")
            for n in range(count_of(held.current))
        ]

    async def read_log(self, allocation: str, task: str) -> str | None:  # noqa: ARG002 - the port
        """Read what was printed on the allocation's machine."""
        await self._read("read_log")
        machine = machine_of(allocation)
        if machine in self.away:
            raise Unreachable(Reason.REGION_UNREACHABLE, "the machine does not answer")
        return "" if self.busy else self.logs.get(machine)

    async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
        """List deployments, newest first."""
        await self._read("list_deployments")
        held = self._jobs.get((namespace, job_id))
        return tuple(reversed(held.deployments)) if held else ()

    async def placement_failures(
        self, namespace: str, job_id: str
    ) -> Mapping[str, PlacementFailure]:
        """Say that everything finds a place, unless *full* is set."""
        await self._read("placement_failures")
        waits = self.full and (namespace, job_id) in self._jobs
        return {"instances": PlacementFailure(1, 1, {"memory": 1}, {})} if waits else {}

    async def list_nodes(self) -> Sequence[Node]:
        """List the machines."""
        await self._read("list_nodes")
        return tuple(self.nodes)

    async def list_namespaces(self) -> frozenset[str]:
        """List the namespaces."""
        await self._read("list_namespaces")
        return frozenset(self.namespaces)

    async def create_namespace(self, name: str, description: str) -> None:  # noqa: ARG002 - the port
        """Create a namespace; nobody reads its description here."""
        await self.arrive()
        self.writes["namespace"] += 1
        self.namespaces.add(name)
        self.reply()

    async def read_variable(self, namespace: str, path: str) -> Variable | None:
        """Read a variable."""
        await self._read("read_variable")
        return self.variables.get((namespace, path))

    async def write_variable(
        self, namespace: str, path: str, items: Mapping[str, str], *, expected_index: int
    ) -> None:
        """Write a variable under compare-and-set."""
        await self._expect(namespace, path, expected_index)
        self.writes["variable"] += 1
        self.variables[namespace, path] = Variable(path, next(self._raft), dict(items))
        self.reply()

    async def delete_variable(self, namespace: str, path: str, *, expected_index: int) -> None:
        """Delete a variable under compare-and-set."""
        await self._expect(namespace, path, expected_index)
        self.writes["variable"] += 1
        del self.variables[namespace, path]
        self.reply()

    @asynccontextmanager
    async def events(self, *, index: int) -> AsyncIterator[AsyncIterator[EventBatch]]:  # noqa: ARG002 - the port
        """Open the event stream, from now."""
        await self._read("events")
        queue: asyncio.Queue[EventBatch | None] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            yield self._stream(queue)
        finally:
            self._subscribers.discard(queue)

    async def close(self) -> None:
        """Close nothing: there are no connections."""

    async def _stream(self, queue: asyncio.Queue[EventBatch | None]) -> AsyncIterator[EventBatch]:
        while True:
            batch = await queue.get()
            self._reachable()
            if batch is None:
                raise Unreachable(Reason.REGION_UNREACHABLE, "the event stream broke")
            yield batch

    def _commit(
        self,
        namespace: str,
        job_id: str,
        held: HeldJob,
        document: dict[str, Any],
        submission: Submission | None,
    ) -> None:
        held.commit(document, submission, self._raft)
        self._publish(namespace, job_id, "JobRegistered", held.index)

    def _publish(self, namespace: str, job_id: str, kind: str, index: int) -> None:
        event = RegionEvent("Job", kind, namespace, job_id, index)
        for queue in self._subscribers:
            queue.put_nowait(EventBatch(index, (event,)))

    async def _expect(self, namespace: str, path: str, expected_index: int) -> None:
        await self.arrive()
        held = self.variables.get((namespace, path))
        index = held.modify_index if held else 0
        if expected_index != index:
            raise Conflict("VariableIndex", f"expected {expected_index}, it is at {index}")

    async def _read(self, call: str) -> None:
        await self.arrive()
        self.reads[call] += 1

    async def arrive(self) -> None:
        """Take the time that a call takes. Raises `Unreachable` while the region is dark."""
        if self.latency:
            await asyncio.sleep(self.latency)
        self._reachable()

    def _reachable(self) -> None:
        if self.dark:
            raise Unreachable(Reason.REGION_UNREACHABLE, "the region's Nomad does not answer")

    def reply(self) -> None:
        """Answer a write, unless its reply is one that gets lost."""
        if self.lose_replies:
            self.lose_replies -= 1
            raise OutcomeUnknown("ReplyLost", "the reply was lost")


class MemoryFactory:
    """Hands out regions by the endpoint that their credentials name."""

    def __init__(self, regions: Mapping[str, MemoryNomad]) -> None:
        self._regions = regions

    def connect(self, credentials: Credentials) -> RegionNomad:
        """Return the region at the endpoint."""
        return cast("RegionNomad", self._seen(credentials))

    def administer(self, credentials: Credentials) -> RegionAdmin:
        """Return what takes a management token of the region at the endpoint."""
        return cast("RegionAdmin", self._seen(credentials))

    def _seen(self, credentials: Credentials) -> object:
        region = self._regions[credentials.endpoint]
        token = credentials.token
        return (
            Bearer(region, token, credentials.management or token)
            if region.acl.enforced
            else region
        )
