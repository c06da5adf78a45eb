"""Control groups: the one trace of a node that does not end with its room.

All pods of a node are below one group, which carries the number of the room's first process. A
test run that was killed leaves it, without processes; the next one removes it.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.lab.node.requirements import cgroup_hierarchies

PREFIX: Final = "orrery-lab-"


def group_name(pid: int) -> str:
    """Name the group of the node whose room has the first process *pid*."""
    return f"{PREFIX}{pid}"


def groups() -> list[Path]:
    """List the groups of all nodes, once for each hierarchy."""
    found = (path for folder in cgroup_hierarchies() for path in folder.glob(f"{PREFIX}*"))
    return sorted(found)


def create_group(name: str) -> None:
    """Make the group *name*, and forget those whose rooms are closed."""
    for group in groups():
        if not Path(f"/proc/{group.name.removeprefix(PREFIX)}").exists():
            _remove(group)
    for hierarchy in cgroup_hierarchies():
        (hierarchy / name).mkdir()


def remove_group(name: str) -> None:
    """Remove the group *name* and all below it; their processes have ended."""
    for group in groups():
        if group.name == name:
            _remove(group)


def _remove(group: Path) -> None:
    for folder in sorted(group.glob("**/"), reverse=True):
        # Two test runs may find the same group of a third.
        with suppress(FileNotFoundError):
            folder.rmdir()
