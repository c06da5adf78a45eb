"""A region that is not what it seems gets no token, holds nobody up, and its Region says why."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from tests.faults.planet import FaultPlanet, a_shop, fault_planet
from tests.faults.process import OperatorProcess
from tests.lab.faultproxy_journal import Match
from tests.lab.polling import until
from tests.unit.adapters.nomad.certificates import Authority, server_context
from tests.unit.adapters.nomad.servers import Answer, Request, Server, always, reply, serve

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

WELL = "well"
HERE = "127.0.0.1"
MIB = 1024 * 1024
PIECE = b" " * (64 * 1024)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HELD = 14.0
"""Seconds below which nobody has waited for a region that hangs, however busy the machine is."""

OBSERVED = 6.0
"""Seconds for which a hostile region is watched: does it cost more the longer it lasts?"""

CAUSES = {
    "wrong-ca": "its certificate is not accepted: unable to get local issuer certificate",
    "wrong-name": "its certificate is not accepted: IP address mismatch",
    "expired": "its certificate is not accepted: certificate has expired",
    "plain-http": "no connection: TLS: ",
    "html": "answers with something else than Nomad's JSON",
    "endless": "the reply is too large",
    "crowded": "answers with something else than Nomad's JSON",
    "hanging": "no answer in time",
    "redirect": "answers with a redirect (307), and none is followed",
}
"""The servers that stand in place of regions, and what their Regions are to say of them."""

UNTRUSTED = ("wrong-ca", "wrong-name", "expired", "plain-http")
"""Those that cannot show the region's own certificate, and so must not see its token."""


@dataclass
class Trap:
    """All hostile servers, and one where a redirect leads."""

    tls: dict[str, Server] = field(default_factory=dict)
    plain: bytearray = field(default_factory=bytearray)
    """What arrived at the server that speaks no TLS."""
    elsewhere: Server = field(default_factory=Server)
    addresses: dict[str, str] = field(default_factory=dict)

    def got(self, name: str) -> str:
        """Return all that a server could read."""
        return repr(bytes(self.plain) if name == "plain-http" else self.tls[name].requests)

    @property
    def requests(self) -> int:
        return sum(len(server.requests) for server in self.tls.values())


def token_of(region: str) -> str:
    return f"canary-{region}-5f7a1c9e"


async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with a gigabyte, and let the others be served meanwhile."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(1024 * MIB // len(PIECE)):
        if writer.is_closing():
            return  # asyncio would go on taking what nobody will read.
        writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
        await writer.drain()
        await asyncio.sleep(0)


ROW = b'{"Namespace":"orrery-team-a","ID":"x%d","JobModifyIndex":1,"Status":"","Stop":false}'
CROWD = b"[" + b",".join([ROW % number for number in range(200_000)]) + b"]"
"""A page of jobs well below the cap in bytes, and much longer than was asked for."""

CROWDED = {
    "/v1/status/leader": b'"10.0.0.1:4647"',
    "/v1/agent/self": b'{"config":{"Region":"global","Version":{"Version":"2.0.6"}}}',
    "/v1/namespaces": b'[{"Name":"default"}]',
    "/v1/jobs": CROWD,
}


