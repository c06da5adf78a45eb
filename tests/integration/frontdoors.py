"""Who stands on both sides of a front door: certificates of a region, servers, and callers."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from tests.lab.envoy import Backend, FrontDoor, require_envoy, running_front_door
from tests.unit.adapters.nomad.servers import Answer, Request, Server, reply, serve
from tests.unit.render.region.blueprints import a_blueprint
from yarl import URL

from orrery import names
from orrery.adapters.pki import KeyPair, Usage, create_authority, issue
from orrery.playground.ports import LOOPBACK

BOTH = (Usage.SERVER, Usage.CLIENT)


@dataclass
class Pki:
    """The authority of a region, and what it issues."""

    region: str = "fra"
    authority: KeyPair = field(default_factory=lambda: create_authority("region"))

    @property
    def ca(self) -> str:
        return self.authority.certificate

    def leaf(
        self,
        *hosts: str,
        usages: Collection[Usage] = (Usage.CLIENT,),
        lifetime: timedelta = timedelta(days=1),
        now: datetime | None = None,
    ) -> KeyPair:
        name = hosts[0] if hosts else names.operator_host(self.region)
        return issue(self.authority, name, hosts=hosts, usages=usages, lifetime=lifetime, now=now)

    def operator(self) -> KeyPair:
        return self.leaf(names.operator_host(self.region))

    def server(self) -> KeyPair:
        return self.leaf(names.server_host(self.region), "localhost", LOOPBACK, usages=BOTH)

    def front_door(self, *, trusted: str = "") -> dict[str, str]:
        """Write the Secret of the front door, which is no server and needs no server's name."""
        pair = self.leaf(LOOPBACK, usages=BOTH)
        return {
            "tls.crt": pair.certificate,
            "tls.key": pair.key,
            "ca.crt": trusted or self.ca,
        }


def tls_context(side: int, pair: KeyPair | None, trusted: str) -> ssl.SSLContext:
    """Present *pair*, if any, and demand a certificate of an authority that is *trusted*."""
    context = ssl.SSLContext(side)
    context.check_hostname = side == ssl.PROTOCOL_TLS_CLIENT
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted)
    if pair:
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder) / "pair.pem"
            chain.write_text(pair.certificate + pair.key)
            context.load_cert_chain(chain)
    return context


def caller(pair: KeyPair | None, trusted: str) -> ssl.SSLContext:
    """Make the TLS of one who calls."""
    return tls_context(ssl.PROTOCOL_TLS_CLIENT, pair, trusted)


@dataclass
class StandIn:
    """One stand-in for a server: HTTP over mutual TLS, and an RPC port that sends all back."""

    http: Server
    rpc: Server
    identity: ssl.SSLContext
    """What it presents and whom it trusts; another one holds for the next handshake."""
    answers: bool = True
    """Whether it completes handshakes."""

    @property
    def backend(self) -> Backend:
        return Backend(self.rpc.port, self.http.port)

    def choose(self, connection: ssl.SSLObject, name: str, context: ssl.SSLContext) -> int | None:
        """Decide about a handshake."""
        if not self.answers:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self.identity
        return None


async def plainly(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer every call as Nomad does a short one."""
    writer.write(reply(body=b'"10.0.0.1:4647"', X_Nomad_Index="7"))
    await writer.drain()


@asynccontextmanager
async def running_server(
    identity: KeyPair, trusted: str, answer: Answer = plainly
) -> AsyncIterator[StandIn]:
    """Run a stand-in for a server."""
    server_side = ssl.PROTOCOL_TLS_SERVER
    context = tls_context(server_side, identity, trusted)
    async with serve(answer, context) as http, echoing() as rpc:
        stand_in = StandIn(http, rpc, context)

        context.sni_callback = stand_in.choose
        yield stand_in


@asynccontextmanager
async def echoing() -> AsyncIterator[Server]:
    """Listen on a port that sends back every byte, and the end after the last."""
    record = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        record.readers.append(reader)
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
            writer.close()
        except ConnectionError:
            writer.transport.abort()

    server = await asyncio.start_server(talk, LOOPBACK, 0)
    record.port = server.sockets[0].getsockname()[1]
    try:
        yield record
    finally:
        server.close()
        for reader in record.readers:
            reader.feed_eof()


@asynccontextmanager
async def running_door(
    folder: Path, pki: Pki, *backends: Backend, dns: int = 0
) -> AsyncIterator[FrontDoor]:
    """Run the front door of the region of *pki* before servers."""
    blueprint, secret = a_blueprint(pki.region), pki.front_door()
    async with running_front_door(
        require_envoy(), folder, blueprint, backends, secret, dns=dns
    ) as door:
        yield door


@asynccontextmanager
async def running_region(
    folder: Path, pki: Pki, answer: Answer = plainly
) -> AsyncIterator[tuple[FrontDoor, StandIn]]:
    """Run a front door before one server."""
    async with (
        running_server(pki.server(), pki.ca, answer) as server,
        running_door(folder, pki, server.backend) as door,
    ):
        yield door, server


class Dns(asyncio.DatagramProtocol):
    """A DNS server: says nothing, or that no name exists, or that *name* is at loopback."""

    def __init__(self, name: str) -> None:
        self.answers: bool | None = None
        self.asked = 0
        self._name = b"".join(bytes([len(part)]) + part for part in name.encode().split(b"."))
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # it is one of datagrams
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.asked += 1
        if self.answers is None or self._transport is None:
            return
        question = data[12 : data.index(b"\0", 12) + 5]
        known = self.answers and question[:-5] == self._name
        found = known and question[-4:-2] == b"\0\x01"  # an IPv4 address
        flags = b"\x81\x80" if known else b"\x81\x83"
        counts = bytes([0, 1, 0, int(found), 0, 0, 0, 0])
        record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x01" if found else b""
        self._transport.sendto(data[:2] + flags + counts + question + record, addr)


@asynccontextmanager
async def running_dns(name: str) -> AsyncIterator[tuple[Dns, int]]:
    """Run a DNS server that knows one name; yields it and its port."""
    loop = asyncio.get_running_loop()
    transport, dns = await loop.create_datagram_endpoint(
        lambda: Dns(name), local_addr=(LOOPBACK, 0)
    )
    try:
        yield dns, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@dataclass(frozen=True)
class Said:
    """A reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    port: int, tls: ssl.SSLContext | None, method: str = "GET", target: str = "/v1/x", **more: Any
) -> Said:
    """Make one call over a connection of its own; the target is sent as it is."""
    url = URL(f"{'https' if tls else 'http'}://{LOOPBACK}:{port}{target}", encoded=True)
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, url, ssl=tls or True, allow_redirects=False, **more) as response,
    ):
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Said(response.status, headers, await response.read())


async def refusal(port: int, tls: ssl.SSLContext, *, seconds: float = 10) -> str:
    """Shake hands and say nothing; return the alert by which we are turned down, or nothing."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
    except ssl.SSLError as error:
        return error.reason
    try:
        async with asyncio.timeout(seconds):
            await reader.read(1)
    except ssl.SSLError as error:
        return error.reason
    except TimeoutError:
        return ""
    finally:
        writer.transport.abort()
    return "closed without an alert"
