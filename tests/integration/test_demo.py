"""The tour ends cleanly, however it ends."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.polling import until
from tests.lab.requirements import require_nomad

from orrery.playground.processes import Process, kill, marked
from orrery.playground.servers import find_nomad
from orrery.playground.state import Layout, NomadKind, State

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOKED_AT = b"The planet stays up until Ctrl-C."


@dataclass(frozen=True, slots=True)
class Ended:
    """What a tour said, how it ended, and which processes it left."""

    code: int
    out: str
    error: str
    left: list[Process]


@dataclass(frozen=True, slots=True)
class Tour:
    """A tour that goes on, on a planet of its own."""

    layout: Layout
    process: asyncio.subprocess.Process

    async def is_up(self) -> State:
        """Wait until the planet is up."""

        def up() -> State | None:
            state = self.layout.read()
            return state if state and state.ready else None

        return await until(up, seconds=120)

    async def end(self) -> Ended:
        """Wait for the end."""
        out, error = await self.process.communicate()
        assert self.process.returncode is not None
        left = marked(self.layout.marker)
        return Ended(self.process.returncode, out.decode(), error.decode(), left)

    async def interrupt(self, number: signal.Signals) -> Ended:
        """Interrupt the tour, unless it is over, and wait for the end."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.end()


Tours = Mapping[NomadKind, Tour]


def words(layout: Layout, nomad: NomadKind = NomadKind.SIMULATED) -> tuple[str, ...]:
    return ("demo", "--nomad", nomad, "--regions", "2", "--directory", str(layout.root))


async def begin(directory: Path, nomad: NomadKind = NomadKind.SIMULATED) -> Tour:
    """Begin a tour of two regions below *directory*."""
    layout = Layout.of(directory / "demo")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orrery", *words(layout, nomad)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Tour(layout, process)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def tours(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tours]:
    """Begin a tour on simulated regions and one on real ones: they mostly wait, so tests go on."""
    kinds = list(NomadKind) if find_nomad() else [NomadKind.SIMULATED]
    begun = {kind: await begin(tmp_path_factory.mktemp(kind), kind) for kind in kinds}
    yield begun
    for tour in begun.values():
        await tour.interrupt(signal.SIGTERM)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[signal.Signals, Ended]:
    """Begin two tours, and interrupt each in its own way."""
    tours = [await begin(tmp_path_factory.mktemp(number.name)) for number in SIGNALS]
    for tour in tours:
        await tour.is_up()
    pairs = zip(tours, SIGNALS, strict=True)
    ends = await asyncio.gather(*(tour.interrupt(number) for tour, number in pairs))
    return dict(zip(SIGNALS, ends, strict=True))


@pytest.mark.parametrize("number", SIGNALS)
async def test_demo_that_is_interrupted_takes_everything_down(
    number: signal.Signals, interrupted: Mapping[signal.Signals, Ended]
) -> None:
    end = interrupted[number]

    assert end.code == 1
    assert "Error: the tour was interrupted\n" in end.error
    assert end.left == []


async def test_demo_that_fails_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    tour = await begin(tmp_path)
    operator = (await tour.is_up()).operator
    assert operator
    kill(operator)

    end = await tour.end()

    assert end.code == 1
    assert "operator died while waiting until" in end.error
    assert "the end of" in end.error
    assert f"logs are in {tour.layout.logs}" in end.error
    assert end.left == []


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
    async with on_a_terminal(*words(layout)) as (process, shown), asyncio.timeout(240):
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


@pytest.mark.parametrize("nomad", NomadKind)
async def test_demo_ends_with_0_and_leaves_nothing_behind(nomad: NomadKind, tours: Tours) -> None:
    if nomad is NomadKind.REAL:
        require_nomad()

    end = await tours[nomad].end()

    assert end.code == 0, end.out[-2000:] + end.error
    assert "[7/7]" in end.out
    assert "1 Open, 1 Unreachable" in end.out
    assert "changing override big-in-us of was: scaling.count: 2 -> 3\n" in end.out
    assert "deleting GlobalDeployment shop, which runs in fra, was\n" in end.out
    assert "shop is gone, and its jobs in fra, was before it, after " in end.out
    assert "look:" not in end.out, "nothing is left to look at"
    assert end.out.count("demo --keep") == 1
    assert end.left == []
    assert tours[nomad].layout.read() is None
