"""How late the loop is: nothing waits while it is idle, and never for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.lag import EVERY, LONGEST, Lag

pytestmark = pytest.mark.looptime(noop_cycles=0)


@asynccontextmanager
async def measuring(clock: LoopClock) -> AsyncIterator[Lag]:
    lag = Lag(clock)
    task = asyncio.create_task(lag.keep_measuring())
    try:
        yield lag
    finally:
        task.cancel()


async def test_nothing_waits_while_the_loop_is_idle() -> None:
    async with measuring(LoopClock()) as lag:
        await asyncio.sleep(10)

        assert lag.patience == pytest.approx(0, abs=1e-6)


async def test_looks_wait_after_the_loop_was_held_and_not_much_later() -> None:
    clock = LoopClock()
    clock.frozen_for = 0.1
    async with measuring(clock) as lag:
        await asyncio.sleep(EVERY + 0.1)
        await asyncio.sleep(0)

        assert lag.seconds == pytest.approx(0.1)
        assert lag.patience == pytest.approx(2)

        await asyncio.sleep(20 * EVERY)
        assert lag.patience < 0.05


async def test_no_look_waits_longer_than_it_may() -> None:
    clock = LoopClock()
    clock.frozen_for = 30
    async with measuring(clock) as lag:
        await asyncio.sleep(30 + EVERY)
        await asyncio.sleep(0)

        assert lag.seconds > 20
        assert lag.patience == LONGEST
