"""A real Nomad that speaks mutual TLS, behind a real front door."""

import asyncio
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.frontdoors import Pki, caller, running_door
from tests.lab.envoy import Backend, FrontDoor
from tests.lab.nomad import NomadAgent

from orrery.adapters.pki import KeyPair
from orrery.playground.ports import LOOPBACK


@dataclass
class SecureAgent(NomadAgent):
    """An agent that speaks mutual TLS at both ports."""

    tls: ssl.SSLContext | None = None
    """How its own tests call it."""

    def call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"https://{LOOPBACK}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Nomad-Token": self.token},
        )
        with urllib.request.urlopen(request, timeout=10, context=self.tls) as reply:
            content = reply.read()
        return json.loads(content) if content.strip() else None


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
) -> AsyncIterator[tuple[FrontDoor, SecureAgent]]:
    """Run a front door before one server; *config* is its own, by block."""
    agent = SecureAgent(
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


def is_ready(agent: SecureAgent, name: str) -> bool:
    return agent.nodes().get(name) == "ready"
