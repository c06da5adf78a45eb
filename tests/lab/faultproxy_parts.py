"""The parts of the fault proxy: targets and their doors, open streams, what becomes of lines."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.lab.faultproxy_journal import Entry, Match
from tests.lab.faultproxy_wire import chunk

from orrery.playground.ports import LOOPBACK


class Door(Enum):
    """What becomes of connections."""

    OPEN = auto()
    REFUSED = auto()
    """Nobody listens, and what was connected is reset."""
    DEAF = auto()
    """The kernel accepts, and then nothing moves, also on connections that stand: half-open."""
    GARBAGE = auto()
    """Something that is not TLS answers, and hangs up."""


class Cut(Exception):
    """The connection to the client is to be reset now."""


@dataclass(eq=False)
class Lines:
    """What becomes of the lines of streams that *match*: some are lost, or all wait."""

    match: Match
    lost: Callable[[Any], bool] = lambda _: False
    frozen: bool = False
    taken: list[Any] = field(default_factory=list)
    """The lines that were lost."""


@dataclass(eq=False)
class Stream:
    """An open reply without an end."""

    entry: Entry
    target: "Target"
    writer: asyncio.StreamWriter
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def inject(self, document: Any) -> None:
        """Send a line of our own."""
        async with self.lock:
            self.writer.write(chunk(json.dumps(document).encode() + b"\n"))
            await self.writer.drain()

    def cut(self) -> None:
        reset(self.writer)


@dataclass(eq=False)
class Target:
    """One server behind the proxy, and the port before it."""

    name: str
    upstream: str
    context: ssl.SSLContext | None
    """How to speak to it, None for plain HTTP."""
    front: ssl.SSLContext | None
    port: int = 0
    door: Door = Door.OPEN
    turned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever the door changes, and then replaced."""
    server: asyncio.Server | None = None
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"{'https' if self.front else 'http'}://{LOOPBACK}:{self.port}"

    async def until_heard(self) -> None:
        """Let nothing pass a deaf door; a connection that was behind one is of no use after."""
        if self.door is Door.DEAF:
            await self.turned.wait()
            raise Cut


async def start_tls(writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    """Go on in TLS; raises `Cut` when the connection ends during the handshake.

    asyncio then leaves the writer without a transport, and it fails when it is collected.
    """
    plain = writer.transport
    try:
        await writer.start_tls(context)
    except AttributeError as error:
        writer._transport = plain  # type: ignore[attr-defined]
        raise Cut from error


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset a connection: its other side hears of it at once, and gets nothing that is on its way.

    A transport that is merely closed says good-bye first, and may wait for it.
    """
    raw = writer.transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
