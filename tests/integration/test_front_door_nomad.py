"""The front door before a real Nomad: what Orrery asks of a region, by its own client."""

import asyncio
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.jobs import a_job
from tests.contract.test_probe_nomad import HOST
from tests.integration.frontdoors import BOTH, Pki, caller, running_door
from tests.lab.envoy import Backend, FrontDoor
from tests.lab.nomad import NomadAgent, NomadMachine
from tests.lab.polling import until

from orrery import names
from orrery.adapters.nomad import NomadClient
from orrery.adapters.pki import KeyPair
from orrery.api.regionclass import ProbeClass
from orrery.errors import Unreachable
from orrery.planning.probing import read_output
from orrery.playground.ports import LOOPBACK
from orrery.ports import Allocation, Credentials, Submission
from orrery.render.probe import CONNECTS, render_probe


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
    binary: Path, folder: Path, pki: Pki
) -> AsyncIterator[tuple[FrontDoor, SecureAgent]]:
    agent = SecureAgent(
        str(binary),
        folder / "nomad",
        config=tls_block(folder / "server", pki, pki.server()),
        region=pki.region,
        tls=caller(pki.operator(), pki.ca),
    )
    await asyncio.to_thread(agent.start)
    try:
        async with running_door(folder / "door", pki, Backend(agent.rpc, agent.port)) as door:
            yield door, agent
    finally:
        await asyncio.to_thread(agent.stop)


async def test_orrery_works_with_a_region_through_its_front_door(
    nomad_binary: Path, tmp_path: Path
) -> None:
    pki = Pki()
    pair = pki.operator()
    async with secure_region(nomad_binary, tmp_path, pki) as (door, agent):
        client = NomadClient(
            Credentials(
                f"https://{LOOPBACK}:{door.http}", agent.token, pki.ca, pair.certificate, pair.key
            )
        )
        try:
            leader = await client.leader()
            facts = await client.agent()
            async with client.events(index=0) as batches:
                await client.register_job(
                    a_job("shop"), expected_index=0, submission=Submission("{}", "json")
                )
                async with asyncio.timeout(60):
                    seen = await anext(b async for b in batches if b.events)
            listed = await client.list_jobs()
        finally:
            await client.close()

    assert leader == f"{LOOPBACK}:{agent.rpc}"
    assert facts.region == "fra"
    assert seen.index > 0
    assert [job.id for job in listed.jobs] == ["shop"]


async def test_a_machine_joins_through_the_front_door(nomad_binary: Path, tmp_path: Path) -> None:
    pki = Pki()
    pair = pki.leaf("client.fra.nomad", "localhost", LOOPBACK, usages=BOTH)
    async with secure_region(nomad_binary, tmp_path, pki) as (door, agent):
        config = tls_block(tmp_path / "client", pki, pair) | {
            "region": "fra",
            "client": {"servers": [f"{LOOPBACK}:{door.rpc}"]},
        }
        machine = NomadMachine(str(nomad_binary), tmp_path / "machine", config=config)
        machine.join(agent)
        try:
            await until(
                lambda: asyncio.to_thread(_is_ready, agent, machine.name),
                told=lambda: machine.log.read_text()[-2000:],
            )
        finally:
            await asyncio.to_thread(machine.stop)


async def test_machines_behind_the_front_door_are_probed_and_their_logs_come_back(
    nomad_binary: Path, tmp_path: Path
) -> None:
    pki = Pki()
    pair, operator = (
        pki.leaf("client.fra.nomad", "localhost", LOOPBACK, usages=BOTH),
        pki.operator(),
    )
    async with secure_region(nomad_binary, tmp_path, pki) as (door, agent):
        config = tls_block(tmp_path / "client", pki, pair) | {
            "region": "fra",
            "client": {"servers": [f"{LOOPBACK}:{door.rpc}"]},
            "plugin": {"raw_exec": {"config": {"enabled": True}}},
        }
        machine = NomadMachine(str(nomad_binary), tmp_path / "machine", config=config)
        machine.join(agent)
        client = NomadClient(
            Credentials(
                f"https://{LOOPBACK}:{door.http}",
                agent.token,
                pki.ca,
                operator.certificate,
                operator.key,
            )
        )
        try:
            await until(
                lambda: asyncio.to_thread(_is_ready, agent, machine.name),
                told=lambda: machine.log.read_text()[-2000:],
            )
            probe = render_probe(
                ProbeClass(image="registry.example/orrery:1"),
                address=f"{LOOPBACK}:{door.rpc}",
                install="orrery",
                driver=HOST,
                region_class="standard",
            )
            namespace = names.system_namespace("orrery")
            await client.create_namespace(namespace, "the system's")
            await client.register_job(probe, expected_index=0, submission=Submission("{}"))

            async def ended() -> Allocation | None:
                listed = await client.list_allocations(namespace, names.PROBE_JOB)
                done = (a for a in listed if a.client_status == "complete")
                return next((a for a in done if a.node == machine.name), None)

            allocation = await until(ended)
            text = await client.read_log(allocation.id, names.PROBE_JOB)
            await asyncio.to_thread(machine.stop)
            with pytest.raises(Unreachable):
                await client.read_log(allocation.id, names.PROBE_JOB)
        finally:
            await client.close()
            await asyncio.to_thread(machine.stop)

    assert len(read_output(text).seconds) == CONNECTS


def _is_ready(agent: SecureAgent, name: str) -> bool:
    return agent.nodes().get(name) == "ready"
