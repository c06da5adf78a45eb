"""A room on this machine: processes, mounts and links in it end with it, whatever happens.

Three namespaces of the kernel and a first process. What a node does to a machine, and that is a
lot (packet filters, forwarding, mounts, shims that outlive their parents by design), it does to
the room. Several rooms stand side by side, and none needs to know which ports others use.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.lab.node import first_process
from tests.lab.node.requirements import SEARCH_PATH, find_program

from orrery.playground.failures import NotReady
from orrery.playground.processes import Process, await_end, environment, start

HIDDEN: Final = ("/run", "/var/lib", "/var/log")
"""What runtimes write to outside of the folders they are told to use: in the room it is memory."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room that is open, known by its first process."""

    pid: int
    namespace: Path
    """What its processes share, pods included; no other process ever has it."""
    marker: str
    """In the environment of all that is started here."""
    started: list[Process] = field(default_factory=list)

    def start(self, name: str, *command: str, log: Path) -> Process:
        """Start a program in the room; the record is of the one that waits for it outside."""
        process = start(name, self._entered(command), log=log, env=self._environment())
        self.started.append(process)
        return process

    async def run(self, *command: str) -> str:
        """Run a program in the room to its end, and return what it says."""
        return await run(*self._entered(command), env=self._environment())

    def outside(self, path: str) -> Path:
        """Return where the outside finds *path* of the room."""
        return Path(f"/proc/{self.pid}/root") / path.removeprefix("/")

    def _entered(self, command: tuple[str, ...]) -> list[str]:
        namespaces = ["--net", "--mount", "--pid"]
        return [find_program("nsenter"), f"--target={self.pid}", *namespaces, "--", *command]

    def _environment(self) -> dict[str, str]:
        return environment(self.marker, {"PATH": SEARCH_PATH})


@asynccontextmanager
async def a_room(marker: str) -> AsyncIterator[Room]:
    """Open a room; at the end all its processes are gone, and so is what they made."""
    child = await asyncio.create_subprocess_exec(
        find_program("unshare"),
        *("--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"),
        *(sys.executable, "-I", "-S", first_process.__file__, *HIDDEN),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(marker, {"PATH": SEARCH_PATH}),
        # Ctrl-C in this terminal is for the test, which closes the pipe.
        start_new_session=True,
    )
    assert child.stdin, "asked for above"
    assert child.stdout, "asked for above"
    started: list[Process] = []
    try:
        said = (await child.stdout.readline()).strip()
        if not said:
            raise NotReady("no room could be opened: its first process ended while preparing it")
        pid = int(said)
        yield Room(pid, _namespace(pid), marker, started)
    finally:
        child.stdin.close()
        await child.wait()
        for process in started:
            await await_end(process)


async def run(*command: str, env: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it says; it must succeed."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env or os.environ | {"PATH": SEARCH_PATH},
    )
    try:
        said, _ = await child.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    text = said.decode(errors="replace")
    if child.returncode:
        raise NotReady(f"`{' '.join(command)}` failed: {text.strip()}")
    return text


def inhabitants(room: Room) -> list[int]:
    """List the processes of a room, which are those of its process namespace."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may be gone by now, and some of others are not shown even to root.
        with suppress(OSError):
            if _namespace(int(entry.name)) == room.namespace:
                found.append(int(entry.name))
    return found


def _namespace(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/pid").readlink()
