"""The front door, by a real Envoy before stand-in servers: who is let in, and what goes through."""

import asyncio
import os
import socket
import ssl
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from tests.integration.frontdoors import (
    Pki,
    ask,
    caller,
    running_dns,
    running_door,
    running_region,
    running_server,
)
from tests.lab.envoy import Backend
from tests.lab.polling import until
from tests.unit.adapters.nomad.servers import Request, reply

from orrery.playground.ports import LOOPBACK

MIB = 1024 * 1024

ENOUGH_QUERIES = 6
"""After which each of Envoy's two clusters was told that its name does not exist."""


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


async def test_a_call_reaches_a_server_as_it_was_made(tmp_path: Path, pki: Pki) -> None:
    spoofed = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", "X-Real-IP": "10.0.0.1"}
    steering = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx"}
    target = "/v1/job/a%2Fb%2F..%2Fc//x/./y/../allocations?namespace=t%20x&prefix=%2F"

    async with running_region(tmp_path, pki) as (door, server):
        said = await ask(
            door.http,
            caller(pki.operator(), pki.ca),
            target=target,
            headers={"X-Nomad-Token": "t0ken", **spoofed, **steering},
        )

    (request,) = server.http.requests
    assert request.target == target
    assert request.headers["x-nomad-token"] == "t0ken"
    added = {name for name in request.headers if name.startswith(("x-", "forwarded", "via"))}
    assert added == {"x-nomad-token"}
    assert (said.status, said.body) == (200, b'"10.0.0.1:4647"')
    assert said.headers["x-nomad-index"] == "7"
    assert not {name for name in said.headers if name.startswith(("server", "via", "x-envoy"))}


async def test_large_bodies_go_both_ways_and_too_large_ones_nowhere(
    tmp_path: Path, pki: Pki
) -> None:
    async def back(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(body=request.body))
        await writer.drain()

    async with running_region(tmp_path, pki, back) as (door, server):
        tls = caller(pki.operator(), pki.ca)
        body = os.urandom(4 * MIB)
        passed = await ask(door.http, tls, "POST", data=BytesIO(body))
        turned_away = await ask(door.http, tls, "POST", data=BytesIO(bytes(8 * MIB + 1)))

    assert sha256(passed.body).digest() == sha256(body).digest()
    assert turned_away.status == 413
    assert len(server.http.requests) == 1


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        pytest.param("/ui/", {}, 404, id="user-interface"),
        pytest.param("/debug/pprof/", {}, 404, id="profiler"),
        pytest.param("/V1/jobs", {}, 404, id="almost-the-api"),
        pytest.param(
            "/v1/client/allocation/x/exec",
            {"Connection": "Upgrade", "Upgrade": "websocket"},
            403,
            id="exec-session",
        ),
        pytest.param("/v1/jobs", {"X-Long": "x" * 33_000}, 431, id="long-headers"),
        pytest.param("/v1/jobs", {f"X-{n}": "x" for n in range(70)}, 431, id="many-headers"),
    ],
)
async def test_what_is_not_the_api_reaches_no_server(
    tmp_path: Path, pki: Pki, target: str, headers: dict[str, str], status: int
) -> None:
    async with running_region(tmp_path, pki) as (door, server):
        tls = caller(pki.operator(), pki.ca)
        said = await ask(door.http, tls, target=target, headers=headers)

    assert said.status == status
    assert server.http.requests == []


async def test_a_stream_brings_each_event_at_once(tmp_path: Path, pki: Pki) -> None:
    seen = asyncio.Queue[int]()

    async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(50):
            line = f'{{"Index":{number}}}\n'.encode()
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
            await writer.drain()
            assert await seen.get() == number  # the next is sent when this one has arrived
        writer.write(b"0\r\n\r\n")

    async with (
        running_region(tmp_path, pki, stream) as (door, _),
        aiohttp.ClientSession() as session,
        session.get(
            f"https://{LOOPBACK}:{door.http}/v1/event/stream?index=1",
            ssl=caller(pki.operator(), pki.ca),
        ) as response,
    ):
        async for line in response.content:
            seen.put_nowait(int(line.removeprefix(b'{"Index":').rstrip(b"}\n")))

    assert seen.qsize() == 0


