"""A real Nomad that speaks mutual TLS, behind a real front door."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.integration.frontdoors import BOTH, Pki, caller, running_door
from tests.lab.envoy import Backend, FrontDoor
from tests.lab.nomad import NomadAgent, NomadMachine
from tests.lab.polling import until

from orrery.adapters.pki import KeyPair
from orrery.playground.ports import LOOPBACK


def tls_block(folder: Path, pki: Pki, pair: KeyPair) -> dict[str, Any]:
    """Write certificates to *folder* and have an agent use them."""
    folder.mkdir()
    texts = {"ca": pki.ca, "cert": pair.certificate, "key": pair.key}
    for name, text in texts.items():
        (folder / name).write_text(text)
    files = {f"{name}_file": str(folder / name) for name in texts}
    verify = {"verify_server_hostname": True, "verify_https_client": True}
    return {"tls": {"http": True, "rpc": True, **verify, **files}}


@asynccontextmanager
async def secure_region(
    binary: Path, folder: Path, pki: Pki, **config: Any
) -> AsyncIterator[tuple[FrontDoor, NomadAgent]]:
    """Run a front door before one server; *config* is its own, by block."""
    agent = NomadAgent(
        str(binary),
        folder / "nomad",
        config=config | tls_block(folder / "server", pki, pki.server()),
        region=pki.region,
        tls=caller(pki.operator(), pki.ca),
    )
    await asyncio.to_thread(agent.start)
    try:
        async with running_door(folder / "door", pki, Backend(agent.rpc, agent.port)) as door:
            yield door, agent
    finally:
        await asyncio.to_thread(agent.stop)


@asynccontextmanager
async def a_joined_machine(
    binary: Path, folder: Path, pki: Pki, door: FrontDoor, agent: NomadAgent, **config: Any
) -> AsyncIterator[NomadMachine]:
    """Run a machine that has joined through the front door, and is ready."""
    pair = pki.leaf("client.fra.nomad", "localhost", LOOPBACK, usages=BOTH)
    whole = tls_block(folder / "client", pki, pair) | {
        "region": "fra",
        "client": {"servers": [f"{LOOPBACK}:{door.rpc}"]},
        **config,
    }
    machine = NomadMachine(str(binary), folder / "machine", config=whole)
    machine.join(agent)

    def is_ready() -> bool:
        return agent.nodes().get(machine.name) == "ready"

    try:
        await until(
            lambda: asyncio.to_thread(is_ready), told=lambda: machine.log.read_text()[-2000:]
        )
        yield machine
    finally:
        await asyncio.to_thread(machine.stop)
