"""The event stream: what is lost is said, and silence is not taken for peace."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from tests.unit.adapters.nomad.servers import Answer, Request, always, connected, reply, serve

from orrery.adapters.nomad.shapes import EVENTS
from orrery.errors import Refused, Unreachable
from orrery.ports import EventBatch

OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
HEARTBEAT = b"{}\n"


def a_line(index: int, job_id: str = "shop") -> bytes:
    event = {
        "Topic": "Job",
        "Type": "JobRegistered",
        "Namespace": "t",
        "Payload": {"Job": {"ID": job_id, "JobModifyIndex": index}},
    }
    return orjson.dumps({"Index": index, "Events": [event]}) + b"\n"


def a_region(*streams: Sequence[bytes], end: bool = False) -> Answer:
    """Serve *streams* one after the other, and an empty list of jobs at index 40."""
    left = list(streams)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if not request.target.startswith("/v1/event/stream"):
            body = b'{"Name": "t"}' if request.method == "POST" else b"[]"
            missing = request.target.startswith("/v1/namespace/")
            writer.write(
                reply(404, b"Namespace not found")
                if missing
                else reply(body=body, X_Nomad_Index="40")
            )
            await writer.drain()
            return
        writer.write(OPEN)
        for line in left.pop(0):
            writer.write(line)
            await writer.drain()
        if end:
            raise ConnectionAbortedError
        await asyncio.sleep(60)

    return answer


def asked(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.target).query)


async def test_from_now_starts_after_the_list_and_says_that_a_list_is_due() -> None:
    async with (
        serve(a_region([HEARTBEAT, a_line(41)])) as server,
        connected(server.endpoint) as client,
        client.events(index=0) as events,
    ):
        first, second = await anext(events), await anext(events)

    assert first == EventBatch(index=0, events=[], gap=True)
    assert (second.index, second.gap) == (41, False)
    assert second.events[0].job_modify_index == 41
    query = asked(server.requests[-1])
    assert query["index"] == ["41"]
    assert query["namespace"] == ["*"]
    assert query["topic"] == ["Job", "Allocation", "Deployment", "Node"]


async def test_a_resume_that_sees_its_index_again_has_lost_nothing() -> None:
    async with (
        serve(a_region([HEARTBEAT, a_line(7), a_line(9)])) as server,
        connected(server.endpoint) as client,
        client.events(index=7) as events,
    ):
        batches = [await anext(events), await anext(events)]

    assert [(batch.index, batch.gap) for batch in batches] == [(7, False), (9, False)]
    assert asked(server.requests[0])["index"] == ["7"]


@pytest.mark.parametrize("index", [6, 8, 900], ids=["older", "next", "much-later"])
async def test_a_resume_elsewhere_is_a_gap(index: int) -> None:
    async with (
        serve(a_region([HEARTBEAT, a_line(index)])) as server,
        connected(server.endpoint) as client,
        client.events(index=7) as events,
    ):
        first = await anext(events)

    assert (first.index, first.gap) == (index, True)


async def test_a_resume_into_silence_is_a_gap() -> None:
    async with (
        serve(a_region([HEARTBEAT])) as server,
        connected(server.endpoint, settle=0.05) as client,
        client.events(index=7) as events,
    ):
        first = await anext(events)

    assert first == EventBatch(index=0, events=[], gap=True)


async def test_lines_come_whole_however_they_arrive() -> None:
    line = a_line(41, "x" * 300_000)
    pieces = [
        HEARTBEAT + line[:5],
        line[5:100_000],
        line[100_000:-1],
        b"\n" + HEARTBEAT + a_line(42),
    ]

    async with (
        serve(a_region(pieces)) as server,
        connected(server.endpoint) as client,
        client.events(index=0) as events,
    ):
        batches = [await anext(events) for _ in range(4)]

    assert [batch.index for batch in batches] == [0, 41, 0, 42]
    assert len(batches[1].events[0].job_id) == 300_000


async def test_three_missed_heartbeats_end_the_stream() -> None:
    async with (
        serve(a_region([HEARTBEAT])) as server,
        connected(server.endpoint, heartbeat=0.05) as client,
        client.events(index=0) as events,
    ):
        await anext(events)
        start = time.monotonic()

        with pytest.raises(Unreachable, match="the event stream fell silent"):
            await anext(events)

    assert 0.14 < time.monotonic() - start < 2


async def test_a_stream_that_never_speaks_is_not_open() -> None:
    async with (
        serve(a_region([])) as server,
        connected(server.endpoint, deadline=0.2) as client,
    ):
        with pytest.raises(Unreachable, match="may its token read all namespaces and nodes"):
            async with client.events(index=0):
                pass


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"[]\n"],
        [b'{"Index": "x", "Events": [{}]}\n'],
        [b"<html>\n"],
        [b'{"Ind'],
    ],
    ids=["closed-at-once", "list", "no-number", "html", "truncated"],
)
async def test_a_stream_that_breaks_is_unreachable(lines: list[bytes]) -> None:
    async with (
        serve(a_region([HEARTBEAT, *lines], end=True)) as server,
        connected(server.endpoint) as client,
        client.events(index=0) as events,
    ):
        await anext(events)

        with pytest.raises(Unreachable):
            await anext(events)


async def test_a_line_without_end_is_given_up() -> None:
    async with (
        serve(a_region([HEARTBEAT, b"x" * 400_000])) as server,
        connected(server.endpoint, event_bytes=100_000) as client,
        client.events(index=0) as events,
    ):
        await anext(events)

        with pytest.raises(Unreachable, match="larger than any job"):
            await anext(events)


async def test_a_line_with_more_events_than_a_write_can_cause_is_not_read() -> None:
    event = b'{"Topic":"Job","Type":"JobRegistered","Payload":{"Job":{"ID":"shop"}}}'
    line = b'{"Index":41,"Events":[' + b",".join([event] * (EVENTS + 1)) + b"]}\n"
    async with (
        serve(a_region([HEARTBEAT, line])) as server,
        connected(server.endpoint) as client,
        client.events(index=0) as events,
    ):
        await anext(events)

        with pytest.raises(Unreachable, match="something else than Nomad's JSON"):
            await anext(events)


async def test_a_large_line_is_decoded_off_the_loop() -> None:
    lines = [HEARTBEAT, a_line(41, "x" * 2000), a_line(42)]
    async with (
        serve(a_region(lines)) as server,
        connected(server.endpoint, thread_bytes=1000) as client,
        client.events(index=0) as events,
    ):
        batches = [await anext(events) for _ in lines]

    assert [batch.index for batch in batches] == [0, 41, 42]


async def test_a_denied_stream_is_refused_in_nomads_words() -> None:
    async with (
        serve(always(reply(403, b"Permission denied"))) as server,
        connected(server.endpoint) as client,
    ):
        with pytest.raises(Refused, match="does not let this token follow the events"):
            async with client.events(index=7):
                pass


async def test_a_new_namespace_opens_the_stream_again_where_it_was() -> None:
    async with (
        serve(a_region([HEARTBEAT, a_line(41)], [HEARTBEAT, a_line(41), a_line(42)])) as server,
        connected(server.endpoint) as client,
        client.events(index=0) as events,
    ):
        before = [await anext(events), await anext(events)]
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)

        await client.create_namespace("t", "a tenant")
        after = [await waiting, await anext(events)]

    assert [batch.gap for batch in before] == [True, False]
    assert [(batch.index, batch.gap) for batch in after] == [(41, False), (42, False)]
    streams = [r for r in server.requests if r.target.startswith("/v1/event/stream")]
    assert [asked(request)["index"] for request in streams] == [["41"], ["41"]]


async def test_leaving_the_stream_closes_its_connection() -> None:
    region = a_region([HEARTBEAT])
    async with serve(region) as server, connected(server.endpoint, settle=0.05) as client:
        async with client.events(index=7):
            pass
        for _ in range(100):
            if not server.connections_open:
                break
            await asyncio.sleep(0.01)

        assert server.connections_open == 0
