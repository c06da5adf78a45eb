"""Kill a region, or the operator, as a power failure would, and bring it back."""

from dataclasses import replace
from pathlib import Path

from orrery.playground.agents import revive_region
from orrery.playground.failures import WrongState
from orrery.playground.kubeapi import KubeApi
from orrery.playground.lifecycle import silent, with_region
from orrery.playground.operator_process import await_leading, leader, start_operator
from orrery.playground.processes import Process, await_end, stop
from orrery.playground.processes import kill as kill_process
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.servers import Progress
from orrery.playground.state import OPERATOR, Layout, NomadKind, RegionRecord, State


async def kill(directory: Path, name: str, progress: Progress = silent) -> None:
    """End a region's agent, or the operator, as a power failure would.

    With real Nomad its tasks go on: a region is a satellite, and so is each of its machines. A
    simulated region may save what it knows, which stands for Nomad's own log on disk.
    """
    layout = Layout.of(directory)
    layout.require()
    with layout.exclusively():
        state = layout.require()
        if name == OPERATOR:
            await _kill_operator(layout, state)
            progress("killed the operator")
        else:
            await _kill_region(layout, state, name, progress)


async def revive(directory: Path, name: str, progress: Progress = silent) -> None:
    """Start a region's agent again, or the operator, and wait until it is usable."""
    layout = Layout.of(directory)
    layout.require()
    with layout.exclusively():
        state = layout.require()
        if name == OPERATOR:
            await _revive_operator(layout, state, progress)
        else:
            await _revive_region(layout, state.region(name), progress)


async def _kill_region(layout: Layout, state: State, name: str, progress: Progress) -> None:
    record = state.region(name)
    if not record.process.alive:
        raise WrongState(f"region '{name}' is down already: `revive` brings it back")
    layout.write(with_region(state, replace(record, killed=True)))
    real = state.nomad_kind is NomadKind.REAL
    if real:
        kill_process(record.process)
        await await_end(record.process)
    else:
        await stop(record.process)
    _tell_programs(layout)
    progress(f"killed region {name}" + (": its agent is gone, its tasks go on" if real else ""))


async def _revive_region(layout: Layout, record: RegionRecord, progress: Progress) -> None:
    if record.process.alive:
        raise WrongState(f"region '{record.name}' runs already")

    def remember(revived: RegionRecord) -> None:
        layout.write(with_region(layout.require(), revived))

    progress(f"starting region {record.name} with the data it had")
    await revive_region(layout, record, record=remember)
    _tell_programs(layout)
    progress(f"region {record.name} is back")


async def _kill_operator(layout: Layout, state: State) -> None:
    process = _operator(state)
    if not process.alive:
        raise WrongState("the operator is down already: `revive` brings it back")
    layout.write(replace(state, operator_killed=True))
    kill_process(process)
    await await_end(process)


async def _revive_operator(layout: Layout, state: State, progress: Progress) -> None:
    if _operator(state).alive:
        raise WrongState("the operator runs already")

    def remember(revived: Process) -> None:
        layout.write(replace(state, operator=revived, operator_killed=False))

    progress("starting the operator; the lease of the one before takes up to 17 seconds to expire")
    async with KubeApi.of(layout.kubeconfig) as hub:
        before = await leader(hub)
        process = await start_operator(
            layout, state.operator_command, health_port=state.health_port, record=remember
        )
        await await_leading(hub, process, before=before)
    progress("the operator is back")


def _operator(state: State) -> Process:
    if not state.operator:
        raise WrongState("this playground was started without an operator")
    return state.operator


def _tell_programs(layout: Layout) -> None:
    write_regions_file(layout.regions_file, entries_of(layout, layout.require()))
