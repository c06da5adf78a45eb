"""Watchdog: what falls silent or takes too long is named, with the numbers."""

import asyncio

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.watchdog import Watchdog

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_all_is_well_while_signs_come_in_time() -> None:
    watchdog = Watchdog(LoopClock())
    watchdog.expect("watch of Region", within=60)

    for _ in range(5):
        await asyncio.sleep(50)
        watchdog.saw("watch of Region")

    assert watchdog.problems() == []


async def test_silence_is_named_with_its_length() -> None:
    watchdog = Watchdog(LoopClock())
    watchdog.expect("watch of Region", within=60)

    await asyncio.sleep(100)

    assert watchdog.problems() == [
        "watch of Region gave no sign for 100 s, allowed are 60 s",
    ]


async def test_a_late_sign_makes_it_well_again() -> None:
    watchdog = Watchdog(LoopClock())
    watchdog.expect("watch of Region", within=60)
    await asyncio.sleep(100)

    watchdog.saw("watch of Region")

    assert watchdog.problems() == []


async def test_what_takes_too_long_is_named() -> None:
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(LoopClock())
    watchdog.limit("a pass", loop.time, within=60)

    await asyncio.sleep(61)

    assert watchdog.problems() == ["a pass takes 61 s already, allowed are 60 s"]


async def test_nothing_is_demanded_of_what_is_forgotten_or_unknown() -> None:
    watchdog = Watchdog(LoopClock())
    watchdog.expect("watch of Region", within=60)
    await asyncio.sleep(100)

    watchdog.forget("watch of Region")
    watchdog.saw("somebody else")

    assert watchdog.problems() == []
