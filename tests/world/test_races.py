"""What happens at the same time, or is told late: the last wish counts, and nothing is lost."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.builders import a_deployment, a_region, a_secret
from tests.fakes.world import TENANT, World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.errors import Refused
from orrery.ports import Document, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)

SECOND = {"image": "registry.example/shop:2"}
ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]


class Watched(MemoryNomad):
    """A region that notes what is registered; it may take its time, or refuse."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.log: list[str] = []
        self.takes = 0.0
        self.refuses = False

    async def register_job(self, document: Mapping[str, Any], **keywords: Any) -> None:
        await asyncio.sleep(self.takes)
        if self.refuses:
            raise Refused("JobRefused", "no")
        await super().register_job(document, **keywords)
        image = document["TaskGroups"][0]["Tasks"][0]["Config"]["image"].rpartition(":")[2]
        self.log.append("stop" if document.get("Stop") else image)


def watched(world: World, region: str) -> Watched:
    nomad = world.regions[region]
    assert isinstance(nomad, Watched)
    nomad.log.clear()
    return nomad


def slow_list(world: World, kind: Kind, seconds: float) -> None:
    """Let a list show the hub as it was when it was asked for, some time later."""
    listed = world.hub.list

    async def late(asked: Kind, take: Callable[[Document], Any]) -> Any:
        found = await listed(asked, take)
        await asyncio.sleep(seconds if asked is kind else 0)
        return found

    world.hub.list = late  # type: ignore[assignment,method-assign]  # a slow server


async def test_a_change_during_a_sweep_is_not_rolled_back() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = watched(world, "fra")
        slow_list(world, Kind.GLOBAL_DEPLOYMENT, 3)

        sweep = asyncio.create_task(world.controller.resync())
        await world.settle(1)
        world.apply(a_deployment(docker=SECOND))
        await sweep
        await world.settle(60)

        assert fra.log == ["2"]
        assert world.is_ready(key)


async def test_a_deployment_that_is_created_during_a_sweep_is_not_forgotten() -> None:
    async with a_world(["fra"]) as world:
        slow_list(world, Kind.GLOBAL_DEPLOYMENT, 3)

        sweep = asyncio.create_task(world.controller.resync())
        await world.settle(1)
        key = world.apply(a_deployment())
        await sweep
        await world.settle(10)

        assert world.is_ready(key)


async def test_a_region_that_is_labelled_during_a_sweep_keeps_its_job() -> None:
    async with a_world(["fra", "was"], nomad=Watched) as world:
        selector = {"regionSelector": {"matchLabels": {"tier": "gold"}}}
        world.apply(a_region("fra", labels={"tier": "gold"}))
        world.apply(a_deployment(placement=selector))
        await world.settle(30)
        was = watched(world, "was")
        slow_list(world, Kind.REGION, 1)

        sweep = asyncio.create_task(world.controller.resync())
        await world.settle(0.5)
        world.apply(a_region("was", labels={"tier": "gold"}))
        await sweep
        await world.settle(300)

        assert was.log == ["1"]


async def test_a_late_watch_does_not_bring_an_older_spec_back() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = watched(world, "fra")
        world.hub.lag = 5

        world.apply(a_deployment(scaling={"count": 3}))
        world.apply(a_deployment(docker=SECOND))
        await world.controller.resync()
        await world.settle(60)

        assert fra.log == ["2"]


async def test_a_region_is_left_and_rejoined_while_dark_without_a_stop() -> None:
    async with a_world(["fra", "was"], nomad=Watched) as world:
        both, one = {"regions": ["fra", "was"]}, {"regions": ["fra"]}
        key = world.apply(a_deployment(placement=both))
        await world.until(lambda: world.is_ready(key))
        was = watched(world, "was")

        was.dark = True
        world.apply(a_deployment(placement=one))
        await world.settle(40)
        world.apply(a_deployment(placement=both))
        await world.settle(40)
        was.dark = False
        await world.settle(60)

        assert was.log == []
        assert world.is_ready(key)
        assert not [event for event in world.hub.events if event.reason == "DriftRepaired"]


async def test_a_region_is_joined_and_left_while_dark_without_a_register() -> None:
    async with a_world(["fra", "was"], nomad=Watched) as world:
        both, one = {"regions": ["fra", "was"]}, {"regions": ["fra"]}
        key = world.apply(a_deployment(placement=one))
        await world.until(lambda: world.is_ready(key))
        was = watched(world, "was")

        was.dark = True
        world.apply(a_deployment(placement=both))
        await world.settle(40)
        world.apply(a_deployment(placement=one))
        await world.settle(40)
        was.dark = False
        await world.settle(60)

        assert was.log == []
        assert list(world.regional(key)) == ["fra"]


async def test_nothing_is_registered_while_paused_not_even_what_waited() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = watched(world, "fra")

        fra.dark = True
        world.apply(a_deployment(docker=SECOND))
        await world.settle(2)
        world.apply(a_deployment(docker=SECOND, paused=True))
        await world.settle(60)
        fra.dark = False
        await world.settle(60)

        assert fra.log == []

        world.apply(a_deployment(docker=SECOND, paused=False))
        await world.settle(10)

        assert fra.log == ["2"]


async def test_a_paused_region_gets_at_once_what_waited_when_it_goes_on() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = watched(world, "fra")

        fra.refuses = True
        world.apply(a_deployment(docker=SECOND))
        await world.settle(60)
        world.apply(a_region("fra", paused=True))
        await world.settle(400)
        fra.refuses = False
        world.apply(a_region("fra", paused=False))
        await world.settle(5)

        assert fra.log == ["2"]
        assert world.is_ready(key)


async def test_deleting_during_a_register_leaves_no_job() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        watched(world, "fra").takes = 2
        key = world.apply(a_deployment())
        await world.settle(1)

        world.hub.delete(key)
        await world.settle(60)

        assert key not in world.hub.objects
        assert world.job("fra") is None


async def test_deleting_after_a_refusal_leaves_no_secret_behind() -> None:
    async with a_world(["fra"], nomad=Watched) as world:
        watched(world, "fra").refuses = True
        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="s3cret")
        key = world.apply(a_deployment(env=ENV))
        await world.settle(30)
        assert world.regions["fra"].variables

        world.hub.delete(key)
        await world.settle(60)

        assert key not in world.hub.objects
        assert not world.regions["fra"].variables


async def test_two_quick_edits_show_no_conflict_to_users() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "was"]}))
        await world.until(lambda: world.is_ready(key))
        world.hub.lag = 0.15
        said = []

        world.apply(a_deployment(placement={"regions": ["fra"]}))
        await world.settle(0.1)
        world.apply(a_deployment(placement={"regions": ["fra"]}, scaling={"count": 3}))
        for _ in range(100):
            said.append(world.status(key)["display"]["status"])
            await world.settle(0.1)

        assert not [text for text in said if "meanwhile" in text or "changed" in text]
        assert world.job("was") is None


async def test_a_tenant_whose_namespace_vanished_gets_it_back() -> None:
    async with a_world(["fra"]) as world:
        first = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(first))
        world.hub.delete(first)
        await world.until(lambda: first not in world.hub.objects)

        world.regions["fra"].namespaces.discard(TENANT)
        key = world.apply(a_deployment())
        await world.settle(30)

        assert world.is_ready(key)
