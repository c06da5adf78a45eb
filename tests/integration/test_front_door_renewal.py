"""The front door, by a real Envoy: certificates and authorities change, and no call is lost."""

import asyncio
import itertools
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from cryptography import x509
from tests.integration.frontdoors import (
    Pki,
    ask,
    caller,
    plainly,
    refusal,
    running_region,
    tls_context,
)
from tests.lab.envoy import FrontDoor
from tests.lab.polling import until
from tests.unit.adapters.nomad.servers import Answer, Request

from orrery.adapters.pki import KeyPair
from orrery.playground.ports import LOOPBACK

ENOUGH = 20
"""Calls of each kind that must have passed before the next change."""

TOGETHER = 30
"""Calls at once: more than there are connections to the server."""

Count = Callable[[], bool]
"""Count a call that has passed; tells whether another is wanted."""

Kind = Callable[[Count], Awaitable[None]]


class Traffic:
    """Calls of all kinds, without a pause; each that fails is kept."""

    def __init__(self, door: FrontDoor, tls: ssl.SSLContext) -> None:
        self.tls = tls
        """How the next connection is made."""
        self.passed = Counter[str]()
        self.lost: list[str] = []
        self._door = door
        self._ends = False
        self._kinds: Mapping[str, Kind] = {
            "fresh": self._fresh,
            "fresh, too": self._fresh,
            "kept": self._kept,
            "stream": self._stream,
            "rpc": self._rpc,
        }

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Call until the end of the block."""
        async with asyncio.TaskGroup() as tasks:
            for name, kind in self._kinds.items():
                tasks.create_task(self._run(name, kind))
            try:
                await self.goes_on()
                yield
                await self.goes_on()
            finally:
                self._ends = True

    async def goes_on(self) -> None:
        """Wait until more of every kind has passed since now."""
        before = self.passed.copy()
        await until(
            lambda: (
                bool(self.lost)
                or all(self.passed[kind] >= before[kind] + ENOUGH for kind in self._kinds)
            ),
            told=lambda: self.passed,
        )
        assert self.lost == []

    async def _run(self, name: str, kind: Kind) -> None:
        def count() -> bool:
            self.passed[name] += 1
            return not self._ends

        try:
            await kind(count)
        except (OSError, aiohttp.ClientError, AssertionError, EOFError) as error:
            self.lost.append(f"{name}: {error!r}")

    async def _fresh(self, count: Count) -> None:
        """Make each call over a connection of its own."""
        flows = True
        while flows:
            assert (await ask(self._door.http, self.tls)).status == 200
            flows = count()

    async def _kept(self, count: Count) -> None:
        """Make all calls over one connection, which stays what it was."""
        connector = aiohttp.TCPConnector(limit=1, ssl=self.tls)
        async with aiohttp.ClientSession(connector=connector) as session:
            flows = True
            while flows:
                async with session.post(self._url("/v1/jobs"), data=b"{}") as response:
                    assert response.status == 200
                    assert await response.read()
                flows = count()

    async def _stream(self, count: Count) -> None:
        """Follow one reply that does not end, and miss nothing."""
        expected = 0
        async with (
            aiohttp.ClientSession() as session,
            session.get(self._url("/v1/event/stream"), ssl=self.tls) as response,
        ):
            async for line in response.content:
                assert int(line) == expected
                expected += 1
                if not count():
                    return
        raise EOFError("the stream ended")

    async def _rpc(self, count: Count) -> None:
        """Talk over one connection to the RPC port."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self._door.rpc)
        try:
            flows = True
            while flows:
                writer.write(b"\x04ping")
                assert await reader.readexactly(5) == b"\x04ping"
                flows = count()
        finally:
            writer.transport.abort()

    def _url(self, target: str) -> str:
        return f"https://{LOOPBACK}:{self._door.http}{target}"


def answering() -> Answer:
    """Answer calls, some when all of them have arrived; count for as long as somebody listens."""
    barrier = asyncio.Barrier(TOGETHER)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.target == "/v1/event/stream":
            await _count_on(writer)
        if request.target == "/v1/together":
            await barrier.wait()
        await plainly(request, writer)

    return answer


