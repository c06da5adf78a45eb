"""Sweep: comes again and again, never at the very same pace."""

import asyncio
from random import Random

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.sweep import every


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_a_sweep_comes_about_every_interval() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def sweep() -> None:
        times.append(loop.time())

    task = asyncio.create_task(every(100, sweep, clock=LoopClock(), random=Random(0)))
    await asyncio.sleep(10_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    pauses = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert all(80 <= pause <= 120 for pause in pauses)
    assert len(set(pauses)) == len(pauses) > 80
