"""Processes that outlive the command that started them.

Each has its own session, a log file, a clean environment, and a record of process id *and* start
time: a process id that the system has since given to somebody else is never signalled.
"""

import asyncio
import atexit
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orrery.playground.failures import NotReady

MARKER: Final = "ORRERY_PLAYGROUND"
"""In the environment of every process of a playground, and of what those start: its directory."""

POLL: Final = 0.1
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER")

_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this very process started, to be reaped when it ends."""


@atexit.register
def _let_go() -> None:
    """Reap what has ended; what still runs is meant to outlive us, and Popen need not warn."""
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0


@dataclass(frozen=True, slots=True)
class Process:
    """A process on record."""

    name: str
    pid: int
    started: str
    """When the system says it started, in the system's own words."""
    log: Path

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _start_time(self.pid) == self.started

    def log_tail(self, lines: int = 15) -> str:
        """Return the last *lines* of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"


def environment(marker: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment of a server: the few variables it needs, and nothing of the user's.

    A stray variable changes servers in surprising ways: AWS_CA_BUNDLE keeps Nomad from starting.
    """
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {MARKER: marker} | dict(extra or {})


def start(name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Process:
    """Start *command* in a session of its own, so that Ctrl-C in this terminal does not end it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - a list, without a shell, made by us
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
        )
    _children[child.pid] = child
    return Process(name, child.pid, _start_time(child.pid) or "ended", log)


def kill(process: Process) -> None:
    """End *process* at once, as a power failure would."""
    _signal(process, signal.SIGKILL)


async def stop(process: Process, *, grace: float = 10.0) -> None:
    """Ask *process* to end, and end it after *grace* seconds."""
    _signal(process, signal.SIGTERM)
    if not await _ended(process, grace):
        _signal(process, signal.SIGKILL)
        await _ended(process, grace)


async def await_end(process: Process, *, deadline: float = 10.0) -> None:
    """Wait until *process* is gone."""
    if not await _ended(process, deadline):
        raise NotReady(f"{process.name} (process {process.pid}) did not end in {deadline:.0f} s")


async def await_ready(
    probe: Callable[[], Awaitable[bool]],
    *,
    what: str,
    deadline: float,
    watched: Sequence[Process] = (),
) -> None:
    """Ask *probe* until it says yes.

    Fails with the end of the log when one of the *watched* processes dies, or when *deadline*
    seconds have passed.
    """
    end = time.monotonic() + deadline
    while not await probe():
        for process in watched:
            if not process.alive:
                raise NotReady(
                    f"{process.name} died while waiting until {what}; {_last_words(process)}"
                )
        if time.monotonic() > end:
            logs = "; ".join(_last_words(process) for process in watched)
            raise NotReady(f"gave up after {deadline:.0f} s waiting until {what}; {logs}")
        await asyncio.sleep(POLL)


def marked(marker: str) -> list[Process]:
    """List the running processes that carry *marker* in their environment.

    Finds what our processes started themselves, such as the tasks of a Nomad agent that was
    killed. Needs /proc, so only Linux gives an answer.
    """
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        started = _start_time(int(entry.name)) if wanted in variables else None
        if started and int(entry.name) != os.getpid():
            found.append(Process("task", int(entry.name), started, Path(os.devnull)))
    return found


def _last_words(process: Process) -> str:
    return f"the end of {process.log}:\n{process.log_tail()}"


def _signal(process: Process, number: signal.Signals) -> None:
    if process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


async def _ended(process: Process, deadline: float) -> bool:
    end = time.monotonic() + deadline
    while process.alive:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(POLL)
    return True


def _start_time(pid: int) -> str | None:
    """Tell when process *pid* started, None when it is gone or has ended and waits to be reaped."""
    child = _children.get(pid)
    if child and child.poll() is not None:
        del _children[pid]
        return None
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    shown = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def _start_time_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold any character, parentheses included.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else f"{boot}/{fields[18]}"
