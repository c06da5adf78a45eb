"""Start one region and wait until it can run something; bring one back after it was killed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from orrery.playground.credentials import write_credentials
from orrery.playground.failures import NotReady
from orrery.playground.nomad import AgentPorts, agent_command, write_agent_config
from orrery.playground.nomadapi import NomadApi
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.processes import Process, await_ready, environment, start, stop
from orrery.playground.regions import RegionPlan
from orrery.playground.simulated import simulator_command
from orrery.playground.state import Layout, RegionRecord

READY_WITHIN: Final = 60.0
_MACHINE_JOINS_WITHIN: Final = 3.0
_INSTANCES_STOP_WITHIN: Final = 10.0


def prepare_real(
    layout: Layout, plan: RegionPlan, nomad: Path, *, number: int, count: int
) -> tuple[str, tuple[str, ...]]:
    """Write what a real Nomad needs; return its address and the command that runs it."""
    files = layout.files_of(plan.name)
    write_credentials(files, plan.name)
    ports = AgentPorts.reserve(number, count)
    write_agent_config(plan, files, ports)
    return f"https://{LOOPBACK}:{ports.http}", agent_command(nomad, files)


def prepare_simulated(layout: Layout, plan: RegionPlan) -> tuple[str, tuple[str, ...]]:
    """Write what a simulated region needs; return its address and the command that runs it."""
    files = layout.files_of(plan.name)
    write_credentials(files, plan.name)
    port = reserve_port()
    return f"https://{LOOPBACK}:{port}", simulator_command(plan, files, port)


async def start_region(
    layout: Layout,
    plan: RegionPlan,
    address: str,
    command: tuple[str, ...],
    *,
    record: Callable[[RegionRecord], None],
) -> RegionRecord:
    """Start a region, tell *record* at once what runs, and wait until it is usable."""
    process = _start(layout, plan.name, command)
    region = RegionRecord(plan.name, plan.continent, address, command, process)
    record(region)
    files = layout.files_of(plan.name)
    async with NomadApi(address, files) as api:
        await _await_leader(api, region)
        await api.bootstrap()
        await api.honour_memory_limits()
        try:
            await _await_machine(api, region, deadline=_MACHINE_JOINS_WITHIN)
        except NotReady:
            # Nomad 2.0 registers its machine as soon as there is a leader; when the leader's
            # keyring comes milliseconds later, it tries again only after 15 to 30 seconds. By now
            # the keyring is there, and a fresh start is quicker than the wait.
            await stop(region.process)
            region = await revive_region(layout, region, record=record)
        await api.take_snapshot()
    return region


async def revive_region(
    layout: Layout, region: RegionRecord, *, record: Callable[[RegionRecord], None]
) -> RegionRecord:
    """Start a region again with its data, and wait until it is usable."""
    process = _start(layout, region.name, region.command)
    revived = replace(region, process=process, killed=False)
    record(revived)
    async with NomadApi(region.address, layout.files_of(region.name)) as api:
        await _await_leader(api, revived)
        await _await_machine(api, revived, deadline=READY_WITHIN)
    return revived


async def stop_region(layout: Layout, region: RegionRecord) -> None:
    """Let a region stop its instances, which would outlive its agent, then end the agent."""
    if region.process.alive:
        async with NomadApi(region.address, layout.files_of(region.name)) as api:
            await api.stop_jobs()
            with suppress(NotReady):
                await await_ready(
                    api.is_idle,
                    what=f"region {region.name} is idle",
                    deadline=_INSTANCES_STOP_WITHIN,
                    watched=[region.process],
                )
    await stop(region.process)


async def _await_leader(api: NomadApi, region: RegionRecord) -> None:
    what = f"region {region.name} has a leader"
    await await_ready(api.has_leader, what=what, deadline=READY_WITHIN, watched=[region.process])


async def _await_machine(api: NomadApi, region: RegionRecord, *, deadline: float) -> None:
    what = f"region {region.name} has a machine"
    await await_ready(api.has_machine, what=what, deadline=deadline, watched=[region.process])


def _start(layout: Layout, name: str, command: tuple[str, ...]) -> Process:
    return start(name, command, log=layout.log_of(name), env=environment(layout.marker))
