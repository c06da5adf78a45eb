"""Serve the event stream."""

import asyncio
from collections.abc import Callable

import orjson
from aiohttp import web

from orrery.sim.calls import Call
from orrery.sim.refusal import Refusal, bad_request
from orrery.sim.stream import ALL, Batch, Broker, Interest

HEARTBEAT = b"{}\n"


def read_interest(call: Call) -> tuple[Interest | None, int]:
    """Read what is asked for and from where; no interest when the token may not see it.

    "All namespaces" are those that exist when the stream opens: one that is created later stays
    out of sight until the next stream.
    """
    topics: dict[str, frozenset[str]] = {}
    for text in call.topics:
        topic, *keys = text.split(":")
        if len(keys) > 1:
            raise bad_request(
                "Invalid topic query: error parsing topics:"
                f" Invalid key value pair for topic, topic: {text}"
            )
        topics[topic] = topics.get(topic, frozenset()) | {keys[0] if keys else ALL}
    text = call.query.get("index", "")
    if text and not text.lstrip("-").isdigit():
        raise bad_request(f'Unable to parse index: strconv.Atoi: parsing "{text}": invalid syntax')
    interest = _permitted(call, topics or {ALL: frozenset({ALL})})
    return interest, int(text or 0)


def _permitted(call: Call, topics: dict[str, frozenset[str]]) -> Interest | None:
    try:
        access = call.access
    except Refusal:
        return None
    if access.management:
        known = frozenset(call.region.core.tables.namespaces)
        namespaces = known if call.namespace == ALL else frozenset({call.namespace})
        return Interest(topics, namespaces)
    if call.namespace == ALL or ALL in topics or "Node" in topics:
        return None
    if not access.may(call.namespace, "read-job"):
        return None
    return Interest(topics, frozenset({call.namespace}), cluster=False)


async def serve_stream(
    request: web.BaseRequest, call: Call, streams: set[Callable[[], None]]
) -> web.StreamResponse:
    """Send events until the caller leaves or the stream is cut; *streams* holds how to cut it."""
    interest, index = read_interest(call)
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache"}
    )
    response.force_close()
    await response.prepare(request)
    heartbeat, faults = call.region.core.timing.heartbeat, call.region.faults
    wake = asyncio.Event()
    cut = asyncio.Event()

    def stop() -> None:
        cut.set()
        wake.set()

    broker: Broker = call.region.broker
    unlisten = broker.listen(wake.set)
    streams.add(stop)
    try:
        if interest is None:
            # Nomad has sent "200" before it finds out, and says nothing until it hangs up.
            await _wait(wake, cut, heartbeat)
            return response
        await response.write(HEARTBEAT)
        position = broker.start(index)
        lines: list[bytes] = []
        while not cut.is_set():
            wake.clear()
            for batch in [] if faults.mute else broker.after(position):
                position = batch.number + 1
                lines += _lines(batch, interest)
            if lines:
                await asyncio.sleep(faults.one_way)
            if lines and not faults.mute and not cut.is_set():
                await response.write(b"".join(lines))
                lines.clear()
            if not await _wait_for_news(wake, heartbeat) and not faults.mute:
                lines.append(HEARTBEAT)
    except ConnectionError:
        pass  # The caller has left.
    finally:
        unlisten()
        streams.discard(stop)
        if cut.is_set() and request.transport is not None:
            request.transport.abort()
    return response


def _lines(batch: Batch, interest: Interest) -> list[bytes]:
    events = [event.document() for event in batch.events if interest.wants(event)]
    return [orjson.dumps({"Index": batch.index, "Events": events}) + b"\n"] if events else []


async def _wait_for_news(wake: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True


async def _wait(wake: asyncio.Event, cut: asyncio.Event, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not cut.is_set() and await _wait_for_news(wake, max(0.0, end - loop.time())):
        wake.clear()
