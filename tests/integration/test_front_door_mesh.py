"""Kuma's port at the front door: machines of the region come through it, nobody else does."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.integration.frontdoors import Pki, caller, refusal, tls_context
from tests.lab.envoys import RunningEnvoy, running_envoy
from tests.lab.polling import until
from tests.unit.render.region.blueprints import a_blueprint

from orrery import names
from orrery.adapters.pki import KeyPair, Usage
from orrery.playground.ports import LOOPBACK
from orrery.render.region.frontdoor import render_files

PORT = "kuma-dp-server"
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@asynccontextmanager
async def running_door(folder: Path, pki: Pki) -> AsyncIterator[tuple[RunningEnvoy, int]]:
    """Run a front door before a stand-in for kuma-cp: TLS of its own, which sends all back."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    inner = tls_context(ssl.PROTOCOL_TLS_SERVER, pki.leaf(LOOPBACK, usages=[Usage.SERVER]), pki.ca)
    inner.verify_mode = ssl.CERT_NONE
    kuma = await asyncio.start_server(talk, LOOPBACK, 0, ssl=inner)
    port = kuma.sockets[0].getsockname()[1]
    try:
        files = render_files(a_blueprint(pki.region, mesh={}))
        places = {PORT: (LOOPBACK, port)}
        async with running_envoy(folder, files, places, secret=pki.front_door()) as door:
            yield door, port
    finally:
        kuma.close()


def machine(pki: Pki) -> KeyPair:
    return pki.leaf(names.client_host(pki.region))


async def said_back(port: int, outer: ssl.SSLContext, inner: ssl.SSLContext) -> bytes:
    """Say something as kuma-dp does through its machine's Envoy: TLS within TLS."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=outer)
    try:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = inner.wrap_bio(incoming, outgoing, server_hostname=LOOPBACK)

        async def pump() -> None:
            writer.write(outgoing.read())
            await writer.drain()
            incoming.write(await asyncio.wait_for(reader.read(65536), 10))

        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                await pump()
        session.write(b"hello")
        while True:
            await pump()
            try:
                return session.read(100)
            except ssl.SSLWantReadError:
                continue
    finally:
        writer.transport.abort()


async def test_a_machine_reaches_kuma_with_its_own_tls_inside(tmp_path: Path) -> None:
    pki = Pki()
    async with running_door(tmp_path, pki) as (door, _):
        outer, inner = caller(machine(pki), pki.ca), caller(None, pki.ca)

        async def speak() -> bytes:
            try:
                return await said_back(door.ports[PORT], outer, inner)
            except (OSError, TimeoutError):
                return b""  # Envoy has yet to see that kuma-cp is well.

        assert await until(speak, told=lambda: door.log[-2000:]) == b"hello"


@pytest.mark.parametrize(
    ("stranger", "alert"),
    [
        pytest.param(lambda _: None, "TLSV13_ALERT_CERTIFICATE_REQUIRED", id="none"),
        pytest.param(
            lambda pki: pki.leaf(names.client_host(pki.region), now=LONG_AGO),
            "SSLV3_ALERT_CERTIFICATE_EXPIRED",
            id="expired",
        ),
        pytest.param(lambda _: machine(Pki()), "TLSV1_ALERT_UNKNOWN_CA", id="another-authority"),
        pytest.param(
            lambda pki: pki.leaf(names.client_host("par")),
            "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
            id="another-region",
        ),
        pytest.param(
            lambda pki: pki.operator(), "SSLV3_ALERT_CERTIFICATE_UNKNOWN", id="another-role"
        ),
        pytest.param(
            lambda pki: pki.leaf(f"*.{pki.region}.nomad"),
            "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
            id="wildcard",
        ),
    ],
)
async def test_who_is_no_machine_of_the_region_is_turned_away(
    stranger: object, alert: str, tmp_path: Path
) -> None:
    pki = Pki()
    async with running_door(tmp_path, pki) as (door, _):
        assert callable(stranger)

        said = await refusal(door.ports[PORT], caller(stranger(pki), pki.ca))

        assert said == alert
