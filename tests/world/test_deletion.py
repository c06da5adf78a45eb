"""Deleting: a region that is away holds it for a while and no longer; too many stops are held."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.builders import a_deployment, a_region
from tests.fakes.clock import EPOCH
from tests.fakes.world import TENANT, World, a_world

from orrery.config import Config
from orrery.names import ANNOTATION_ALLOW_STOPS
from orrery.planning.budget import FLOOR
from orrery.ports import Key, Kind, Submission
from orrery.reconcile.report import timestamp

pytestmark = pytest.mark.looptime(noop_cycles=0)

HOUR = 3600.0
BOTH = {"regions": ["fra", "was"]}
FRA, WAS = Key(Kind.REGION, "", "fra"), Key(Kind.REGION, "", "was")


@asynccontextmanager
async def deleted_while_dark(**spec: Any) -> AsyncIterator[tuple[World, Key]]:
    """Delete a deployment in two regions, one of which is dark; it waits for an hour at most."""
    config = Config(deletion_wait_seconds=HOUR)
    async with a_world(["fra", "was"], config=config) as world:
        key = world.apply(a_deployment(placement=BOTH, **spec))
        await world.until(lambda: world.is_ready(key))
        world.regions["was"].dark = True
        await world.settle(60)
        world.hub.delete(key)
        await world.settle(60)
        yield world, key


def tombstones(world: World) -> list[tuple[str, str]]:
    told = world.status(WAS).get("tombstones", [])
    return [(tombstone["namespace"], tombstone["name"]) for tombstone in told]


async def test_a_deleted_object_waits_for_a_dark_region() -> None:
    async with deleted_while_dark() as (world, key):
        assert world.job("fra") is None
        assert key in world.hub.objects
        assert tombstones(world) == []

        world.regions["was"].dark = False
        await world.settle(60)

        assert key not in world.hub.objects
        assert world.job("was") is None


async def test_after_a_while_the_region_remembers_and_the_object_goes() -> None:
    async with deleted_while_dark() as (world, key):
        await world.settle(HOUR)
        assert key not in world.hub.objects
        assert tombstones(world) == [("team-a", "shop")]

        await world.restart_operator()
        await world.settle(60)
        assert tombstones(world) == [("team-a", "shop")]
        world.regions["was"].dark = False
        await world.settle(60)

        assert world.job("was") is None
        assert tombstones(world) == []


async def test_a_later_object_of_that_name_takes_the_job_over_on_return() -> None:
    async with deleted_while_dark() as (world, _):
        await world.settle(HOUR)

        key = world.apply(a_deployment(placement=BOTH))
        await world.settle(60)
        world.regions["was"].dark = False
        await world.until(lambda: world.is_ready(key))
        await world.settle(60)

        assert world.regions["was"].versions_of(TENANT, "shop") == 1
        assert tombstones(world) == []


async def test_a_later_object_that_is_elsewhere_does_not_keep_the_job() -> None:
    async with deleted_while_dark() as (world, _):
        await world.settle(HOUR)

        key = world.apply(a_deployment(placement={"regions": ["fra"]}))
        await world.settle(60)
        world.regions["was"].dark = False
        await world.settle(60)

        assert world.is_ready(key)
        assert world.job("was") is None


async def test_later_objects_of_that_name_may_come_and_go_while_the_region_is_dark() -> None:
    async with deleted_while_dark() as (world, _):
        await world.settle(HOUR)
        key = world.apply(a_deployment(placement={"regions": ["fra"]}))
        await world.until(lambda: world.is_ready(key))
        world.hub.delete(key)
        await world.settle(60)
        assert key not in world.hub.objects

        world.regions["was"].dark = False
        await world.settle(60)

        assert world.job("was") is None


async def test_a_job_that_somebody_else_left_there_is_not_stopped() -> None:
    async with deleted_while_dark() as (world, _):
        await world.settle(HOUR)

        was = world.regions["was"]
        was.dark = False
        job = world.job("was")
        assert job is not None
        await was.register_job(
            {**job, "Priority": 70},
            expected_index=job["JobModifyIndex"],
            submission=Submission("{}"),
        )
        await world.settle(60)

        assert world.job("was") is not None
        assert tombstones(world) == []
        assert world.status(WAS)["orphans"] == {"count": 1, "names": ["team-a/shop"]}


async def test_a_region_that_is_removed_holds_nothing() -> None:
    async with deleted_while_dark() as (world, key):
        world.hub.delete(WAS)
        await world.settle(60)

        assert key not in world.hub.objects


async def test_too_many_stops_are_held_until_they_are_allowed() -> None:
    number = FLOOR + 5
    async with a_world(["fra"]) as world:
        keys = [world.apply(a_deployment(f"shop-{n:02}")) for n in range(number)]
        await world.until(lambda: all(map(world.is_ready, keys)))

        for key in keys:
            world.hub.delete(key)
        await world.settle(1800)
        left = [key for key in keys if world.job("fra", key.name)]
        ready = world.condition(left[0], "Ready")
        degraded = world.condition(FRA, "Degraded")

        assert len(left) >= number - FLOOR
        assert ready is not None
        assert "more jobs than usual" in ready["message"]
        assert degraded is not None
        assert degraded["reason"] == "StopsHeld"
        assert degraded["message"].startswith(f"{len(left)} jobs are to be stopped at once")

        await world.restart_operator()
        await world.settle(1800)
        assert [key for key in keys if world.job("fra", key.name)] == left

        until = timestamp(world.clock, EPOCH + world.clock.monotonic() + 600)
        region = a_region("fra")
        region["metadata"]["annotations"] = {ANNOTATION_ALLOW_STOPS: until}
        world.apply(region)
        await world.settle(60)

        assert not [key for key in keys if key in world.hub.objects]
        assert world.condition(FRA, "Degraded") is None


async def test_a_few_stops_are_nobodys_concern() -> None:
    async with a_world(["fra"]) as world:
        keys = [world.apply(a_deployment(f"shop-{n:02}")) for n in range(FLOOR)]
        await world.until(lambda: all(map(world.is_ready, keys)))

        for key in keys:
            world.hub.delete(key)
        await world.settle(60)

        assert not [key for key in keys if key in world.hub.objects]


async def test_nothing_is_stopped_because_the_definition_is_removed() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.hub.leaving.add(Kind.GLOBAL_DEPLOYMENT)
        world.hub.delete(key)
        await world.settle(1800)

        assert world.job("fra") is not None
        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["reason"] == "DefinitionLeaving"

        world.apply(a_deployment(deletionPolicy="Orphan"))
        await world.settle(60)

        assert key not in world.hub.objects
        assert world.job("fra") is not None
