"""What `down` removes besides the processes on record: tasks, mounts, files."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Final

from orrery.playground.processes import marked, stop
from orrery.playground.state import Layout

_TASK_GRACE: Final = 3.0


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