async def _count_on(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in itertools.count():
        line = b"%d\n" % number
        writer.write(b"%x\r\n%b\r\n" % (len(line), line))
        await writer.drain()
        await asyncio.sleep(0.01)


async def served(port: int, tls: ssl.SSLContext) -> str:
    """Read the certificate that a port presents."""
    _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
    try:
        connection = writer.get_extra_info("ssl_object")
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    finally:
        writer.transport.abort()


async def takes_over(door: FrontDoor, secret: dict[str, str], tls: ssl.SSLContext) -> None:
    """Renew the front door's Secret; return when its certificate is presented."""
    wanted = x509.load_pem_x509_certificate(secret["tls.crt"].encode())

    async def is_there() -> bool:
        pem = await served(door.http, tls)
        return x509.load_pem_x509_certificate(pem.encode()) == wanted

    door.renew(secret)
    await until(is_there, told=lambda: door.log[-2000:])


async def test_a_renewed_certificate_costs_no_call(tmp_path: Path) -> None:
    pki = Pki()
    tls = caller(pki.operator(), pki.ca)

    async with running_region(tmp_path, pki, answering()) as (door, _):
        traffic = Traffic(door, tls)
        async with traffic.flowing():
            for _ in range(3):
                await takes_over(door, pki.front_door(), tls)
                await traffic.goes_on()

    assert traffic.lost == []


async def test_another_authority_costs_no_call(tmp_path: Path) -> None:
    """Both are trusted, then leaves are issued anew, then the old one is trusted no more."""
    old, new = Pki(), Pki()
    both = old.ca + new.ca

    async with running_region(tmp_path, old, answering()) as (door, server):
        traffic = Traffic(door, caller(old.operator(), old.ca))
        async with traffic.flowing():
            server.identity = server_side(old.server(), both)
            traffic.tls = caller(old.operator(), both)
            await takes_over(door, old.front_door(trusted=both), traffic.tls)
            await until(lambda: accepted(door, new.operator(), both))
            await traffic.goes_on()

            server.identity = server_side(new.server(), both)
            traffic.tls = caller(new.operator(), both)
            await takes_over(door, new.front_door(trusted=both), traffic.tls)
            await traffic.goes_on()

            server.identity = server_side(new.server(), new.ca)
            traffic.tls = caller(new.operator(), new.ca)
            await takes_over(door, new.front_door(), traffic.tls)
            await until(lambda: turned_down(door, old.operator(), new.ca))
            await traffic.goes_on()
            await pass_together(door, traffic.tls)

    assert traffic.lost == []


async def test_a_secret_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    pki = Pki()
    tls = caller(pki.operator(), pki.ca)

    async with running_region(tmp_path, pki, answering()) as (door, _):
        traffic = Traffic(door, tls)
        async with traffic.flowing():
            before = await served(door.http, tls)
            door.renew(pki.front_door() | {"tls.key": pki.front_door()["tls.key"]})
            await until(lambda: "KEY_VALUES_MISMATCH" in door.log, told=lambda: door.log[-2000:])
            await traffic.goes_on()
            after = await served(door.http, tls)
            await takes_over(door, pki.front_door(), tls)

    assert after == before
    assert traffic.lost == []


def server_side(pair: KeyPair, trusted: str) -> ssl.SSLContext:
    return tls_context(ssl.PROTOCOL_TLS_SERVER, pair, trusted)


async def accepted(door: FrontDoor, pair: KeyPair, trusted: str) -> bool:
    try:
        return (await ask(door.http, caller(pair, trusted))).status == 200
    except aiohttp.ClientError:
        return False


async def turned_down(door: FrontDoor, pair: KeyPair, trusted: str) -> bool:
    return bool(await refusal(door.http, caller(pair, trusted), seconds=0.5))


async def pass_together(door: FrontDoor, tls: ssl.SSLContext) -> None:
    """Make calls of which each is answered when all have arrived, so that each has a connection."""
    calls = (ask(door.http, tls, target="/v1/together") for _ in range(TOGETHER))

    assert {each.status for each in await asyncio.gather(*calls)} == {200}
