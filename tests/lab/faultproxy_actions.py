"""What a fault proxy can do to one request. Each function makes an `Act`, named as it is."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.fakes.mortal import Fate
from tests.lab.faultproxy import Act, Door, Exchange
from tests.lab.faultproxy_wire import Headers, lines_of

GIB: Final = 1024**3
MIB: Final = 1024**2
SECOND_THOUGHTS: Final = 0.25
"""Seconds after its last reply at which a doomed process dies, should it ask for nothing more."""

JSON: Final = [("Content-Type", "application/json")]
HTML: Final = [("Content-Type", "text/html")]


def _named(make: Callable[..., Act]) -> Callable[..., Act]:
    """Name what *make* makes after it, for the journal."""

    @functools.wraps(make)
    def wrapped(*arguments: object, **keywords: object) -> Act:
        act = make(*arguments, **keywords)
        act.__name__ = make.__name__.replace("_", "-")
        return act

    return wrapped


@_named
def withhold() -> Act:
    """Let the request never arrive, and reset the connection."""

    async def act(exchange: Exchange) -> None:
        exchange.cut()

    return act


@_named
def lose_reply() -> Act:
    """Have the request carried out, and reset the connection in place of the reply."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        if not exchange.request.streams:
            await reply.whole()
        exchange.cut()

    return act


@_named
def delay(seconds: float) -> Act:
    """Take *seconds* for the way there and back; every line of a stream is as late."""

    async def act(exchange: Exchange) -> None:
        await exchange.sleep(seconds / 2)
        reply = await exchange.forward()
        if not exchange.request.streams:
            await exchange.sleep(seconds / 2)
        await exchange.relay(reply, pause=seconds if exchange.request.streams else 0)

    return act


@_named
def hold() -> Act:
    """Keep the request until this is lifted, then let it pass."""

    async def act(exchange: Exchange) -> None:
        await exchange.until_lifted()
        await exchange.relay(await exchange.forward())

    return act


@_named
def hang(*, carried_out: bool = True) -> Act:
    """Never answer; whether the request is *carried out* or not, its client does not learn."""

    async def act(exchange: Exchange) -> None:
        if carried_out and not exchange.request.streams:
            await (await exchange.forward()).whole()
        await exchange.until_lifted()
        exchange.cut()

    return act


@_named
def slam(door: Door) -> Act:
    """Have the request carried out, and change the door of its target in place of the reply."""

    async def act(exchange: Exchange) -> None:
        await (await exchange.forward()).whole()
        await exchange.proxy.turn(exchange.target.name, door)
        await exchange.target.until_heard()
        exchange.cut()

    return act


@_named
def drip(pause: float = 0.1) -> Act:
    """Have the request carried out, and send a byte of the reply now and then."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()

        async def bytes_of() -> AsyncIterator[bytes]:
            async for piece in reply.body:
                for number in range(len(piece)):
                    yield piece[number : number + 1]

        await exchange.send(
            reply.status, reply.headers, bytes_of(), length=reply.length, pause=pause
        )

    return act


@_named
def reset_reply(after: int = 1) -> Act:
    """Have the request carried out, and reset the connection *after* so many bytes of the body."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()

        async def some() -> AsyncIterator[bytes]:
            async for piece in reply.body:
                yield piece[:after]
                exchange.cut()
            exchange.cut()

        await exchange.send(reply.status, reply.headers, some(), length=reply.length or after + 1)

    return act


@_named
def truncate(share: float = 0.5) -> Act:
    """Have the request carried out, and send a *share* of the reply as if it were the whole.

    A stream goes on with truncated lines, or ends at once when the share is nothing.
    """

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        if exchange.request.streams:
            lines = _truncated(reply.body, share) if share else _nothing()
            await exchange.send(reply.status, reply.headers, lines, length=None)
            return
        body = await reply.whole()
        await exchange.answer(reply.status, reply.headers, body[: int(len(body) * share)])

    return act


@_named
def answer(status: int, body: bytes | str = b"", headers: Headers = JSON) -> Act:
    """Answer in the server's place."""
    content = body.encode() if isinstance(body, str) else body

    async def act(exchange: Exchange) -> None:
        await exchange.answer(status, headers, content)

    return act


def redirect(location: str, status: int = 307) -> Act:
    """Send the client elsewhere."""
    act = answer(status, b"", [("Location", location)])
    act.__name__ = "redirect"
    return act


@_named
def flood(size: int = GIB, *, announced: bool = False) -> Act:
    """Have the request carried out, and answer with *size* bytes of nothing."""

    async def act(exchange: Exchange) -> None:
        if not exchange.request.streams:
            await (await exchange.forward()).whole()

        async def spaces() -> AsyncIterator[bytes]:
            for _ in range(size // MIB):
                yield b" " * MIB
                await asyncio.sleep(0)  # The others have their turn, too.

        await exchange.send(200, JSON, spaces(), length=size if announced else None)

    return act


@dataclass
class Recording:
    """An answer that was given once."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""


def record(recording: Recording) -> Act:
    """Let requests pass, and keep the last answer."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        recording.status, recording.headers = reply.status, reply.headers
        recording.body = await reply.whole()
        await exchange.answer(recording.status, recording.headers, recording.body)

    return act


@_named
def replay(recording: Recording) -> Act:
    """Answer with what was recorded, whatever the server would say now."""

    async def act(exchange: Exchange) -> None:
        await exchange.answer(recording.status, recording.headers, recording.body)

    return act


def kill(process: Callable[[], None], fate: Fate) -> Act:
    """Kill the client: before the request, in place of its reply, or once it has the reply."""

    async def act(exchange: Exchange) -> None:
        if fate is Fate.KILLED_BEFORE:
            process()
            exchange.cut()
        reply = await exchange.forward()
        if fate is Fate.KILLED_UNTOLD:
            await reply.whole()
            process()
            exchange.cut()
        await exchange.relay(reply)
        _doom(exchange, process)

    act.__name__ = str(fate)
    return act


def _doom(exchange: Exchange, process: Callable[[], None]) -> None:
    """Kill a process that has its reply, at its next request or a moment later."""
    proxy = exchange.proxy

    def end() -> None:
        timer.cancel()
        if proxy.doom is end:
            proxy.doom = None
            process()

    timer = asyncio.get_running_loop().call_later(SECOND_THOUGHTS, end)
    proxy.doom = end


async def _truncated(pieces: AsyncIterator[bytes], share: float) -> AsyncIterator[bytes]:
    async for line in lines_of(pieces):
        yield line[: int(len(line) * share)] + b"\n"


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
