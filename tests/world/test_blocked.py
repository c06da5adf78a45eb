"""A spec that cannot be carried out: what is counted is about it, what runs is told and left."""

from typing import Any

import pytest
from tests.builders import a_deployment, a_secret
from tests.fakes.world import World, a_world

from orrery.ports import Key, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)

ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]
OLDER = "runs an older spec"
NOT_SELECTED = "runs an older spec, the current one does not select this region"


def counts(world: World, key: Key) -> tuple[int, int, int]:
    """Read how many regions should run it, have the spec, and are healthy with it."""
    summary = world.status(key)["summary"]
    return summary["desired"], summary["updated"], summary["ready"]


def rows(world: World, key: Key) -> dict[str, tuple[str, str | None]]:
    """Read phase and message of each region."""
    return {n: (row["phase"], row.get("message")) for n, row in world.regional(key).items()}


def told(world: World, key: Key) -> list[tuple[str, str]]:
    """List type and reason of the events about an object."""
    return [(event.type, event.reason) for event in world.hub.events if event.key == key]


async def placed(world: World, **spec: Any) -> Key:
    """Apply a deployment, and wait until it runs."""
    key = world.apply(a_deployment(**spec))
    await world.until(lambda: world.is_ready(key))
    await world.settle(10)
    return key


async def test_a_placement_without_any_region_counts_none_and_stops_nothing() -> None:
    async with a_world(["fra", "par", "sfo"]) as world:
        key = await placed(world)
        world.regions["sfo"].dark = True
        await world.settle(30)
        world.forget_counts()

        world.apply(a_deployment(placement={"regions": ["frankfurt"]}))
        await world.settle(30)

        assert counts(world, key) == (1, 0, 0)
        assert world.status(key)["display"]["regions"] == "0/1"
        assert rows(world, key) == {
            "fra": ("Healthy", NOT_SELECTED),
            "par": ("Healthy", NOT_SELECTED),
            "sfo": ("Unreachable", NOT_SELECTED),
        }
        assert all(world.job(region) for region in world.regions)
        assert sum(world.registers().values()) == 0


async def test_a_blocked_deployment_comes_to_rest_and_a_restart_says_nothing_new() -> None:
    async with a_world(["fra", "par"]) as world:
        key = await placed(world)
        world.apply(a_deployment(placement={"regions": ["frankfurt"]}))
        await world.settle(30)
        before = world.status(key)
        world.forget_counts()

        await world.settle(1800)
        await world.restart_operator()
        await world.settle(300)

        assert world.status(key) == before
        assert world.hub.writes.total() == 0


async def test_a_deleted_region_leaves_the_status_and_is_counted_once() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment(placement={"regions": ["frankfurt", "was"]}))
        await world.until(lambda: world.job("was") is not None)
        await world.settle(10)

        world.hub.delete(Key(Kind.REGION, "", "was"))
        await world.until(lambda: Key(Kind.REGION, "", "was") not in world.hub.objects)
        await world.settle(30)

        assert counts(world, key) == (2, 0, 0)
        assert rows(world, key) == {}
        assert world.job("was") is not None


async def test_a_deleted_region_leaves_the_status_of_a_paused_deployment() -> None:
    async with a_world(["fra", "was"]) as world:
        key = await placed(world)
        world.apply(a_deployment(paused=True))
        await world.settle(10)

        world.hub.delete(Key(Kind.REGION, "", "was"))
        await world.settle(30)

        assert set(rows(world, key)) == {"fra"}
        assert counts(world, key) == (1, 1, 1)


async def test_a_new_spec_without_its_secret_is_nowhere_though_the_old_one_runs() -> None:
    async with a_world(["fra", "par"]) as world:
        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="x")
        key = await placed(world, env=ENV)
        del world.hub.secrets["team-a", "keys"]

        world.apply(a_deployment(env=ENV, scaling={"count": 5}))
        await world.settle(30)

        assert counts(world, key) == (2, 0, 0)
        assert rows(world, key) == {"fra": ("Healthy", OLDER), "par": ("Healthy", OLDER)}

        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="x")
        await world.until(lambda: world.is_ready(key))
        await world.settle(10)
        assert counts(world, key) == (2, 2, 2)
        assert rows(world, key) == {"fra": ("Healthy", None), "par": ("Healthy", None)}


async def test_a_secret_that_goes_does_not_make_the_jobs_those_of_an_older_spec() -> None:
    async with a_world(["fra", "par"]) as world:
        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="x")
        key = await placed(world, env=ENV)

        del world.hub.secrets["team-a", "keys"]
        await world.restart_operator()
        await world.settle(30)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["reason"] == "SecretNotFound"
        assert counts(world, key) == (2, 2, 2)
        assert rows(world, key) == {"fra": ("Healthy", None), "par": ("Healthy", None)}


async def test_a_first_spec_without_its_secret_counts_the_regions_it_is_for() -> None:
    async with a_world(["fra", "par"]) as world:
        key = world.apply(a_deployment(env=ENV))
        await world.settle(30)

        assert counts(world, key) == (2, 0, 0)
        assert rows(world, key) == {}


async def test_a_spec_that_is_not_valid_runs_nowhere() -> None:
    async with a_world(["fra", "par"]) as world:
        key = await placed(world)

        world.apply(a_deployment(scaling={"count": -1}))
        await world.settle(30)

        assert counts(world, key) == (2, 0, 0)
        assert rows(world, key) == {"fra": ("Healthy", OLDER), "par": ("Healthy", OLDER)}


async def test_a_region_that_returns_to_a_blocked_deployment_is_seen_again() -> None:
    async with a_world(["fra", "par"]) as world:
        key = await placed(world)
        world.regions["par"].dark = True
        await world.settle(30)
        world.apply(a_deployment(placement={"regions": ["frankfurt"]}))
        await world.settle(30)
        await world.restart_operator()
        await world.settle(60)
        assert rows(world, key)["par"][0] == "Unreachable"

        world.regions["par"].dark = False
        await world.settle(120)

        assert rows(world, key)["par"] == ("Healthy", NOT_SELECTED)


async def test_a_paused_deployment_does_not_count_a_region_that_it_no_longer_selects() -> None:
    async with a_world(["fra", "par"]) as world:
        key = await placed(world)

        world.apply(a_deployment(paused=True, placement={"regions": ["fra"]}))
        await world.settle(30)

        assert counts(world, key) == (1, 1, 1)
        assert rows(world, key) == {"fra": ("Healthy", None), "par": ("Healthy", NOT_SELECTED)}


async def test_a_missing_secret_is_an_event_once_also_after_a_restart() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment(env=ENV))
        await world.settle(600)
        await world.restart_operator()
        await world.settle(600)
        assert told(world, key) == [("Warning", "SecretNotFound")]

        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="x")
        await world.until(lambda: world.is_ready(key))
        await world.settle(10)

        assert [e for e in told(world, key) if e[0] == "Warning"] == [("Warning", "SecretNotFound")]
