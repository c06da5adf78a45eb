"""Servers that answer as told, on loopback: what a region may do to its client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from orrery.adapters.nomad import Limits, NomadClient
from orrery.ports import Credentials

TOKEN = "5f7a1c9e-0000-4000-8000-s3cr3ttoken1"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback that records what it was asked."""

    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    readers: list[asyncio.StreamReader] = field(default_factory=list)
    open_connections: int = 0

    @property
    def connections(self) -> int:
        return len(self.readers)

    @property
    def connections_open(self) -> int:
        return sum(not reader.at_eof() for reader in self.readers)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@asynccontextmanager
async def serve(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Open a server that calls *answer* for each request, and cut what is left at the end."""
    record = Server(scheme="https" if tls else "http")
    open_now: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_now[task] = writer
        record.readers.append(reader)
        try:
            while request := await read_request(reader):
                record.requests.append(request)
                await answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the test has left; the server has nothing more to do
        finally:
            writer.transport.abort()
            del open_now[task]

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    record.port = server.sockets[0].getsockname()[1]
    try:
        yield record
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*list(open_now), return_exceptions=True)
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None when the client has left."""
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """Write out a complete reply."""
    lines = [f"HTTP/1.1 {status} Said"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def always(content: bytes, *, cut: bool = False) -> Answer:
    """Answer every request with *content*; *cut* the connection after it."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        if cut:
            raise ConnectionAbortedError

    return answer


@asynccontextmanager
async def connected(credentials: Credentials | str, **limits: float) -> AsyncIterator[NomadClient]:
    """Make a client with short limits, and close it."""
    if isinstance(credentials, str):
        credentials = Credentials(endpoint=credentials, token=TOKEN)
    settings = {"deadline": 5.0, "list_deadline": 5.0, "connect_timeout": 2.0} | limits
    client = NomadClient(credentials, Limits(**settings))  # type: ignore[arg-type] # counts are whole
    try:
        yield client
    finally:
        await client.close()
