"""Ctrl-C ends what is under way, and never what takes things down."""

import asyncio
import os
import signal

import pytest

from orrery.playground.interruption import cancel_on_signals, to_the_end


async def test_what_takes_things_down_is_done_to_its_end() -> None:
    said: list[str] = []
    ended = asyncio.Event()

    async def take_down() -> str:
        await ended.wait()
        return "down"

    task = asyncio.create_task(to_the_end(take_down(), said.append))
    for times in range(1, 4):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert said == ["still taking down, a moment"] * times
    ended.set()

    assert await task == "down"
    assert not task.cancelling()


async def test_what_goes_wrong_on_the_way_is_raised() -> None:
    async def take_down() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await to_the_end(take_down(), print)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_cancel_what_is_under_way_each_time(number: signal.Signals) -> None:
    cancelled = 0

    async def work() -> None:
        nonlocal cancelled
        cancel_on_signals()
        for _ in range(2):
            os.kill(os.getpid(), number)
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled += 1

    asyncio.run(work())

    assert cancelled == 2
