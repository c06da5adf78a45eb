"""The calls of `orrery.ports.RegionNomad`, one method each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar

import orjson

from orrery.adapters.nomad import acl, translate
from orrery.adapters.nomad.credentials import parse_endpoint, parse_token, tls_context
from orrery.adapters.nomad.decoding import UnreadableDocument, decode
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
    Reply,
    TransportFailure,
    failed,
    is_missing,
    judge,
    unreadable,
)
from orrery.adapters.nomad.stranger import is_admitted
from orrery.adapters.nomad.stream import EventStream
from orrery.adapters.nomad.transport import Transport
from orrery.nomad_version import check_version
from orrery.ports import (
    AclToken,
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
    RegionNomad,
    Submission,
    Variable,
)

T = TypeVar("T")


class NomadClientFactory:
    """Implements `orrery.ports.NomadFactory`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def connect(self, credentials: Credentials) -> RegionNomad:
        """Make a client; connects lazily. Raises `InvalidSpec` for unusable credentials."""
        return NomadClient(credentials, self._limits)


class NomadClient:
    """Implements `orrery.ports.RegionNomad` over HTTP, with credentials that never change."""

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        endpoint = parse_endpoint(credentials.endpoint)
        self._endpoint = str(endpoint)
        self._token = parse_token(credentials.token)
        self._limits = limits or Limits()
        self._transport = Transport(
            endpoint,
            token=self._token,
            tls=tls_context(credentials) if endpoint.secure else None,
            connections=self._limits.connections,
            connect_timeout=self._limits.connect_timeout,
        )
        asks = endpoint.secure and bool(credentials.certificate)
        self._stranger = (endpoint, credentials) if asks else None
        self._streams: set[EventStream] = set()
        self._namespaces: frozenset[str] | None = None
        """As last listed: what others made since is in no stream that is open."""

    def __repr__(self) -> str:
        return f"NomadClient({self._endpoint!r})"

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
        call = Call("describe itself")
        facts = await self._read(call, collection("/v1/agent/self"), translate.agent)
        check_version(facts.version)
        return facts

    async def autopilot(self) -> AutopilotHealth:
        """Ask the leader how all servers are. The token needs ``operator:read``."""
        call = Call("judge its servers")
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
            Call("list jobs"), "/v1/jobs", translate.job_stubs, namespace="*", meta="true"
        )
        return JobList(index=index, jobs=jobs)

    async def read_job(self, namespace: str, job_id: str) -> Job | None:
        """Read one job, None when it does not exist."""
        call = Call(f"read {_job(namespace, job_id)}")
        return await self._find(call, job_path(namespace, job_id), translate.job)

    async def read_submission(self, namespace: str, job_id: str, version: int) -> Submission | None:
        """Read what was submitted with *version* of a job, None when nothing was kept."""
        call = Call(f"read the submission of {_job(namespace, job_id)}")
        target = job_path(namespace, job_id, "/submission", version=version)
        return await self._find(call, target, translate.submission)

    async def plan_job(self, document: Document) -> PlanResult:
        """Ask what a register of *document* would do; changes nothing."""
        namespace, job_id = str(document["Namespace"]), str(document["ID"])
        call = Call(f"plan {_job(namespace, job_id)}", submits=True)
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
        call = Call(f"register {_job(namespace, job_id)}", writes=True, submits=True)
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
        call = Call(f"purge {_job(namespace, job_id)}", writes=True)
        target = job_path(namespace, job_id, purge="true")
        await self._write(call, "DELETE", target)

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        """List the allocations of a job, of all its versions."""
        call = Call(f"list the allocations of {_job(namespace, job_id)}")
        target = job_path(namespace, job_id, "/allocations")
        return await self._read(call, target, translate.allocations)

    async def read_log(self, allocation: str, task: str) -> str | None:
        """Read what *task* printed, from its machine; None when that is not there any more."""
        call, gone = Call("read a log"), HTTPStatus.NOT_FOUND
        reply = await self._reply(call, "GET", log_target(allocation, task), accept=gone)
        return log_of(call, self._endpoint, reply, missing=reply.status == gone)

    async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
        """List Nomad's deployments of a job, newest first."""
        call = Call(f"list the deployments of {_job(namespace, job_id)}")
        target = job_path(namespace, job_id, "/deployments")
        return await self._read(call, target, translate.deployments)

    async def placement_failures(
        self, namespace: str, job_id: str
    ) -> Mapping[str, PlacementFailure]:
        """Say why instances of a job wait for a place, by task group; empty when none waits."""
        call = Call(f"list the evaluations of {_job(namespace, job_id)}")
        target = job_path(namespace, job_id, "/evaluations")
        return await self._read(call, target, translate.waiting)

    async def list_nodes(self) -> Sequence[Node]:
        """List the machines of the region with their resources."""
        call = Call("list nodes")
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
        """Create a namespace; needs a management token. Creating it again changes nothing.

        Nomad would overwrite what people set on an existing one, so it is looked for first.
        """
        call = Call(f'read namespace "{name}"')
        if not await self._find(call, namespace_path(name), translate.namespace):
            call = Call(f'create namespace "{name}"', writes=True)
            body = {"Name": name, "Description": description}
            await self._write(call, "POST", collection("/v1/namespace"), body)
        self._namespaces = (self._namespaces or frozenset()) | {name}
        self._follow_anew()

    async def read_variable(self, namespace: str, path: str) -> Variable | None:
        """Read a variable, None when it does not exist."""
        call = Call(f'read variable "{path}" in "{namespace}"')
        return await self._find(call, variable_target(namespace, path), translate.variable)

    async def write_variable(
        self, namespace: str, path: str, items: Mapping[str, str], *, expected_index: int
    ) -> None:
        """Write a variable if its ModifyIndex is *expected_index*; 0: must not exist."""
        call = Call(f'write variable "{path}" in "{namespace}"', writes=True, secret=True)
        target = variable_target(namespace, path, cas=expected_index)
        body = {"Namespace": namespace, "Path": path, "Items": dict(items)}
        await self._write(call, "PUT", target, body)

    async def delete_variable(self, namespace: str, path: str, *, expected_index: int) -> None:
        """Delete a variable if its ModifyIndex is *expected_index*."""
        call = Call(f'delete variable "{path}" in "{namespace}"', writes=True, secret=True)
        target = variable_target(namespace, path, cas=expected_index)
        await self._write(call, "DELETE", target)

    async def put_token(self, token: AclToken) -> None:
        """Have Nomad know *token* and its policy; needs a management token."""
        target = acl.token_path(token)
        call = Call(f'write ACL token "{token.name}"', writes=True, secret=True)
        if not await self._find(call, target, acl.read_token):
            await self._reply(call, "POST", acl.policy_path(token), body=acl.policy(token))
            await self._reply(call, "POST", target, body=acl.token(token))

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
        await self._transport.close()

    def _follow_anew(self) -> None:
        """Have the event streams opened again: a namespace is new."""
        for stream in self._streams:
            stream.reopen()

    async def _index(self) -> int:
        call = Call("list jobs")
        target = collection("/v1/jobs", namespace="*", per_page=1)
        return (await self._reply(call, "GET", target)).index

    async def _read(self, call: Call, target: str, read: Callable[[Any], T]) -> T:
        return await self._decode(call, await self._reply(call, "GET", target), read)

    async def _write(
        self, call: Call, method: str, target: str, body: Document | None = None
    ) -> None:
        reply = await self._reply(call, method, target, body=body)
        if reply.body:  # creating a namespace and deleting a variable answer nothing
            await self._decode(call, reply, translate.written)

    async def _find(self, call: Call, target: str, read: Callable[[Any], T]) -> T | None:
        reply = await self._reply(call, "GET", target, missing=True)
        return None if is_missing(reply) else await self._decode(call, reply, read)

    async def _list(
        self, call: Call, path: str, read: Callable[[Any], list[T]], **query: str
    ) -> tuple[int, list[T]]:
        """Read all pages of a list, within one deadline and one cap."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.list_deadline
        budget = self._limits.list_bytes
        rows: list[T] = []
        index, token = 0, ""
        while True:
            page = {"per_page": self._limits.page} | ({"next_token": token} if token else {})
            target = collection(path, **query, **page)
            left = max(0.0, end - loop.time())
            reply = await self._reply(call, "GET", target, deadline=left, max_bytes=budget)
            rows += await self._decode(call, reply, read)
            index = index or reply.index
            budget -= len(reply.body)
            if len(rows) > self._limits.list_rows:
                failure = TransportFailure("the list is too long", sent=True)
                raise failed(call, self._endpoint, failure)
            token = reply.next_token
            if not token:
                return index, rows

    async def _reply(
        self,
        call: Call,
        method: str,
        target: str,
        *,
        body: Document | None = None,
        missing: bool = False,
        accept: HTTPStatus | None = None,
        deadline: float | None = None,
        max_bytes: int | None = None,
    ) -> Reply:
        """Send one request; every failure leaves as a leaf of the error tree."""
        try:
            reply = await self._transport.call(
                method,
                target,
                body=None if body is None else orjson.dumps(body),
                deadline=self._limits.deadline if deadline is None else deadline,
                max_bytes=self._limits.reply_bytes if max_bytes is None else max_bytes,
            )
        except TransportFailure as failure:
            raise failed(call, self._endpoint, failure) from failure
        if reply.status == accept or (missing and is_missing(reply)):
            return reply
        error = judge(call, self._endpoint, reply, token=self._token)
        if error:
            raise error
        return reply

    async def _decode(self, call: Call, reply: Reply, read: Callable[[Any], T]) -> T:
        try:
            return await decode(reply.body, read, thread_bytes=self._limits.thread_bytes)
        except UnreadableDocument as error:
            raise unreadable(call, self._endpoint) from error


async def _after(first: EventBatch, rest: AsyncIterator[EventBatch]) -> AsyncGenerator[EventBatch]:
    yield first
    async for batch in rest:
        yield batch


def _job(namespace: str, job_id: str) -> str:
    return f'job "{job_id}" in namespace "{namespace}"'
