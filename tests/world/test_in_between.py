"""What happens while something else is under way: it is seen all the same, and soon."""

import asyncio
from typing import Any

import pytest
from tests.builders import a_deployment
from tests.fakes.world import TENANT, World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.api.conditions import Reason
from orrery.engine.queue import Priority
from orrery.errors import Unreachable
from orrery.ports import Key, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)


class Abyss(MemoryNomad):
    """A region that can begin to take every call and answer none."""

    silent = False

    async def arrive(self) -> None:
        if self.silent:
            await asyncio.sleep(15)
            raise Unreachable(Reason.REGION_UNREACHABLE, "no answer in time")
        await super().arrive()


def hush(world: World, region: str) -> None:
    nomad = world.regions[region]
    assert isinstance(nomad, Abyss)
    nomad.silent = True


async def at_rest(world: World) -> Key:
    """Apply a deployment, and wait until nothing is left to be done about it."""
    key = world.apply(a_deployment())
    await world.until(lambda: world.is_ready(key))
    await world.settle(60)
    return key


async def mending(world: World, region: str, count: int = 7) -> float:
    """Scale a job by hand; return the seconds until that is undone."""
    loop = asyncio.get_running_loop()
    nomad, job = world.regions[region], world.job(region)
    assert job is not None
    group = job["TaskGroups"][0]
    began, registers = loop.time(), nomad.writes["register"]
    nomad.edit(TENANT, "shop", TaskGroups=[{**group, "Count": count}])
    await world.until(lambda: nomad.writes["register"] > registers)
    return loop.time() - began


async def test_an_edit_before_the_first_pass_after_a_start_is_undone() -> None:
    async with a_world(["fra", "par"], nomad=Abyss) as world:
        await at_rest(world)

        hush(world, "par")
        await world.restart_operator()
        await world.settle(5)

        assert await mending(world, "fra") < 15


async def test_a_change_that_a_list_tells_of_does_not_wait_for_the_other_regions() -> None:
    async with a_world(["fra", "par"], nomad=Abyss) as world:
        key = await at_rest(world)
        hush(world, "par")
        await world.restart_operator()
        await world.settle(1)

        world.hub.observer = None
        world.apply(a_deployment(scaling={"count": 5}))
        world.controller.observe(key.kind, None, world.hub.objects[key])
        await world.settle(1)

        job = world.job("fra")
        assert job
        assert job["TaskGroups"][0]["Count"] == 5


async def test_a_status_is_that_of_the_end_of_a_look_that_a_change_overtook() -> None:
    async with a_world(["fra"]) as world:
        key = await at_rest(world)

        world.regions["fra"].latency = 2.0
        world.controller._fleet.look("fra", key, priority=Priority.NEWS)
        await asyncio.sleep(0.1)
        world.apply(a_deployment(scaling={"count": 3}))
        await asyncio.sleep(1.5)
        world.apply(a_deployment())
        await world.settle(30)

        assert world.is_ready(key)
        assert world.regional(key)["fra"]["phase"] == "Healthy"


async def test_a_lost_reply_does_not_make_later_repairs_slow() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["fra"].lose_replies = 1
        world.apply(a_deployment(scaling={"count": 3}))
        await world.settle(60)

        assert await mending(world, "fra") < 1


async def test_a_busy_loop_makes_looks_wait_and_no_repair() -> None:
    async with a_world(["fra"]) as world:
        await at_rest(world)

        world.controller._lag.seconds = 1e6

        assert world.controller._lag.patience > 1
        assert await mending(world, "fra") < 1


async def test_what_a_user_waits_for_stays_urgent_when_a_call_to_the_hub_fails() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        reconcile = world.controller._deployments.reconcile
        told: list[Priority] = []

        async def failing_once(asked: Any, priority: Priority) -> Any:
            told.append(priority)
            if len(told) == 1:
                raise Unreachable(Reason.REGION_UNREACHABLE, "the hub does not answer")
            return await reconcile(asked, priority)

        world.controller._deployments.reconcile = failing_once  # type: ignore[assignment,method-assign]  # fails once
        world.apply(a_deployment(scaling={"count": 3}))
        await world.settle(10)

        assert told[:2] == [Priority.USER, Priority.USER]


async def test_regions_are_named_before_anything_is_registered_there() -> None:
    async with a_world(["fra"]) as world:
        key = Key(Kind.GLOBAL_DEPLOYMENT, "team-a", "shop")
        nomad, told = world.regions["fra"], []
        register = nomad.register_job

        async def listening(*positional: Any, **keywords: Any) -> None:
            told.append(world.regional(key))
            await register(*positional, **keywords)

        nomad.register_job = listening  # type: ignore[method-assign]  # hands through
        world.hub.latency = 1.0
        assert world.apply(a_deployment()) == key
        await world.until(lambda: world.is_ready(key))

        assert [set(regions) for regions in told] == [{"fra"}]


async def test_a_returned_region_gets_no_spec_of_the_time_before_its_silence() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)

        world.regions["fra"].dark = True
        world.apply(a_deployment(docker={"image": "registry.example/shop:2"}))
        await world.settle(60)
        world.apply(a_deployment(docker={"image": "registry.example/shop:3"}))
        await world.settle(10)
        world.regions["fra"].dark = False
        await world.until(lambda: world.is_ready(key))

        assert world.registers() == {"fra": 2}


async def test_a_region_that_names_a_leader_and_lists_nothing_is_not_open() -> None:
    async with a_world(["fra"]) as world:
        world.regions["fra"].list_jobs = asyncio.Event().wait  # type: ignore[assignment,method-assign]  # hangs
        await world.restart_operator()
        await world.settle(20)

        assert not world.controller.ready