async def crowd(request: Request, writer: asyncio.StreamWriter) -> None:
    """Be Nomad in all but the number of jobs."""
    path = request.target.partition("?")[0]
    if path == "/v1/event/stream":
        writer.write(HEAD + b"\r\n{}\n")
        await asyncio.Event().wait()
    one_row = "per_page=1&" in request.target + "&"
    writer.write(reply(body=b"[]" if one_row else CROWDED[path], X_Nomad_Index="9"))
    await writer.drain()


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def set_trap(folder: Path, own: Authority) -> AsyncIterator[Trap]:
    """Open all hostile servers; *own* signs what regions show that are what they seem."""
    trap = Trap()
    other = Authority("somebody else's")

    def context(name: str) -> ssl.SSLContext:
        directory = folder / name
        directory.mkdir()
        signer = other if name == "wrong-ca" else own
        host = "elsewhere.example" if name == "wrong-name" else HERE
        days = (-3, -1) if name == "expired" else (-1, 1)
        return server_context(directory, signer.sign(host, days=days))

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trap.plain.extend(await reader.read(MIB))
        writer.write(reply(body=b'"10.0.0.1:4647"'))
        writer.close()

    async with AsyncExitStack() as stack:
        trap.elsewhere = await stack.enter_async_context(serve(always(reply()), context("away")))
        away = always(reply(307, Location=f"{trap.elsewhere.endpoint}/v1/jobs"))
        answers: dict[str, Answer] = {
            "html": always(reply(body=b"<html>Welcome</html>", Content_Type="text/html")),
            "endless": flood,
            "crowded": crowd,
            "hanging": hang,
            "redirect": away,
        }
        for name in CAUSES:
            if name == "plain-http":
                plain = await asyncio.start_server(listen, HERE, 0)
                stack.callback(plain.close)
                trap.addresses[name] = f"https://{HERE}:{plain.sockets[0].getsockname()[1]}"
                continue
            answer = answers.get(name, always(reply(body=b'"10.0.0.1:4647"')))
            server = await stack.enter_async_context(serve(answer, context(name)))
            trap.tls[name] = server
            trap.addresses[name] = server.endpoint
        yield trap


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    async with fault_planet(tmp_path_factory.mktemp("planet"), [WELL]) as planet:
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trap(planet: FaultPlanet) -> AsyncIterator[Trap]:
    own = Authority("the region's own")
    async with set_trap(planet.directory, own) as trap:
        for name, address in trap.addresses.items():
            await planet.add_region(name, address, token=token_of(name), authority=own.pem)
        yield trap


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(planet: FaultPlanet, trap: Trap) -> AsyncIterator[OperatorProcess]:
    """Run an operator that is not ready before the region that hangs has had its time."""
    operator = await planet.start("--no-leader-election", "--probe-seconds", "1")
    yield operator
    await operator.stop()


@pytest.mark.parametrize("name", CAUSES)
async def test_a_region_names_what_is_wrong(
    name: str, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    said: dict[str, str] = {}

    async def named() -> bool:
        said.update(await planet.ready_condition(name))
        return CAUSES[name] in said.get("message", "")

    await until(named, pause=0.2, told=lambda: said)
    assert said["status"] == "Unknown"
    assert said["reason"] == "RegionUnreachable"
    assert await planet.phase(name) == "Unreachable"


async def test_others_are_served_as_if_nothing_were_wrong(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    await planet.until_open(WELL)
    names = [f"shop-{number}" for number in range(5)]
    began = asyncio.get_running_loop().time()

    await planet.apply(*(a_shop(name, [*CAUSES, WELL]) for name in names))
    await until(lambda: all(planet.job(WELL, name) for name in names))

    assert asyncio.get_running_loop().time() - began < HELD
    assert planet.proxy.journal.updates(WELL) == {f"{WELL} register {name}": 1 for name in names}


async def test_a_hostile_region_costs_little(
    planet: FaultPlanet, trap: Trap, operator: OperatorProcess
) -> None:
    """No loop, no pile of memory, no stream of status writes, however long it lasts."""
    status = Match(target="hub", method="PATCH", path="/regions/")
    requests, writes = trap.requests, planet.proxy.journal.count(status)
    memory = (await operator.metrics("process_resident_memory_bytes"))[0].value

    await asyncio.sleep(OBSERVED)

    asked = (trap.requests - requests) / len(trap.tls) / OBSERVED
    grown = (await operator.metrics("process_resident_memory_bytes"))[0].value - memory
    assert asked < 3
    assert planet.proxy.journal.count(status) - writes <= len(CAUSES)
    assert grown < 64 * MIB


@pytest.mark.parametrize("name", UNTRUSTED)
async def test_who_cannot_prove_its_name_gets_no_byte_of_the_token(
    name: str, planet: FaultPlanet, trap: Trap, operator: OperatorProcess
) -> None:
    async def tried() -> bool:
        calls = await operator.metrics("orrery_nomad_requests_total")
        mine = [call for call in calls if call.labels["region"] == name]
        return sum(call.value for call in mine) > 3

    await until(tried, pause=0.2)

    assert token_of(name) not in trap.got(name)
    assert "X-Nomad-Token" not in trap.got(name)
    assert not (name in trap.tls and trap.tls[name].requests)


async def test_a_token_is_sent_to_its_own_region_alone(
    trap: Trap, operator: OperatorProcess
) -> None:
    for name in CAUSES:
        others = [token_of(other) for other in CAUSES if other != name]
        assert not any(token in trap.got(name) for token in others)
    assert trap.elsewhere.connections == 0


async def test_no_token_is_shown(
    planet: FaultPlanet, trap: Trap, operator: OperatorProcess
) -> None:
    shown = operator.said + "".join([str(await planet.status(name)) for name in CAUSES])

    assert "canary-" not in shown
    assert "Traceback" not in operator.said
