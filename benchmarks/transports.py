"""Time HTTP clients the way the operator uses them: one process, many regions, small POSTs.

Run it as ``python benchmarks/transports.py``. It starts a bare HTTP server for each simulated
region in a second process, then runs every client in a process of its own, one after the other,
and prints one table. Only ratios inside one run mean anything: the clients share the machine with
the servers and with whatever else runs there.

The last rows are the operator's own client, with its deadlines, caps and checks, on the transport
that was chosen.

sustained  requests/s over all regions with two requests in flight per region, and the client's
           CPU time per request
fan-out    one request to every region at once, round trips spread evenly over 20-300 ms: the
           median of the rounds, to be read against the slowest round trip
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import aiohttp
import httpx
import orjson
import uvloop
from httpx_aiohttp import AiohttpTransport

from orrery.adapters.nomad import NomadClient
from orrery.ports import Credentials, Submission

REGIONS = 100
IN_FLIGHT_PER_REGION = 2
FASTEST_RTT, SLOWEST_RTT = 0.020, 0.300
FAN_OUT_ROUNDS = 5
BODY: dict[str, dict[str, Any]] = {
    "Job": {"ID": "shop", "Meta": {f"key-{n:03}": "v" * 12 for n in range(103)}}
}
"""About 2.6 KB once encoded: the size of a small Nomad job."""

REPLY = orjson.dumps({"EvalID": "6d9d0b4e-2f0f-4b0e-9a63-5f6f9b0e8a51", "JobModifyIndex": 11})

Post = Callable[[int, str], Awaitable[bytes]]
"""Post the body to one region, by its number and path, and return the reply."""


class BareRegion(asyncio.Protocol):
    """Answer every request with the same JSON, after a round trip when the path asks for one."""

    def __init__(self, rtt: float) -> None:
        self.rtt = rtt
        self.buffer = b""
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each complete request in the buffer."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            if b"far" in head.partition(b"\r\n")[0]:
                asyncio.get_running_loop().call_later(self.rtt, self.answer)
            else:
                self.answer()

    def answer(self) -> None:
        """Write the reply, unless the client has left."""
        if not self.transport.is_closing():
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            self.transport.write(head % len(REPLY) + REPLY)


async def serve() -> None:
    """Open one server per region, print the ports, and stay until stdin closes."""
    loop = asyncio.get_running_loop()
    step = (SLOWEST_RTT - FASTEST_RTT) / (REGIONS - 1)
    async with AsyncExitStack() as stack:
        ports = []
        for number in range(REGIONS):
            region = partial(BareRegion, FASTEST_RTT + step * number)
            server = await loop.create_server(region, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            ports.append(server.sockets[0].getsockname()[1])
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def plain_aiohttp(ports: list[int]) -> AsyncIterator[Post]:
    """Use an aiohttp session per region."""
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(
                    f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=8)
                )
            )
            for port in ports
        ]

        async def post(region: int, path: str) -> bytes:
            async with sessions[region].post(path, data=orjson.dumps(BODY)) as reply:
                return await reply.read()

        yield post


@asynccontextmanager
async def httpx_clients(ports: list[int], *, on_aiohttp: bool) -> AsyncIterator[Post]:
    """Use an httpx client per region, on its own transport or on aiohttp's."""
    limits = httpx.Limits(max_connections=8)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}",
                    transport=AiohttpTransport(limits=limits)
                    if on_aiohttp
                    else httpx.AsyncHTTPTransport(limits=limits),
                    trust_env=False,
                )
            )
            for port in ports
        ]

        async def post(region: int, path: str) -> bytes:
            return (await clients[region].post(path, content=orjson.dumps(BODY))).content

        yield post


@asynccontextmanager
async def own_client(ports: list[int]) -> AsyncIterator[Post]:
    """Register a job through the operator's own client: what its checks cost on top."""
    clients = [NomadClient(Credentials(f"http://127.0.0.1:{port}", "token")) for port in ports]
    nothing = Submission("{}")
    jobs = {path: {**BODY["Job"], "ID": path[1:], "Namespace": "t"} for path in ("/near", "/far")}

    async def post(region: int, path: str) -> bytes:
        await clients[region].register_job(jobs[path], expected_index=0, submission=nothing)
        return REPLY

    yield post
    await asyncio.gather(*(client.close() for client in clients))


CLIENTS: dict[str, Callable[[list[int]], AbstractAsyncContextManager[Post]]] = {
    "httpx": lambda ports: httpx_clients(ports, on_aiohttp=False),
    "httpx on aiohttp": lambda ports: httpx_clients(ports, on_aiohttp=True),
    "aiohttp": plain_aiohttp,
    "orrery on aiohttp": own_client,
}


async def measure(client: str, ports: list[int], seconds: float) -> dict[str, float]:
    """Time one client: sustained load first, then the fan-out, both on warm connections."""
    async with CLIENTS[client](ports) as post:
        await asyncio.gather(*(post(region, "/near") for region in range(REGIONS)))

        done = 0
        end = time.perf_counter() + seconds

        async def keep_posting(region: int) -> None:
            nonlocal done
            while time.perf_counter() < end:
                assert orjson.loads(await post(region, "/near"))["JobModifyIndex"]
                done += 1

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(
            *(keep_posting(n % REGIONS) for n in range(REGIONS * IN_FLIGHT_PER_REGION))
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

        rounds = []
        for _ in range(FAN_OUT_ROUNDS):
            start = time.perf_counter()
            await asyncio.gather(*(post(region, "/far") for region in range(REGIONS)))
            rounds.append(time.perf_counter() - start)

    return {"rate": done / wall, "cpu": cpu / done, "fan_out": statistics.median(rounds)}


def compare(seconds: float, rounds: int) -> None:
    """Start the servers, run each client in turn, print the table."""
    this = [sys.executable, __file__]
    servers = subprocess.Popen(
        [*this, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with servers:
        assert servers.stdin
        assert servers.stdout
        ports = servers.stdout.readline().strip()
        rows: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(rounds):  # interleaved, so that a busy moment hits all alike
            for client, loop in itertools.product(CLIENTS, ("asyncio", "uvloop")):
                command = [*this, "--client", client, "--loop", loop, "--seconds", str(seconds)]
                output = subprocess.run(
                    [*command, "--ports", ports], check=True, capture_output=True, text=True
                ).stdout
                rows.setdefault((client, loop), []).append(json.loads(output))
        servers.stdin.close()

    print(f"{REGIONS} regions, {len(orjson.dumps(BODY))} byte bodies, slowest round trip 300 ms,")
    print(f"medians of {rounds} rounds\n")
    print(
        f"{'client':<19}{'loop':<9}{'requests/s':>11}{'ratio':>8}{'CPU/request':>13}{'fan-out':>10}"
    )
    base = 0.0
    for (client, loop), measured in rows.items():
        rate, cpu, fan_out = (
            statistics.median(row[column] for row in measured)
            for column in ("rate", "cpu", "fan_out")
        )
        base = base or rate
        print(
            f"{client:<19}{loop:<9}{rate:>11,.0f}{rate / base:>7.1f}x"
            f"{cpu * 1e6:>10.0f} us{fan_out * 1e3:>7.0f} ms"
        )


def main() -> None:
    """Play one of the three parts: the servers, one client, or the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="sustained load, each time")
    parser.add_argument("--rounds", type=int, default=3, help="times that each client runs")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve())
    elif options.client:
        run = uvloop.run if options.loop == "uvloop" else asyncio.run
        print(json.dumps(run(measure(options.client, options.ports, options.seconds))))
    else:
        compare(options.seconds, options.rounds)


if __name__ == "__main__":
    main()
