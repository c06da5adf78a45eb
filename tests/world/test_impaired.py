"""One sentence for what is impaired: nothing hides behind it, and it is stable."""

from dataclasses import replace
from typing import Any

import pytest
from tests.builders import a_deployment
from tests.fakes.world import World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.ports import Allocation, JobDeployment, Key

pytestmark = pytest.mark.looptime(noop_cycles=0)


class Slow(MemoryNomad):
    """A region in which a roll-out stays under way while *waits*."""

    waits = False

    async def list_deployments(self, namespace: str, job_id: str) -> Any:
        found = await super().list_deployments(namespace, job_id)
        if not self.waits:
            return found
        return [JobDeployment("d", d.job_version, "running", "", 2, 0, 0) for d in found]


class Failing(MemoryNomad):
    """A region in which an instance fails again and again, and gets successors."""

    attempts = 0
    failing = True

    async def list_allocations(self, namespace: str, job_id: str) -> Any:
        found = await super().list_allocations(namespace, job_id)
        if not self.failing or not found:
            return found
        self.attempts += 1
        version = found[0].job_version
        failed = replace(found[0], client_status="failed", healthy=False, message="Exit Code: 1")
        if self.attempts % 2:
            return [failed]
        successor = Allocation("b", version, "pending", "run", None, "n1")
        return [replace(failed, desired_status="stop"), successor]

    async def list_deployments(self, namespace: str, job_id: str) -> Any:
        found = await super().list_deployments(namespace, job_id)
        if not self.failing:
            return found
        return [JobDeployment("d", d.job_version, "running", "", 1, 0, 0) for d in found]


def shown(world: World, key: Key) -> str:
    """Read the one-line status."""
    line: str = world.status(key)["display"]["status"]
    return line


async def test_a_dark_region_does_not_hide_that_the_others_are_updated() -> None:
    async with a_world(["fra", "par", "sfo"], nomad=Slow) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["sfo"].dark = True
        await world.settle(30)

        for region in ("fra", "par"):
            world.regions[region].waits = True  # type: ignore[attr-defined]  # made as Slow
        world.apply(a_deployment(scaling={"count": 5}))
        await world.settle(20)

        assert shown(world, key) == (
            "bringing fra, par to the current spec; sfo does not answer and will get it on return"
        )


async def test_a_job_that_must_still_be_stopped_in_a_dark_region_is_told() -> None:
    async with a_world(["fra", "sfo"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["sfo"].dark = True
        await world.settle(30)

        world.apply(a_deployment(placement={"regions": ["fra"]}))
        await world.settle(30)

        assert world.is_ready(key)
        said = "sfo does not answer, the job there will be stopped on return"
        degraded = world.condition(key, "Degraded")
        assert degraded is not None
        assert degraded["message"] == said
        assert shown(world, key) == said
        assert world.regional(key)["sfo"]["message"] == "will be stopped on return"
        world.forget_counts()
        await world.restart_operator()
        await world.settle(120)
        assert world.hub.writes.total() == 0

        world.regions["sfo"].dark = False
        await world.until(lambda: world.job("sfo") is None)
        await world.settle(10)
        assert shown(world, key) == "healthy in 1 region"


async def test_an_instance_that_fails_is_told_alike_while_it_gets_successors() -> None:
    async with a_world(["fra"], nomad=Failing) as world:
        key = world.apply(a_deployment(scaling={"count": 1}))
        await world.settle(30)
        said = "fra: the only instance fails with: Exit Code: 1"
        assert shown(world, key) == said
        world.forget_counts()

        await world.settle(600)
        assert shown(world, key) == said
        assert world.hub.writes.total() == 0

        await world.restart_operator()
        await world.settle(300)
        told = [(e.type, e.reason, e.message) for e in world.hub.events if e.key == key]
        assert told == [("Warning", "Unhealthy", said)]


async def test_an_instance_that_fails_later_is_an_event() -> None:
    async with a_world(["fra"], nomad=Failing) as world:
        fra = world.regions["fra"]
        assert isinstance(fra, Failing)
        fra.failing = False
        key = world.apply(a_deployment(scaling={"count": 1}))
        await world.until(lambda: world.is_ready(key))

        fra.failing = True
        world.regions["fra"].edit("orrery-team-a", "shop", UI={"Description": "x"})
        await world.settle(60)

        told = [(e.type, e.reason) for e in world.hub.events if e.key == key]
        assert ("Warning", "Unhealthy") in told
