"""A hub is made anew in any order: what regions run is taken over, not written to, not stopped."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from tests.builders import a_class, a_continent, a_deployment, a_region, region_secret
from tests.fakes.world import World, a_world

from orrery.adapters.memory import MemoryHub
from orrery.ports import Key, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)

REGIONS = ("fra", "was")
SLEEP = {"name": "sleep", "nomadDriver": "raw_exec", "config": {"command": "/bin/sleep"}}
NAMES = tuple(f"app-{number:02}" for number in range(60))
UNDER_WAY = 0.5
"""Seconds after which passes over the deployments have begun, and few are over."""


class BusyHub(MemoryHub):
    """Takes its time for deployments, as an API server does that is asked for hundreds at once."""

    chance = Random(1)

    async def write_status(self, key: Key, uid: str, status: Any) -> None:
        busy = key.kind is Kind.GLOBAL_DEPLOYMENT
        await asyncio.sleep(self.chance.uniform(0.1, 1) if busy else 0)
        await super().write_status(key, uid, status)


@asynccontextmanager
async def a_rebuilt_world() -> AsyncIterator[World]:
    """Have everything deployed from one hub, and go on with a new one that knows nothing."""
    async with a_world(REGIONS) as world:
        world.apply(a_class(drivers=[SLEEP]))
        keys = [world.apply(a_deployment(name)) for name in NAMES]
        await world.until(lambda: all(map(world.is_ready, keys)))
        await world.controller.stop()
        world.forget_counts()
        rebuilt = World(BusyHub(latency=0.005, lag=0.02), world.regions)
        for name in REGIONS:
            rebuilt.hub.secrets["orrery-system", f"{name}-nomad"] = region_secret(name)
        await rebuilt.controller.start()
        try:
            yield rebuilt
        finally:
            await rebuilt.controller.stop()


def the_class(world: World) -> None:
    world.apply(a_class(drivers=[SLEEP]))


def a_second_region(world: World) -> None:
    world.apply(a_region("fra"))


@pytest.mark.parametrize("comes_last", [the_class, a_second_region])
async def test_what_comes_after_the_deployments_has_no_job_changed_or_stopped(
    comes_last: Callable[[World], None],
) -> None:
    """A pass that began before it came knew too little, and must not act on that."""
    async with a_rebuilt_world() as world:
        world.apply(a_continent("eu"))
        for apply in (the_class, a_second_region):
            if apply is not comes_last:
                apply(world)
        world.apply(a_region("was"))
        keys = [world.apply(a_deployment(name)) for name in NAMES]
        await world.settle(UNDER_WAY)

        comes_last(world)
        await world.until(lambda: all(map(world.is_ready, keys)))
        await world.settle(60)

        written: Counter[str] = sum((world.regions[r].writes for r in REGIONS), Counter())
        assert written == {}
