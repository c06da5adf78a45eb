"""The front door before a real Nomad: what Orrery asks of a region, by its own client."""

import asyncio
from pathlib import Path

import pytest
from tests.contract.jobs import a_job
from tests.contract.test_probe_nomad import HOST
from tests.integration.frontdoors import Pki
from tests.integration.secureregions import a_joined_machine, secure_region
from tests.lab.polling import until

from orrery import names
from orrery.adapters.nomad import NomadClient
from orrery.api.regionclass import ProbeClass
from orrery.errors import Unreachable
from orrery.planning.probing import read_output
from orrery.playground.ports import LOOPBACK
from orrery.ports import Allocation, Credentials, Submission
from orrery.render.probe import CONNECTS, render_probe


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
    async with (
        secure_region(nomad_binary, tmp_path, pki) as (door, agent),
        a_joined_machine(nomad_binary, tmp_path, pki, door, agent) as machine,
    ):
        nodes = await asyncio.to_thread(agent.nodes)

    assert nodes[machine.name] == "ready"


async def test_machines_behind_the_front_door_are_probed_and_their_logs_come_back(
    nomad_binary: Path, tmp_path: Path
) -> None:
    pki = Pki()
    operator = pki.operator()
    plugin = {"raw_exec": {"config": {"enabled": True}}}
    async with (
        secure_region(nomad_binary, tmp_path, pki) as (door, agent),
        a_joined_machine(nomad_binary, tmp_path, pki, door, agent, plugin=plugin) as machine,
    ):
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
            probe = render_probe(
                ProbeClass(image="registry.example/orrery:1"),
                address=f"{LOOPBACK}:{door.rpc}",
                install="orrery",
                driver=HOST,
                region_class="standard",
            )
            probe["TaskGroups"][0]["Tasks"][0]["Config"]["args"][-1] = "1"  # second to linger
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

    assert len(read_output(text).seconds) == CONNECTS