async def test_the_bytes_of_rpc_go_through_unchanged(tmp_path: Path, pki: Pki) -> None:
    async def there_and_back(content: bytes, port: int) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        sent = asyncio.ensure_future(_send(writer, content))
        received = await reader.read(-1)
        await sent
        writer.close()
        return received

    contents = [bytes([kind]) + os.urandom(3 * MIB) for kind in (1, 4, 8, 0x16)]
    async with running_region(tmp_path, pki) as (door, _):
        received = await asyncio.gather(*(there_and_back(c, door.rpc) for c in contents))

    assert [sha256(r).digest() for r in received] == [sha256(c).digest() for c in contents]


async def _send(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    await writer.drain()
    writer.write_eof()


async def test_calls_and_machines_go_to_the_servers_that_live(tmp_path: Path, pki: Pki) -> None:
    """A frozen process: the kernel takes connections for it, and nobody answers."""
    with socket.create_server((LOOPBACK, 0)) as http, socket.create_server((LOOPBACK, 0)) as rpc:
        frozen = Backend(rpc.getsockname()[1], http.getsockname()[1])
        async with (
            running_server(pki.server(), pki.ca) as server,
            running_door(tmp_path, pki, frozen, server.backend) as door,
        ):
            tls = caller(pki.operator(), pki.ca)
            statuses = [(await ask(door.http, tls)).status for _ in range(10)]
            echoes = [await _echo(door.rpc, b"\x04hello") for _ in range(10)]

    assert statuses == [200] * 10
    assert echoes == [b"\x04hello"] * 10


async def test_a_machine_is_cut_from_a_server_that_no_longer_answers(
    tmp_path: Path, pki: Pki
) -> None:
    async with running_region(tmp_path, pki) as (door, server):
        reader, writer = await asyncio.open_connection(LOOPBACK, door.rpc)
        writer.write(b"\x04")
        assert await reader.readexactly(1) == b"\x04"

        server.answers = False
        async with asyncio.timeout(40):
            end = await reader.read(1)
        writer.close()

    assert end == b""


async def test_it_opens_without_a_server_and_uses_one_that_comes(tmp_path: Path, pki: Pki) -> None:
    async with running_server(pki.server(), pki.ca) as server:
        server.answers = False
        async with running_door(tmp_path, pki, server.backend) as door:
            tls = caller(pki.operator(), pki.ca)
            alone = await ask(door.http, tls)
            cut = await _echo(door.rpc, b"\x04")
            server.answers = True
            await until(lambda: _answers(door.http, tls))
            await until(lambda: _echo(door.rpc, b"\x04"))

    assert (alone.status, alone.body) == (503, b"no healthy upstream")
    assert cut == b""


async def test_it_opens_before_dns_answers_and_outlives_its_failures(
    tmp_path: Path, pki: Pki
) -> None:
    async with (
        running_server(pki.server(), pki.ca) as server,
        running_dns("fra-nomad.orrery-fra.svc") as (dns, port),
        running_door(tmp_path, pki, server.backend, dns=port) as door,
    ):
        tls = caller(pki.operator(), pki.ca)
        silent = await ask(door.http, tls)
        dns.answers = True
        await until(lambda: _answers(door.http, tls))
        dns.answers = False
        dns.asked = 0
        await until(lambda: dns.asked >= ENOUGH_QUERIES)
        forgotten = await ask(door.http, tls)

    assert silent.status == 503
    assert forgotten.status == 200


async def test_it_listens_at_its_three_ports_and_nowhere_else(tmp_path: Path, pki: Pki) -> None:
    async with running_region(tmp_path, pki) as (door, _):
        listening = await asyncio.to_thread(door.listening)

    assert listening == {door.rpc, door.http, door.ready}


async def test_the_kubelet_sees_whether_it_is_ready_and_nothing_else(
    tmp_path: Path, pki: Pki
) -> None:
    asked = [
        *(("GET", target) for target in ("/", "/stats", "/certs", "/config_dump", "/readyz")),
        *(("GET", target) for target in ("/ready/", "/ready/../stats", "/ready%2f..%2fstats")),
        *(("POST", target) for target in ("/ready", "/quitquitquit", "/drain_listeners")),
    ]
    async with running_region(tmp_path, pki) as (door, _):
        statuses = {call: (await ask(door.ready, None, *call)).status for call in asked}
        ready = await ask(door.ready, None, "GET", "/ready")

    assert statuses == dict.fromkeys(asked, 404)
    assert (ready.status, ready.body) == (200, b"LIVE\n")


async def _answers(port: int, tls: ssl.SSLContext) -> bool:
    return (await ask(port, tls)).status == 200


async def _echo(port: int, content: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(content)
    try:
        return await reader.readexactly(len(content))
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        writer.transport.abort()
