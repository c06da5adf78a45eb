"""Follow one region's event stream, and say when events may have been lost.

What Nomad 2.0.6 does, and what is made of it here:

* Index 0 replays the whole buffer. "From now" asks for what follows the index of the job list.
* An index that has left the buffer is silently replaced by the closest one, and nothing in the
  reply tells. But an index that is still in the buffer is delivered again as the first batch:
  seeing it again is the proof that nothing was lost, anything else counts as a gap.
* The namespaces behind ``*`` are resolved when the stream opens; later ones are never in it. So the
  stream is opened again, at the last index, after a namespace was created.
* A token without the right to read gets a good status, then silence. Only the first heartbeat,
  which is sent at once, shows that the stream is really open.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from http import HTTPStatus

from orrery.adapters.nomad.decoding import UnreadableDocument, decode
from orrery.adapters.nomad.paths import collection
from orrery.adapters.nomad.replies import Call, Reply, TransportFailure, failed, judge, unreadable
from orrery.adapters.nomad.translate import event_batch
from orrery.adapters.nomad.transport import ByteStream, Transport
from orrery.errors import OrreryError
from orrery.ports import EventBatch

COALESCE = 0.2
"""How long to wait for further new namespaces before the stream is opened again."""

_TOPICS = "&topic=Job&topic=Allocation&topic=Deployment&topic=Node"
_CALL = Call("follow the events", right='read-job in namespace "*" and node:read')
_HEARTBEAT = EventBatch(index=0, events=())


class EventStream:
    """One subscription, over as many connections as it takes."""

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        *,
        token: str,
        deadline: float,
        silence: float,
        settle: float,
        line_bytes: int,
        thread_bytes: int,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._token = token
        self._deadline = deadline
        self._silence = silence
        self._settle = settle
        self._line_bytes = line_bytes
        self._thread_bytes = thread_bytes
        self._reopen = False
        self._waiting: asyncio.Timeout | None = None

    def reopen(self) -> None:
        """Subscribe again, since a namespace was created."""
        self._reopen = True
        if self._waiting and not self._waiting.expired():
            self._waiting.reschedule(0)

    async def batches(self, *, seen: int, start: int) -> AsyncGenerator[EventBatch]:
        """Yield batches after raft index *seen*; where nothing was seen, those from *start* on."""
        while True:
            self._reopen = False
            target = collection("/v1/event/stream", namespace="*", index=seen or start) + _TOPICS
            try:
                async with self._transport.stream(target, deadline=self._deadline) as stream:
                    lines = _Lines(stream, self._line_bytes, self._thread_bytes)
                    await self._check(stream)
                    batch: EventBatch | None = await self._first(lines, seen)
                    while batch:
                        seen = batch.index or seen
                        yield batch
                        batch = await self._next(lines)
            except TransportFailure as failure:
                raise failed(_CALL, self._endpoint, failure) from failure
            except UnreadableDocument as error:
                raise unreadable(_CALL, self._endpoint) from error
            await asyncio.sleep(COALESCE)

    async def _check(self, stream: ByteStream) -> None:
        if stream.status == HTTPStatus.OK:
            return
        try:
            async with asyncio.timeout(self._deadline):
                reply = Reply(stream.status, await stream.read())
        except TimeoutError as error:
            raise self._unreachable("no answer in time") from error
        verdict = judge(_CALL, self._endpoint, reply, token=self._token)
        raise verdict or self._unreachable("opens no event stream")

    async def _first(self, lines: "_Lines", seen: int) -> EventBatch:
        """Wait for the sign of life, then for the proof that nothing was lost."""
        try:
            async with asyncio.timeout(self._deadline):
                batch = await lines.next()
        except (TimeoutError, _StreamEnded) as error:
            # Nomad opens a stream for any token; without the rights it is silent, or soon over.
            words = "the event stream stays silent; may its token read all namespaces and nodes?"
            raise self._unreachable(words) from error
        if seen and not batch.events:
            try:
                async with asyncio.timeout(self._settle):
                    batch = await lines.next()
            except TimeoutError:
                return replace(batch, gap=True)
        return replace(batch, gap=not seen or batch.index != seen)

    async def _next(self, lines: "_Lines") -> EventBatch | None:
        """Wait for a batch; None when the stream has to be opened again."""
        if self._reopen:
            return None
        try:
            async with asyncio.timeout(self._silence) as self._waiting:
                return await lines.next()
        except TimeoutError as error:
            if self._reopen:
                return None
            raise self._unreachable("the event stream fell silent") from error
        finally:
            self._waiting = None

    def _unreachable(self, words: str) -> OrreryError:
        return failed(_CALL, self._endpoint, TransportFailure(words, sent=True))


class _StreamEnded(TransportFailure):
    """The server closed the stream."""


class _Lines:
    """Cut the stream into its lines; a read that is given up loses nothing."""

    def __init__(self, stream: ByteStream, longest: int, thread_bytes: int) -> None:
        self._stream = stream
        self._longest = longest
        self._thread_bytes = thread_bytes
        self._buffer = bytearray()

    async def next(self) -> EventBatch:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > self._longest:
                raise TransportFailure("an event is larger than any job can be", sent=True)
            chunk = await self._stream.read()
            if not chunk:
                raise _StreamEnded("the event stream ended", sent=True)
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        batch = _HEARTBEAT
        if line.strip():
            batch = await decode(line, event_batch, thread_bytes=self._thread_bytes)
        del self._buffer[: end + 1]
        return batch
