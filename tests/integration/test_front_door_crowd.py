"""All machines of a region behind the address of one gateway: the front door lets them through."""

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.integration.frontdoors import BOTH, Pki, caller
from tests.integration.secureregions import a_joined_machine, secure_region
from tests.unit.render.region.blueprints import a_blueprint

from orrery import names
from orrery.playground.ports import LOOPBACK
from orrery.render.region.servers import SERVER_FILE, render_files

CROWD: Final = 320
AT_ONCE: Final = 40
"""Handshakes: a kernel's queue is no matter here."""

TLS: Final = b"\x04"
MULTIPLEX: Final = b"\x06"
"""What a machine says first, and what it says first within TLS (Nomad 2.0.6)."""

PING: Final = struct.Struct(">BBHII")
"""Of yamux: version, type, flags, stream, and what is said back."""

_PING, _SYN, _ACK = 2, 1, 2

LIMITS: Final = json.loads(render_files(a_blueprint("fra", address=LOOPBACK))[SERVER_FILE])[
    "limits"
]


class Machine:
    """What a machine holds of its region: one connection, multiplexed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def is_heard(self, word: int) -> bool:
        """Say something, and tell whether the server itself says it back."""
        try:
            self._writer.write(PING.pack(0, _PING, _SYN, 0, word))
            async with asyncio.timeout(30):
                said = PING.unpack(await self._reader.readexactly(PING.size))
        except (OSError, asyncio.IncompleteReadError):
            return False
        return said == (0, _PING, _ACK, 0, word)


@asynccontextmanager
async def a_machine(port: int, tls: ssl.SSLContext) -> AsyncIterator[Machine]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(TLS)
        await writer.start_tls(tls, server_hostname=names.server_host("fra"))
        writer.write(MULTIPLEX)
        yield Machine(reader, writer)
    finally:
        writer.transport.abort()


async def a_crowd(stack: AsyncExitStack, port: int, pki: Pki) -> list[Machine]:
    """Open the connections of a crowd; who is turned away is not among them."""
    pair = pki.leaf("client.fra.nomad", "localhost", LOOPBACK, usages=BOTH)
    tls, turn, found = caller(pair, pki.ca), asyncio.Semaphore(AT_ONCE), list[Machine]()

    async def come() -> None:
        async with turn:
            try:
                found.append(await stack.enter_async_context(a_machine(port, tls)))
            except OSError:
                return

    await asyncio.gather(*(come() for _ in range(CROWD)))
    return found


async def heard(crowd: list[Machine]) -> int:
    return sum(await asyncio.gather(*(one.is_heard(n) for n, one in enumerate(crowd))))


async def test_hundreds_of_machines_behind_one_address_are_all_served(
    nomad_binary: Path, tmp_path: Path
) -> None:
    pki = Pki()
    async with (
        secure_region(nomad_binary, tmp_path, pki, limits=LIMITS) as (door, agent),
        AsyncExitStack() as stack,
    ):
        crowd = await a_crowd(stack, door.rpc, pki)
        assert await heard(crowd) == CROWD

        async with a_joined_machine(nomad_binary, tmp_path, pki, door, agent):
            pass
        assert await heard(crowd) == CROWD


async def test_nomads_own_limit_would_turn_most_of_them_away(
    nomad_binary: Path, tmp_path: Path
) -> None:
    """What the limit is, is a fact about Nomad: without it the test above would prove nothing."""
    pki, own = Pki(), dict[str, Any]()
    async with (
        secure_region(nomad_binary, tmp_path, pki, limits=own) as (door, _),
        AsyncExitStack() as stack,
    ):
        assert 0 < await heard(await a_crowd(stack, door.rpc, pki)) <= 100
