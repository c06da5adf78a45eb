"""The tour ends cleanly, however it ends."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from tests.lab.verbs import orrery

from orrery.playground.processes import await_ready, kill
from orrery.playground.state import Layout, State


async def started(layout: Layout) -> State:
    """Wait until somebody else's planet is up."""

    async def is_up() -> bool:
        state = layout.read()
        return state is not None and state.ready

    await await_ready(is_up, what="the planet is up", deadline=120)
    return layout.require()


async def test_demo_ends_with_0_and_leaves_nothing_behind(tmp_path: Path) -> None:
    said = await orrery(
        "demo", "--nomad", "simulated", "--regions", "2", "--directory", str(tmp_path / "demo")
    )

    assert said.code == 0, said.out[-2000:] + said.error
    assert "[7/7]" in said.out
    assert "1 Open, 1 Unreachable" in said.out
    assert f"kubectl --kubeconfig {tmp_path}/demo/kubeconfig get gd" in said.out
    assert Layout.of(tmp_path / "demo").read() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_demo_that_is_interrupted_takes_everything_down(
    number: signal.Signals, tmp_path: Path
) -> None:
    layout = Layout.of(tmp_path / "demo")
    words = ("demo", "--nomad", "simulated", "--directory", str(layout.root))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orrery", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    state = await started(layout)
    process.send_signal(number)

    _, error = await process.communicate()

    assert process.returncode == 1
    assert "Error: the tour was interrupted\n" in error.decode()
    assert not any(one.alive for one in state.processes)


async def test_demo_that_fails_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "demo")
    tour = asyncio.create_task(
        orrery("demo", "--nomad", "simulated", "--directory", str(layout.root))
    )
    state = await started(layout)
    assert state.operator
    kill(state.operator)

    said = await tour

    assert said.code == 1
    assert "operator died while waiting until" in said.error
    assert "the end of" in said.error
    assert f"logs are in {layout.logs}" in said.error
    assert not any(process.alive for process in state.processes)
