"""One call to the API server: a deadline for the whole, fresh credentials, errors translated."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from orrery.adapters.kube.access import HubAccess, HubSource
from orrery.adapters.kube.replies import UNREACHABLE, Reply, error_of
from orrery.errors import InvalidSpec, Unreachable

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"

DEADLINE = 10.0
"""Seconds for one call as a whole, waiting for a busy server included."""

LIST_DEADLINE = 60.0
THREAD_BYTES = 1024 * 1024
"""Larger documents are decoded in a thread: the loop serves all regions."""


class HubConnection:
    """Opens its session at the first call, and again when the credentials are no longer known."""

    def __init__(self, source: HubSource, *, deadline: float = DEADLINE) -> None:
        self._source = source
        self._deadline = deadline
        self._access: HubAccess | None = None
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
            message = f"{method} {path}: the hub gave no answer within {within:g} s"
            raise Unreachable(UNREACHABLE, message) from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise Unreachable(UNREACHABLE, f"{method} {path}: {error}") from error

    async def demand(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request that has to succeed, and return the document."""
        reply = await self.call(method, path, **request)
        if not reply.ok:
            raise error_of(f"{method} {path}", reply)
        return reply.document

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
            text = await response.read()
            retry_after = response.headers.get("Retry-After", "")
            return Reply(
                response.status,
                await _document(text, is_json=response.content_type == JSON),
                float(retry_after) if retry_after.isdecimal() else None,
            )

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                try:
                    self._access = await self._source.load()
                except InvalidSpec as error:
                    raise Unreachable(UNREACHABLE, error.message) from error
                self._session = self._access.open_session()
            return self._session

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
