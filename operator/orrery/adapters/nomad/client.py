"""The calls of `orrery.ports.RegionNomad`, one method each."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from orrery.adapters.nomad import translate
from orrery.adapters.nomad.admin import AdminClient
from orrery.adapters.nomad.credentials import parse_endpoint, parse_token
from orrery.adapters.nomad.limits import Limits
from orrery.adapters.nomad.logs import log_of
from orrery.adapters.nomad.paths import (
    collection,
    job_path,
    log_target,
    namespace_path,
    variable_target,
)
from orrery.adapters.nomad.replies import (
    Call,
    TransportFailure,
    failed,
)
from orrery.adapters.nomad.requester import Requester
from orrery.adapters.nomad.stranger import is_admitted
from orrery.adapters.nomad.stream import EventStream
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
    RegionNomad,
    Submission,
    Variable,
)

EVERYWHERE: Final = 'list-jobs in namespace "*"'


class NomadClientFactory:
    """Implements `orrery.ports.NomadFactory`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def connect(self, credentials: Credentials) -> RegionNomad:
        """Make a client; connects lazily. Raises `InvalidSpec` for unusable credentials."""
        return NomadClient(credentials, self._limits)

    def administer(self, credentials: Credentials) -> RegionAdmin:
        """Make a client for what takes a management token. Raises as *connect* does."""
        return AdminClient(credentials, self._limits)


