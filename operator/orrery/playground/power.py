"""Kill a region as a power failure would, and bring it back."""

from dataclasses import replace
from pathlib import Path

from orrery.playground.agents import revive_region
from orrery.playground.failures import WrongState
from orrery.playground.lifecycle import silent, with_region
from orrery.playground.processes import await_end, stop
from orrery.playground.processes import kill as kill_process
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.servers import Progress
from orrery.playground.state import Layout, NomadKind, RegionRecord


async def kill(directory: Path, region: str, progress: Progress = silent) -> None:
    """End a region's agent, as a power failure would.

    With real Nomad its tasks go on: a region is a satellite, and so is each of its machines. A
    simulated region may save what it knows, which stands for Nomad's own log on disk.
    """
    layout = Layout.of(directory)
    layout.require()
    with layout.exclusively():
        state = layout.require()
        record = state.region(region)
        if not record.process.alive:
            raise WrongState(f"region '{region}' is down already: `revive` brings it back")
        layout.write(with_region(state, replace(record, killed=True)))
        real = state.nomad_kind is NomadKind.REAL
        if real:
            kill_process(record.process)
            await await_end(record.process)
        else:
            await stop(record.process)
        _tell_programs(layout)
    progress(f"killed region {region}" + (": its agent is gone, its tasks go on" if real else ""))


async def revive(directory: Path, region: str, progress: Progress = silent) -> None:
    """Start a region's agent again, with the data it had, and wait until it is usable."""
    layout = Layout.of(directory)
    layout.require()
    with layout.exclusively():
        record = layout.require().region(region)
        if record.process.alive:
            raise WrongState(f"region '{region}' runs already")

        def remember(revived: RegionRecord) -> None:
            layout.write(with_region(layout.require(), revived))

        progress(f"starting region {region} with the data it had")
        await revive_region(layout, record, record=remember)
        _tell_programs(layout)
    progress(f"region {region} is back")


def _tell_programs(layout: Layout) -> None:
    write_regions_file(layout.regions_file, entries_of(layout, layout.require()))
