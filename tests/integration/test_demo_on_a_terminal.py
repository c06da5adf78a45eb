"""The tour on a terminal: it says how to look at the planet, which stays up until Ctrl-C."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from orrery.playground.processes import marked
from orrery.playground.state import Layout

LOOKED_AT = b"The planet stays up until Ctrl-C."


@asynccontextmanager
async def on_a_terminal(
    *words: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """Run `orrery` with a terminal of its own; yield it, and what the terminal shows."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orrery", *words), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(shown), os.fdopen(ours, "rb", buffering=0)
    )
    try:
        yield process, shown
    finally:
        transport.close()


async def test_demo_on_a_terminal_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "demo")
    words = ("demo", "--nomad", "simulated", "--regions", "2", "--directory", str(layout.root))
    async with on_a_terminal(*words) as (process, shown), asyncio.timeout(240):
        tour = await shown.readuntil(LOOKED_AT)
        state = layout.require()
        alive = [one.alive for one in state.processes]
        process.send_signal(signal.SIGINT)
        await shown.readuntil(b"taking the planet down")
        process.send_signal(signal.SIGINT)
        await shown.readuntil(b"still taking down, a moment")

        code = await process.wait()

    assert code == 0
    assert all(alive)
    assert f"look: kubectl --kubeconfig {layout.kubeconfig} get gd" in tour.decode()
    assert not any(one.alive for one in state.processes)
    assert marked(layout.marker) == []
