"""One call to the API server: a deadline for the whole, fresh credentials, errors translated."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from orrery.adapters.kube.access import Access, Source
from orrery.adapters.kube.replies import HUB, Remote, Reply, error_of
from orrery.adapters.wording import no_reply
from orrery.errors import InvalidSpec, OrreryError, Unreachable

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"

DEADLINE = 10.0
"""Seconds for one call as a whole, waiting for a busy server included."""

LIST_DEADLINE = 60.0
REPLY_MAX = 256 * 1024 * 1024
"""Bytes of a reply; one page of large objects has some 100 MiB."""
THREAD_BYTES = 1024 * 1024
"""Larger documents are decoded in a thread: the loop serves all regions."""


class Connection:
    """Opens its session at the first call, and again when the credentials are no longer known."""

    def __init__(
        self,
        source: Source,
        *,
        remote: Remote,
        deadline: float = DEADLINE,
        reply_max: int = REPLY_MAX,
    ) -> None:
        self.remote = remote
        self._source = source
        self._deadline = deadline
        self._reply_max = reply_max
        self._access: Access | None = None
        self._session: aiohttp.ClientSession | None = None
        self._retired: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._retired, self._session):
            if session is not None:
                await session.close()
        self._retired = self._session = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """Send a request and return the answer, a refusal included.

        Raises `Unreachable` when there is none in time.
        """
        within = deadline or self._deadline
        try:
            async with asyncio.timeout(within):
                return await self._persist(_Request(method, path, body, content_type, query or {}))
        except TimeoutError as error:
            message = f"{method} {path}: {self.remote.title} gave no answer within {within:g} s"
            raise Unreachable(self.remote.unreachable, message) from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            failure = self._failure(f"{method} {path}", error)
        raise failure  # out here nothing becomes its context that `_failure` did not choose

    async def demand(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request that has to succeed, and return the document."""
        reply = await self.call(method, path, **request)
        if not reply.ok:
            raise self.error_of(f"{method} {path}", reply)
        return reply.document

    def error_of(self, request: str, reply: Reply) -> OrreryError:
        """Say what an answer other than success means for *request*."""
        return error_of(request, reply, self.remote)

    def _failure(
        self, request: str, error: aiohttp.ClientError | OSError | orjson.JSONDecodeError
    ) -> Unreachable:
        """Say what happened to *request* in words that stay the same."""
        where = self._access.server if self._access else self.remote.title
        private = False
        match error:
            case orjson.JSONDecodeError():
                message = f"{where}: {request}: answers with something else than JSON"
            case aiohttp.ClientError() | ConnectionError():
                found = no_reply(error)
                private = found.private
                message = f"{where}: {request}: {found.words}"
                if not found.sent:
                    message = f"{where}: {found.words}"
            case _:  # a file of ours, such as a certificate that cannot be read
                message = f"{where}: {error}"
        failure = Unreachable(self.remote.unreachable, message)
        if not private:
            failure.__cause__ = error
        return failure

    async def _persist(self, request: "_Request") -> Reply:
        """Send again what the server turned away unread: when busy, or with old credentials."""
        renewed = False
        while True:
            session = await self._open()
            reply = await self._send(session, request)
            if reply.throttled and reply.retry_after is not None:
                await asyncio.sleep(reply.retry_after)
            elif reply.status == HTTPStatus.UNAUTHORIZED and not renewed:
                renewed = True
                await self._reopen(session)
            else:
                return reply

    async def _send(self, session: aiohttp.ClientSession, request: "_Request") -> Reply:
        assert self._access is not None
        async with session.request(
            request.method,
            self._access.server + request.path,
            params=request.query,
            data=None if request.body is None else orjson.dumps(request.body),
            headers={"Content-Type": request.content_type},
            allow_redirects=False,
        ) as response:
            text = await self._read(response)
            retry_after = response.headers.get("Retry-After", "")
            return Reply(
                response.status,
                await _document(text, is_json=response.content_type == JSON),
                float(retry_after) if retry_after.isdecimal() else None,
            )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body, unpacked, but no more of it than the process can bear."""
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._reply_max:
                message = f"{self.remote.title} answered more than {self._reply_max} bytes"
                raise Unreachable(self.remote.unreachable, message)
            parts.append(part)
        return b"".join(parts)

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                self._access = await self._load()
                self._session = self._access.open_session()
            return self._session

    async def _load(self) -> Access:
        return await self._source.load()

    async def _reopen(self, old: aiohttp.ClientSession) -> None:
        """Read the credentials afresh, unless another call just did.

        The old session stays open for the calls that are under way on it.
        """
        async with self._opening:
            if self._session is not old:
                return
            if self._retired is not None:
                await self._retired.close()
            self._retired, self._session = old, None


class HubConnection(Connection):
    """A connection of the operator's own: what is wrong with its way is mended while it runs."""

    def __init__(self, source: Source, *, remote: Remote = HUB, deadline: float = DEADLINE) -> None:
        super().__init__(source, remote=remote, deadline=deadline)

    async def _load(self) -> Access:
        try:
            return await super()._load()
        except InvalidSpec as error:
            raise Unreachable(self.remote.unreachable, error.message) from error


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: Any
    content_type: str
    query: Mapping[str, str]


async def _document(text: bytes, *, is_json: bool) -> dict[str, Any]:
    if not is_json:
        return {"message": text[:200].decode(errors="replace").strip()}
    found: Any = (
        await asyncio.to_thread(orjson.loads, text)
        if len(text) > THREAD_BYTES
        else orjson.loads(text)
    )
    return found if isinstance(found, dict) else {}
