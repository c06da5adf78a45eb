"""End what runs, and remove what is left: processes on record, tasks, mounts, files."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Final

from orrery.playground import agents, kind
from orrery.playground.failures import PlaygroundError, WrongState
from orrery.playground.processes import marked, stop
from orrery.playground.state import Layout, State

_TASK_GRACE: Final = 3.0


async def take_down(layout: Layout, state: State) -> None:
    """End operator, regions, hub, in this order: nobody is missed by those who still run."""
    if state.operator:
        await stop(state.operator)
    await asyncio.gather(*(agents.stop_region(layout, region) for region in state.regions))
    for process in reversed(state.hub):
        await stop(process)
    await end_strays(layout.marker)
    if state.cluster and shutil.which("kind"):
        try:
            await kind.delete_cluster(state.cluster, layout.kubeconfig)
        except PlaygroundError as error:
            raise WrongState(
                f"the kind cluster {state.cluster} could not be deleted; `kind delete cluster"
                f" --name {state.cluster}` does it by hand: {error}"
            ) from error
    await asyncio.to_thread(remove_files, layout)


async def end_strays(marker: str) -> None:
    """End what our processes started and left: tasks outlive their Nomad agent, by design.

    They are known by the marker in their environment, which only descendants of ours carry.
    """
    await asyncio.gather(*(stop(process, grace=_TASK_GRACE) for process in marked(marker)))


def remove_files(layout: Layout) -> None:
    """Remove all files of the playground except its logs."""
    unmount_below(layout.regions)
    for folder in (layout.hub, layout.regions):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (layout.kubeconfig, layout.regions_file, layout.state_file):
        file.unlink(missing_ok=True)


def unmount_below(folder: Path) -> None:
    """Unmount what a Nomad agent that did not end by itself left below *folder*."""
    unmount = shutil.which("umount")
    if unmount is None:
        return
    for mount in _mounts_below(folder):
        subprocess.run([unmount, str(mount)], check=False, capture_output=True)  # noqa: S603 - below our folder


def _mounts_below(folder: Path) -> list[Path]:
    """List mount points below *folder*, innermost first: Nomad keeps secrets in memory that way."""
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    points = [Path(line.split()[4].replace("\\040", " ")) for line in table.splitlines()]
    return sorted((point for point in points if folder in point.parents), reverse=True)
