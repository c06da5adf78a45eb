"""A proxy before the hub and before regions that does to requests what networks and servers do.

::

    faultproxy           connections and rules
    faultproxy_parts     targets, their doors, open streams
    faultproxy_actions   what can be done to one request
    faultproxy_journal   what passed, counted over all targets
    faultproxy_wire      HTTP/1.1

It terminates TLS with a certificate of the lab and speaks TLS or plain HTTP to what is behind it.
It lives in the loop of the test, so a rule holds from the moment that it is added.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from tests.lab.faultproxy_journal import Entry, Journal, Match
from tests.lab.faultproxy_parts import Cut, Door, Lines, Stream, Target, reset, start_tls
from tests.lab.faultproxy_wire import (
    LONGEST_LINE,
    Headers,
    Hung,
    Reply,
    Request,
    chunk,
    framed,
    lines_of,
    read_reply,
    read_request,
    reply_head,
    request_bytes,
)

from orrery.playground.ports import LOOPBACK, reserve_port

__all__ = ["Act", "Door", "Exchange", "FaultProxy", "Rule"]

GARBAGE: Final = b"SSH-2.0-OpenSSH_9.9 this is not TLS at all\r\n"

LAST_WORD: Final = 5.0
"""Seconds that a server has to answer a write whose client is gone."""

Act = Callable[["Exchange"], Awaitable[None]]
"""What is done to one request; `Exchange` has the means."""


@dataclass(eq=False)
class Rule:
    """Does *act* to requests that *match*, to all of them or to the *nth* alone.

    It sleeps until a request comes that matches *since*, if that is given; then it is awake.
    """

    match: Match
    act: Act
    nth: int = 0
    since: Match | None = None
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)


class Exchange:
    """One request on its way: what an action may do with it."""

    def __init__(
        self, proxy: "FaultProxy", target: Target, entry: Entry, client: "Client", rule: Rule | None
    ) -> None:
        self.proxy = proxy
        self.target = target
        self.entry = entry
        self.request = entry.request
        self.rule = rule
        self._client = client

    async def forward(self) -> Reply:
        """Send the request to the server, and read the head of its reply."""
        reply = await self._client.ask(self.request)
        self.entry.status = reply.status
        return reply

    async def relay(self, reply: Reply, *, pause: float = 0) -> None:
        """Pass a reply on as it comes; each piece is *pause* seconds late."""
        if self.request.streams:
            await self._stream(reply, pause)
            return
        await self.send(reply.status, reply.headers, reply.body, length=reply.length, pause=pause)

    async def send(
        self,
        status: int,
        headers: Headers,
        body: AsyncIterator[bytes],
        *,
        length: int | None,
        pause: float = 0,
    ) -> None:
        """Answer with *body*, which has *length*, or comes in chunks when that is None."""
        writer = self._client.writer
        await self.target.until_heard()
        writer.write(reply_head(status, framed(headers, length)))
        async for piece in body:
            await self.sleep(pause)
            writer.write(chunk(piece) if length is None else piece)
            await writer.drain()
        writer.write(chunk(b"") if length is None else b"")
        await writer.drain()
        self.entry.told = status

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with a whole body."""

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        await self.send(status, headers, pieces(), length=len(body))

    async def until_lifted(self) -> None:
        """Wait until the rule that holds this request is lifted."""
        assert self.rule is not None
        await self.rule.lifted.wait()

    async def sleep(self, seconds: float) -> None:
        """Wait, though not after the rule was lifted."""
        if seconds and self.rule is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.rule.lifted.wait(), seconds)

    def cut(self) -> NoReturn:
        """Reset the connection to the client."""
        raise Cut

    async def _stream(self, reply: Reply, pause: float) -> None:
        headers = framed(reply.headers, None)
        stream = Stream(self.entry, self.target, self._client.writer)
        self._client.writer.write(reply_head(reply.status, headers))
        await self._client.writer.drain()
        self.entry.told = reply.status
        self.proxy.streams.append(stream)
        try:
            async for line in lines_of(reply.body):
                await self.sleep(pause)
                await self.proxy.pass_line(stream, line)
            self._client.writer.write(chunk(b""))
            await self._client.writer.drain()
        finally:
            self.proxy.streams.remove(stream)


