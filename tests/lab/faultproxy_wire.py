"""HTTP/1.1 as a proxy sees it: one message after the other, bodies piece by piece."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Headers = Sequence[tuple[str, str]]

LONGEST_LINE: Final = 4 * 1024 * 1024
PIECE: Final = 64 * 1024
MUTATING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
EVENT_STREAM: Final = "/v1/event/stream"

BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Hung(Exception):
    """A connection ended in the middle of a message."""


@dataclass(frozen=True)
class Request:
    """One request, read to its end."""

    method: str
    target: str
    """Path and query, as they were sent."""
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    @cached_property
    def path(self) -> str:
        return urlsplit(self.target).path

    @cached_property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def writes(self) -> bool:
        """Tell whether it changes something.

        A dry run does not, nor does a plan of Nomad, nor does asking for one's own rights.
        """
        return (
            self.method in MUTATING
            and not self.path.startswith("/apis/authorization.k8s.io/")
            and "dryRun" not in self.query
            and not self.path.endswith("/plan")
        )

    @property
    def streams(self) -> bool:
        """Tell whether the reply has no end: a watch of the hub, or a region's events."""
        watches = self.query.get("watch", ["false"])[0] in {"true", "1"}
        return watches or self.path == EVENT_STREAM

    @cached_property
    def document(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Reply:
    """One reply: its head is read, its body comes as it arrives."""

    status: int
    headers: Headers = field(repr=False)
    body: AsyncIterator[bytes] = field(repr=False)

    @property
    def length(self) -> int | None:
        if self.status in BODILESS:
            return 0
        found = _header(self.headers, "content-length")
        return int(found) if found else None

    async def whole(self) -> bytes:
        return b"".join([piece async for piece in self.body])


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None when the client has left."""
    lines = await _head(reader)
    if lines is None:
        return None
    method, target, _ = lines[0].split(" ", 2)
    headers = _headers(lines[1:])
    body = b"".join([piece async for piece in _body(reader, headers, empty=True)])
    return Request(method, target, headers, body)


async def read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    """Read the head of a reply to *method*."""
    lines = await _head(reader)
    if lines is None:
        raise Hung
    status = int(lines[0].split(" ", 2)[1])
    headers = _headers(lines[1:])
    empty = method == "HEAD" or status in BODILESS
    return Reply(status, headers, _nothing() if empty else _body(reader, headers, empty=False))


def request_bytes(request: Request, host: str) -> bytes:
    """Write a request out again, for *host*."""
    kept = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in {"host", "connection", "content-length", "transfer-encoding"}
    ]
    headers = [("Host", host), *kept, ("Connection", "keep-alive")]
    if request.body or request.method in MUTATING:
        headers.append(("Content-Length", str(len(request.body))))
    return _start(f"{request.method} {request.target} HTTP/1.1", headers) + request.body


def reply_head(status: int, headers: Headers) -> bytes:
    """Write out the head of a reply."""
    return _start(f"HTTP/1.1 {status} Said", headers)


def framed(headers: Headers, length: int | None) -> Headers:
    """Return *headers* for a body of *length*, or for one that comes in chunks."""
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in {"content-length", "transfer-encoding", "connection"}
    ]
    frame = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    return [*kept, frame]


def chunk(piece: bytes) -> bytes:
    """Frame a piece of a body that comes in chunks; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut *pieces* into lines, each with its end."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


async def _head(reader: asyncio.StreamReader) -> list[str] | None:
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Hung from error
        return None
    except (ConnectionError, ssl.SSLError):
        return None
    return text.decode("latin-1").split("\r\n")[:-2]


def _headers(lines: Sequence[str]) -> Headers:
    split = (line.partition(":") for line in lines)
    return [(name, value.strip()) for name, _, value in split]


def _header(headers: Headers, wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")


async def _body(
    reader: asyncio.StreamReader, headers: Headers, *, empty: bool
) -> AsyncIterator[bytes]:
    """Read a body; *empty* says what no frame means: nothing, or all until the end."""
    if "chunked" in _header(headers, "transfer-encoding").lower():
        while size := int((await _line(reader)).partition(b";")[0], 16):
            yield await _exactly(reader, size)
            await _line(reader)
        await _line(reader)
        return
    length = _header(headers, "content-length")
    if length or empty:
        left = int(length or 0)
        while left:
            piece = await reader.read(min(left, PIECE))
            if not piece:
                raise Hung
            left -= len(piece)
            yield piece
        return
    while piece := await reader.read(PIECE):
        yield piece


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise Hung
    return line


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise Hung from error


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _start(line: str, headers: Headers) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
