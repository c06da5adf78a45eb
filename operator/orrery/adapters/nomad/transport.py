"""Send requests to one endpoint. The only module of the client that imports the HTTP library.

What a caller may rely on: a call ends within its deadline, waiting for a connection included; a
reply never grows beyond its cap; the token goes to the one endpoint and nowhere else; redirects are
not followed, the environment is not read, nothing is sent twice. See docs/adr/0001.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
from yarl import URL

from orrery import __version__
from orrery.adapters.nomad.credentials import Endpoint
from orrery.adapters.nomad.replies import Reply, TransportFailure
from orrery.adapters.wording import no_reply

T = TypeVar("T")

_KEEP_ALIVE = 60.0
"""Longer than the pauses between two probes of a region, shorter than servers keep connections."""

_INDEX = re.compile(r"[0-9]{1,20}")


class ByteStream:
    """The body of a reply that has no end."""

    def __init__(self, status: int, content: aiohttp.StreamReader, digest: str = "") -> None:
        self.status = status
        self.digest = digest
        """What the server says of the whole body, such as ``sha-256=...``; empty if nothing."""
        self._content = content

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; nothing when the server closed the stream."""
        return await _translated(self._content.readany())


class Transport:
    """Connections to one endpoint: at most *connections* for calls, and one for each stream."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        token: str,
        tls: ssl.SSLContext | None,
        connections: int,
        connect_timeout: float,
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._tls = tls
        self._slots = asyncio.Semaphore(connections)
        self._connect_timeout = connect_timeout
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Transport({str(self._endpoint)!r})"

    async def call(
        self, method: str, target: str, *, body: bytes | None, deadline: float, max_bytes: int
    ) -> Reply:
        """Send one request and read the whole reply, all within *deadline* seconds."""
        sent = False
        try:
            async with asyncio.timeout(deadline), self._slots:
                sent = True
                return await _translated(self._exchange(method, target, body, max_bytes))
        except TimeoutError as error:
            words = "no answer in time" if sent else "no free connection in time"
            raise TransportFailure(words, sent=sent) from error

    @asynccontextmanager
    async def stream(self, target: str, *, deadline: float) -> AsyncIterator[ByteStream]:
        """Open an endless reply; *deadline* covers what comes before its body."""
        try:
            async with asyncio.timeout(deadline):
                get = self._session().get(self._url(target), allow_redirects=False)
                response = await _translated(get)
        except TimeoutError as error:
            raise TransportFailure("no answer in time", sent=True) from error
        try:
            yield ByteStream(response.status, response.content, response.headers.get("Digest", ""))
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections; calls under way fail."""
        self._closed = True
        if self._opened:
            await self._opened.close()

    async def _exchange(
        self, method: str, target: str, body: bytes | None, max_bytes: int
    ) -> Reply:
        session = self._session()
        headers = {"Content-Type": "application/json"} if body else None
        async with session.request(
            method, self._url(target), data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise TransportFailure("answers in an encoding that was not asked for", sent=True)
            content = await _read_capped(response, max_bytes)
            index = _INDEX.fullmatch(response.headers.get("X-Nomad-Index", ""))
            return Reply(
                status=response.status,
                body=content,
                index=int(index[0]) if index else 0,
                next_token=response.headers.get("X-Nomad-NextToken", ""),
                date=response.headers.get("Date", ""),
            )

    def _url(self, target: str) -> URL:
        """Take *target* as it is: the library's own quoting would fold ``..`` and ``%2F``."""
        return URL(f"{self._endpoint}{target}", encoded=True)

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportFailure("the client is closed", sent=False)
        if not self._opened:
            connector = aiohttp.TCPConnector(
                limit=0,  # the slots count, so that waiting for one is told from being sent
                keepalive_timeout=_KEEP_ALIVE,
                ssl=self._tls or True,
            )
            self._opened = aiohttp.ClientSession(
                connector=connector,
                headers={
                    "X-Nomad-Token": self._token,
                    "User-Agent": f"orrery/{__version__}",
                    "Accept-Encoding": "identity",  # a small compressed reply may be a huge one
                },
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
            # aiohttp sends PUT and DELETE again by itself after a reset. Only the caller may
            # decide that: the first may have been done. There is no public switch in 3.14.
            self._opened._retry_connection = False  # noqa: SLF001 - see above
        return self._opened


async def _read_capped(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = response.content_length or 0
    if size <= max_bytes:
        size = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                break
    if size > max_bytes:
        response.close()
        raise TransportFailure("the reply is too large", sent=True)
    return b"".join(chunks)


async def _translated(request: Awaitable[T]) -> T:
    """Turn what the HTTP library raises into `TransportFailure`."""
    try:
        return await request
    except (aiohttp.ClientError, OSError) as error:
        failure = _failure(error)
    raise failure  # out here nothing becomes its context that `_failure` did not choose


def _failure(error: aiohttp.ClientError | OSError) -> TransportFailure:
    """Say what happened in words that stay the same, and whether anything can have been sent."""
    found = no_reply(error)
    failure = TransportFailure(found.words, sent=found.sent)
    if not found.private:
        failure.__cause__ = error
    return failure