class NomadClient(Requester):
    """Implements `orrery.ports.RegionNomad` over HTTP, with credentials that never change."""

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        super().__init__(credentials, limits)
        parse_token(credentials.management)
        self._credentials = credentials
        self._admin: AdminClient | None = None
        endpoint = parse_endpoint(credentials.endpoint)
        asks = endpoint.secure and bool(credentials.certificate)
        self._stranger = (endpoint, credentials) if asks else None
        self._streams: set[EventStream] = set()
        self._namespaces: frozenset[str] | None = None
        """As last listed: what others made since is in no stream that is open."""

    async def leader(self) -> str:
        """Return the leader's address; the light probe. Raises `Unreachable` without a leader."""
        call = Call("name its leader")
        leader = await self._read(call, collection("/v1/status/leader"), translate.leader)
        if not leader:
            failure = TransportFailure("the region has no leader", sent=True)
            raise failed(call, self._endpoint, failure)
        return leader

    async def agent(self) -> AgentFacts:
        """Read version and name of the server that answers. Raises `Refused` if unsupported."""
        call = Call("describe itself", right="agent:read")
        facts = await self._read(call, collection("/v1/agent/self"), translate.agent)
        check_version(facts.version)
        return facts

    async def autopilot(self) -> AutopilotHealth:
        """Ask the leader how all servers are. The token needs ``operator:read``."""
        call = Call("judge its servers", right="operator:read")
        # Nomad answers so while a server is not well; the body is the same.
        unwell = HTTPStatus.TOO_MANY_REQUESTS
        target = collection("/v1/operator/autopilot/health")
        reply = await self._reply(call, "GET", target, accept=unwell)
        health = await self._decode(call, reply, translate.autopilot)
        return replace(health, time=translate.http_date(reply.date))

    async def admits_strangers(self) -> bool | None:
        """Tell whether its API answers a caller without a client certificate.

        None where nobody is asked for one: plain HTTP, or credentials without a certificate.
        """
        if self._stranger is None:
            return None
        endpoint, credentials = self._stranger
        return await is_admitted(endpoint, credentials, deadline=self._limits.deadline)

    async def list_jobs(self) -> JobList:
        """List the jobs of all namespaces that the token may see, with their Meta.

        The index is the first page's: what changes while the pages are read comes as an event.
        """
        index, jobs = await self._list(
            Call("list jobs", right=EVERYWHERE),
            "/v1/jobs",
            translate.job_stubs,
            namespace="*",
            meta="true",
        )
        return JobList(index=index, jobs=jobs)

    async def read_job(self, namespace: str, job_id: str) -> Job | None:
        """Read one job, None when it does not exist."""
        call = Call(f"read {_job(namespace, job_id)}", right="read-job")
        return await self._find(call, job_path(namespace, job_id), translate.job)

    async def read_submission(self, namespace: str, job_id: str, version: int) -> Submission | None:
        """Read what was submitted with *version* of a job, None when nothing was kept."""
        call = Call(f"read the submission of {_job(namespace, job_id)}", right="read-job")
        target = job_path(namespace, job_id, "/submission", version=version)
        return await self._find(call, target, translate.submission)

    async def plan_job(self, document: Document) -> PlanResult:
        """Ask what a register of *document* would do; changes nothing."""
        namespace, job_id = str(document["Namespace"]), str(document["ID"])
        call = Call(f"plan {_job(namespace, job_id)}", submits=True, right="plan-job")
        target = job_path(namespace, job_id, "/plan")
        body = {"Job": document, "Diff": True}
        reply = await self._reply(call, "POST", target, body=body)
        return await self._decode(call, reply, translate.plan)

    async def register_job(
        self, document: Document, *, expected_index: int, submission: Submission
    ) -> None:
        """Register *document* if the job's JobModifyIndex is *expected_index*; 0: must not exist.

        The index of the reply is not the job's (Nomad 2.0): read the job afterwards.
        """
        namespace, job_id = str(document["Namespace"]), str(document["ID"])
        call = Call(
            f"register {_job(namespace, job_id)}", writes=True, submits=True, right="register-job"
        )
        body = {
            "Job": document,
            "EnforceIndex": True,
            "JobModifyIndex": expected_index,
            "Submission": {"Source": submission.source, "Format": submission.format},
        }
        target = job_path(namespace, job_id)
        await self._write(call, "POST", target, body)

    async def purge_job(self, namespace: str, job_id: str) -> None:
        """Remove a job for good. Nomad has no compare-and-set here: check ownership just before."""
        call = Call(f"purge {_job(namespace, job_id)}", writes=True, right="purge-job")
        target = job_path(namespace, job_id, purge="true")
        await self._write(call, "DELETE", target)

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        """List the allocations of a job, of all its versions."""
        call = Call(f"list the allocations of {_job(namespace, job_id)}", right="read-job")
        target = job_path(namespace, job_id, "/allocations")
        return await self._read(call, target, translate.allocations)

    async def read_log(self, allocation: str, task: str) -> str | None:
        """Read what *task* printed, from its machine; None when that is not there any more."""
        call, gone = Call("read a log", right="read-logs"), HTTPStatus.NOT_FOUND
        reply = await self._reply(call, "GET", log_target(allocation, task), accept=gone)
        return log_of(call, self._endpoint, reply, missing=reply.status == gone)

    async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
        """List Nomad's deployments of a job, newest first."""
        call = Call(f"list the deployments of {_job(namespace, job_id)}", right="read-job")
        target = job_path(namespace, job_id, "/deployments")
        return await self._read(call, target, translate.deployments)

    async def placement_failures(
        self, namespace: str, job_id: str
    ) -> Mapping[str, PlacementFailure]:
        """Say why instances of a job wait for a place, by task group; empty when none waits."""
        call = Call(f"list the evaluations of {_job(namespace, job_id)}", right="read-job")
        target = job_path(namespace, job_id, "/evaluations")
        return await self._read(call, target, translate.waiting)

    async def list_nodes(self) -> Sequence[Node]:
        """List the machines of the region with their resources."""
        call = Call("list nodes", right="node:read")
        return (await self._list(call, "/v1/nodes", translate.nodes, resources="true"))[1]

    async def list_namespaces(self) -> frozenset[str]:
        """List the names of the Nomad namespaces."""
        call = Call("list namespaces")
        found = await self._read(call, collection("/v1/namespaces"), translate.namespaces)
        if self._namespaces is not None and not found <= self._namespaces:
            self._follow_anew()
        self._namespaces = found
        return found

    async def create_namespace(self, name: str, description: str) -> None:
        """Create a namespace; needs `Credentials.management`. Creating it again changes nothing.

        Nomad would overwrite what people set on an existing one, so it is looked for first.
        """
        call = Call(f'read namespace "{name}"')
        if not await self._find(call, namespace_path(name), translate.namespace):
            self._admin = self._admin or AdminClient(self._credentials, self._limits)
            await self._admin.create_namespace(name, description)
        self._namespaces = (self._namespaces or frozenset()) | {name}
        self._follow_anew()

    async def read_variable(self, namespace: str, path: str) -> Variable | None:
        """Read a variable, None when it does not exist."""
        call = Call(f'read variable "{path}" in "{namespace}"', right="variables:read")
        return await self._find(call, variable_target(namespace, path), translate.variable)

    async def write_variable(
        self, namespace: str, path: str, items: Mapping[str, str], *, expected_index: int
    ) -> None:
        """Write a variable if its ModifyIndex is *expected_index*; 0: must not exist."""
        call = _secret_call(f'write variable "{path}" in "{namespace}"', "write")
        target = variable_target(namespace, path, cas=expected_index)
        body = {"Namespace": namespace, "Path": path, "Items": dict(items)}
        await self._write(call, "PUT", target, body)

    async def delete_variable(self, namespace: str, path: str, *, expected_index: int) -> None:
        """Delete a variable if its ModifyIndex is *expected_index*."""
        call = _secret_call(f'delete variable "{path}" in "{namespace}"', "destroy")
        target = variable_target(namespace, path, cas=expected_index)
        await self._write(call, "DELETE", target)

    @asynccontextmanager
    async def events(self, *, index: int) -> AsyncIterator[AsyncIterator[EventBatch]]:
        """Open the event stream of all namespaces, after raft *index* (0: from now).

        The iterator raises `Unreachable` when the stream ends, breaks, or is silent for longer
        than three heartbeats.
        """
        stream = EventStream(
            self._transport,
            self._endpoint,
            token=self._token,
            deadline=self._limits.deadline,
            silence=3 * self._limits.heartbeat,
            settle=self._limits.settle,
            line_bytes=self._limits.event_bytes,
            thread_bytes=self._limits.thread_bytes,
        )
        start = index or await self._index() + 1
        self._streams.add(stream)
        try:
            async with aclosing(stream.batches(seen=index, start=start)) as batches:
                first = await anext(batches)
                async with aclosing(_after(first, batches)) as opened:
                    yield opened
        finally:
            self._streams.discard(stream)

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        if self._admin:
            await self._admin.close()

    def _follow_anew(self) -> None:
        """Have the event streams opened again: a namespace is new."""
        for stream in self._streams:
            stream.reopen()

    async def _index(self) -> int:
        call = Call("list jobs", right=EVERYWHERE)
        target = collection("/v1/jobs", namespace="*", per_page=1)
        return (await self._reply(call, "GET", target)).index


async def _after(first: EventBatch, rest: AsyncIterator[EventBatch]) -> AsyncGenerator[EventBatch]:
    yield first
    async for batch in rest:
        yield batch


def _job(namespace: str, job_id: str) -> str:
    return f'job "{job_id}" in namespace "{namespace}"'


def _secret_call(what: str, capability: str) -> Call:
    return Call(what, writes=True, secret=True, right=f"variables:{capability}")
