"""Send one request after the other to a region's Nomad, and read what it answers."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import orjson

from orrery.adapters.nomad import translate
from orrery.adapters.nomad.credentials import parse_endpoint, parse_token, tls_context
from orrery.adapters.nomad.decoding import UnreadableDocument, decode
from orrery.adapters.nomad.limits import Limits
from orrery.adapters.nomad.paths import collection
from orrery.adapters.nomad.replies import (
    Call,
    Reply,
    TransportFailure,
    failed,
    is_missing,
    judge,
    unreadable,
)
from orrery.adapters.nomad.transport import Transport
from orrery.ports import Credentials, Document

T = TypeVar("T")


class Requester:
    """Connections with one token, which never changes."""

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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

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
        if error := judge(call, self._endpoint, reply, token=self._token):
            raise error
        return reply

    async def _decode(self, call: Call, reply: Reply, read: Callable[[Any], T]) -> T:
        try:
            return await decode(reply.body, read, thread_bytes=self._limits.thread_bytes)
        except UnreadableDocument as error:
            raise unreadable(call, self._endpoint) from error
