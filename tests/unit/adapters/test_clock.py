"""The system clock: it moves, and sleeping waits."""

import time

from orrery.adapters.clock import SystemClock
from orrery.ports import Clock


def test_now_is_the_wall_clock() -> None:
    clock: Clock = SystemClock()

    assert abs(clock.now() - time.time()) < 5


async def test_sleep_waits_at_least_as_long_as_asked() -> None:
    clock: Clock = SystemClock()
    start = clock.monotonic()

    await clock.sleep(0.02)

    assert clock.monotonic() - start >= 0.019
