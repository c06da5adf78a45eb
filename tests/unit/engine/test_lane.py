"""Lane: what a pass answers decides when its key comes again; a dark remote holds the lane."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.lane import PASS_LIMIT, Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Dark, Done, Result, Retry, RetryQuickly
from orrery.telemetry import Telemetry

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


class Passes:
    """Notes when each key was worked on, and answers as told."""

    def __init__(self, *answers: Result, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.log: list[tuple[str, float]] = []
        self.running = 0
        self.most_running = 0

    async def __call__(self, key: str) -> Result:
        self.log.append((key, asyncio.get_running_loop().time()))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        return self.answers.pop(0) if self.answers else Done()

    @property
    def times(self) -> list[float]:
        return [moment for _, moment in self.log]


@asynccontextmanager
async def running(
    work: Callable[[str], Awaitable[Result]],
    *,
    workers: int = 2,
    telemetry: Telemetry | None = None,
    crashed: Callable[[BaseException], None] | None = None,
) -> AsyncIterator[Lane[str]]:
    lane: Lane[str] = Lane(
        "fra",
        work,
        clock=LoopClock(),
        workers=workers,
        random=Random(0),
        telemetry=telemetry,
        crashed=crashed,
    )
    lane.start()
    try:
        yield lane
    finally:
        await lane.stop()


async def test_a_key_that_is_done_does_not_come_again() -> None:
    passes = Passes(Done())

    async with running(passes) as lane:
        lane.add("shop")
        await asyncio.sleep(1000)

    assert passes.log == [("shop", 0)]


async def test_again_comes_after_exactly_its_time() -> None:
    passes = Passes(Again(30), Again(5), Done())

    async with running(passes) as lane:
        lane.add("shop")
        await asyncio.sleep(1000)

    assert passes.times == [0, 30, 35]


async def test_retries_come_after_growing_pauses() -> None:
    passes = Passes(*[Retry()] * 8)

    async with running(passes) as lane:
        lane.add("shop")
        await asyncio.sleep(1000)

    pauses = [b - a for a, b in zip(passes.times, passes.times[1:], strict=False)]
    assert len(pauses) == 8
    assert all(pause <= 0.5 * 2**n for n, pause in enumerate(pauses))
    assert sum(pauses) > 10


async def test_a_conflict_is_tried_again_at_once() -> None:
    passes = Passes(RetryQuickly(), RetryQuickly())

    async with running(passes) as lane:
        lane.add("shop")
        await asyncio.sleep(1)

    assert len(passes.log) == 3
    assert passes.times[-1] < 0.2


async def test_no_more_passes_run_at_once_than_there_are_workers() -> None:
    passes = Passes(takes=1)

    async with running(passes, workers=3) as lane:
        for number in range(9):
            lane.add(f"shop-{number}")
        await asyncio.sleep(2.5)

    assert passes.most_running == 3
    assert len(passes.log) == 9


async def test_a_dark_remote_costs_one_try_at_a_time() -> None:
    passes = Passes(*[Dark()] * 1000)

    async with running(passes, workers=8) as lane:
        for number in range(100):
            lane.add(f"shop-{number}")
        await asyncio.sleep(120)
        dark = lane.is_dark

    assert dark
    assert len(passes.log) < 30


async def test_all_keys_of_a_dark_lane_are_worked_on_when_it_wakes() -> None:
    passes = Passes(*[Dark()] * 20)

    async with running(passes) as lane:
        for number in range(50):
            lane.add(f"shop-{number}")
        await asyncio.sleep(30)
        passes.answers.clear()
        before = len(passes.log)
        woken_at = asyncio.get_running_loop().time()
        lane.wake()
        await asyncio.sleep(0.5)

    assert {key for key, _ in passes.log[before:]} == {f"shop-{n}" for n in range(50)}
    assert passes.times[before] == woken_at


async def test_a_try_that_is_answered_opens_the_lane_without_being_woken() -> None:
    passes = Passes(*[Dark()] * 4)

    async with running(passes) as lane:
        for number in range(20):
            lane.add(f"shop-{number}")
        await asyncio.sleep(30)
        dark = lane.is_dark

    assert not dark
    assert {key for key, _ in passes.log} == {f"shop-{n}" for n in range(20)}


async def test_a_user_change_overtakes_a_sweep() -> None:
    passes = Passes(takes=1)

    async with running(passes, workers=1) as lane:
        for number in range(5):
            lane.add(f"swept-{number}", priority=Priority.RESYNC)
        await asyncio.sleep(0.5)
        lane.add("changed")
        await asyncio.sleep(10)

    assert passes.log[1][0] == "changed"


async def test_a_paused_lane_starts_nothing_until_it_is_resumed() -> None:
    passes = Passes()

    async with running(passes) as lane:
        lane.pause()
        lane.add("shop")
        await asyncio.sleep(60)
        assert passes.log == []
        lane.resume()
        await asyncio.sleep(1)

    assert passes.log == [("shop", 60)]


async def test_stop_lets_a_running_pass_end_and_starts_no_other() -> None:
    passes = Passes(takes=3)
    ended = []

    async def work(key: str) -> Result:
        result = await passes(key)
        ended.append(key)
        return result

    async with running(work, workers=1) as lane:
        lane.add("first")
        lane.add("second")
        await asyncio.sleep(1)

    assert ended == ["first"]


async def test_stop_cancels_a_pass_that_does_not_end() -> None:
    passes = Passes(takes=10_000)

    async with running(passes) as lane:
        lane.add("stuck")
        await asyncio.sleep(1)
        started = asyncio.get_running_loop().time()
        await lane.stop(within=5)

    assert asyncio.get_running_loop().time() - started == 5
    assert passes.running == 0


async def test_a_pass_that_hangs_is_given_up_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hang = [True]

    async def work(key: str) -> Result:
        if hang.pop() if hang else False:
            await asyncio.sleep(100_000)
        return Done()

    with caplog.at_level(logging.ERROR):
        async with running(work) as lane:
            lane.add("shop")
            await asyncio.sleep(PASS_LIMIT - 1)
            assert lane.busy_for == PASS_LIMIT - 1
            await asyncio.sleep(10)
            assert lane.busy_for == 0

    assert "given up" in caplog.text
    assert not hang


async def test_a_bug_that_escapes_a_pass_is_told_and_never_swallowed() -> None:
    crashes: list[BaseException] = []

    async def work(key: str) -> Result:
        raise ZeroDivisionError

    async with running(work, crashed=crashes.append) as lane:
        lane.add("shop")
        await asyncio.sleep(1)

    assert [type(error) for error in crashes] == [ZeroDivisionError]


async def test_a_lane_shows_its_depth_and_its_breaker_while_it_lives() -> None:
    telemetry = Telemetry()

    async with running(Passes(*[Dark()] * 99), telemetry=telemetry) as lane:
        for number in range(5):
            lane.add(f"shop-{number}")
        await asyncio.sleep(10)
        page = telemetry.page().decode()

    assert 'orrery_queue_depth{lane="fra"} 5.0' in page
    assert 'orrery_breaker_open{lane="fra"} 1.0' in page
    assert 'lane="fra"' not in telemetry.page().decode()


class BusyClock(LoopClock):
    """A clock that also moves while passes compute."""

    def __init__(self) -> None:
        self.computed = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.computed


async def test_passes_that_wait_for_nothing_let_everybody_else_have_their_turn() -> None:
    clock = BusyClock()
    turns: list[int] = []
    passes = 0

    async def compute(_: str) -> Result:
        nonlocal passes
        passes += 1
        clock.computed += 0.004
        return Done()

    async def somebody_else() -> None:
        while passes < 100:
            turns.append(passes)
            await asyncio.sleep(0)

    lane: Lane[str] = Lane("sweep", compute, clock=clock, workers=4, random=Random(0))
    for number in range(100):
        lane.add(f"key-{number}", priority=Priority.RESYNC)
    lane.start()
    await somebody_else()
    await lane.stop()
    waits = [after - before for before, after in pairwise([*turns, passes])]
    assert max(waits) <= 3 + 4, "three fill a turn, and each worker may just have begun one more"