class Client:
    """One connection of a client, with its own connection to the server."""

    def __init__(self, target: Target, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.gone = asyncio.ensure_future(writer.wait_closed())
        """Done when the client has left."""
        self._target = target
        self._read_up = False
        """Whether the server's last reply was read to its end: only then it can be asked again."""
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> Reply:
        parts = urlsplit(self._target.upstream)
        if self._server is not None and not self._read_up:
            self._server[1].transport.abort()
            self._server = None
        if self._server is None:
            self._server = await asyncio.open_connection(
                parts.hostname, parts.port, ssl=self._target.context, limit=LONGEST_LINE
            )
        reader, writer = self._server
        writer.write(request_bytes(request, parts.netloc))
        await writer.drain()
        self._read_up = False
        reply = await read_reply(reader, request.method)
        return replace(reply, body=self._noting_the_end(reply.body))

    async def _noting_the_end(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in body:
            yield piece
        self._read_up = True

    async def close(self) -> None:
        self.gone.cancel()
        await asyncio.gather(self.gone, return_exceptions=True)
        if self._server is not None:
            self._server[1].transport.abort()


class FaultProxy:
    """Ports before servers, and the rules for what passes."""

    def __init__(self, front: ssl.SSLContext | None = None) -> None:
        self.journal = Journal()
        self.targets: dict[str, Target] = {}
        self.streams: list[Stream] = []
        self.moved = asyncio.Event()
        """Set when rules about lines have changed, and then replaced."""
        self.doom: Callable[[], None] | None = None
        """Kills the client at its next request."""
        self._front = front
        self._rules: list[Rule] = []
        self._lines: list[Lines] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, name: str, upstream: str, context: ssl.SSLContext | None = None) -> Target:
        """Open a port before the server at *upstream*."""
        target = Target(name, upstream, context, self._front, port=reserve_port())
        self.targets[name] = target
        await self._listen(target)
        return target

    def add(self, match: Match, act: Act, *, nth: int = 0, since: Match | None = None) -> Rule:
        """Have *act* done from now on; the rule that was added last comes first."""
        rule = Rule(match, act, nth, since)
        self._rules.insert(0, rule)
        return rule

    def lift(self, *rules: Rule | Lines) -> None:
        """Take rules back; what they hold is let go. Without arguments: all rules."""
        for rule in rules or (*self._rules, *self._lines):
            if isinstance(rule, Rule):
                rule.lifted.set()
                self._rules = [other for other in self._rules if other is not rule]
            else:
                self._lines = [other for other in self._lines if other is not rule]
                self._move()

    def lose(self, match: Match, lost: Callable[[Any], bool] = lambda _: True) -> Lines:
        """Drop the lines that *lost* names of streams that *match*."""
        lines = Lines(match, lost=lost)
        self._lines.append(lines)
        return lines

    def freeze(self, match: Match) -> Lines:
        """Hold all lines of streams that *match*, until this is lifted."""
        lines = Lines(match, frozen=True)
        self._lines.append(lines)
        return lines

    def open_streams(self, match: Match) -> list[Stream]:
        return [stream for stream in self.streams if match(stream.entry)]

    async def turn(self, name: str, door: Door) -> None:
        """Change what becomes of connections to a target; those that stand are reset."""
        target = self.targets[name]
        target.door = door
        target.turned.set()
        target.turned = asyncio.Event()
        if door is not Door.DEAF:
            for writer in tuple(target.open):
                reset(writer)
        if door is Door.REFUSED and target.server is not None:
            target.server.close()
            target.server = None
        elif door is not Door.REFUSED and target.server is None:
            await self._listen(target)

    async def close(self) -> None:
        """Cut everything."""
        for target in self.targets.values():
            await self.turn(target.name, Door.REFUSED)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def pass_line(self, stream: Stream, line: bytes) -> None:
        """Pass a line of a stream on, as the rules say."""
        await stream.target.until_heard()
        while any(rule.frozen for rule in self._lines if rule.match(stream.entry)):
            await self.moved.wait()
        for rule in self._lines:
            if rule.match(stream.entry) and rule.lost(document := json.loads(line)):
                rule.taken.append(document)
                return
        async with stream.lock:
            stream.writer.write(chunk(line))
            await stream.writer.drain()

    def _move(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    async def _listen(self, target: Target) -> None:
        target.server = await asyncio.start_server(
            lambda reader, writer: self._accept(target, reader, writer),
            LOOPBACK,
            target.port,
            limit=LONGEST_LINE,
            backlog=1024,
        )

    async def _accept(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        target.open.add(writer)
        try:
            await self._greet(target, reader, writer)
        except (OSError, Hung, Cut, asyncio.CancelledError):
            # Either side may go at any time: that is what it is for.
            reset(writer)
        finally:
            writer.close()
            target.open.discard(writer)
            self._tasks.discard(task)

    async def _greet(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if target.door is Door.GARBAGE:
            writer.write(GARBAGE)
            await writer.drain()
            return
        await target.until_heard()
        if target.front is not None:
            # At once: what arrives before would be lost.
            await start_tls(writer, target.front)
        client = Client(target, writer)
        try:
            while request := await read_request(reader):
                await self._serve(target, client, request)
        finally:
            await client.close()

    async def _serve(self, target: Target, client: Client, request: Request) -> None:
        await target.until_heard()
        if self.doom is not None:
            self.doom()
            raise Cut
        entry = self.journal.note(target.name, request, asyncio.get_running_loop().time())
        rule = self._rule(entry)
        exchange = Exchange(self, target, entry, client, rule)
        work = asyncio.ensure_future(self._work(exchange))
        try:
            await asyncio.wait([client.gone, work], return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and request.writes and rule is None:
                # It is on its way: the journal has to know whether it was carried out.
                await asyncio.wait([work], timeout=LAST_WORD)
            if not work.done():
                raise Cut
            work.result()
        finally:
            entry.done = asyncio.get_running_loop().time()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, exchange: Exchange) -> None:
        if exchange.rule is None:
            await exchange.relay(await exchange.forward())
            return
        exchange.entry.fault = getattr(exchange.rule.act, "__name__", "fault")
        await exchange.rule.act(exchange)

    def _rule(self, entry: Entry) -> Rule | None:
        for rule in self._rules:
            if rule.since is not None and rule.since(entry):
                rule.since = None
            if rule.since is None and rule.match(entry):
                rule.hits += 1
                if rule.nth in {0, rule.hits}:
                    return rule
        return None
