"""What is asked of the regions, and how often a deployment is looked at: no more than needed."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from tests.builders import a_deployment
from tests.fakes.world import TENANT, World, a_world

from orrery.ports import Kind, Submission

pytestmark = pytest.mark.looptime(noop_cycles=0)

T = TypeVar("T")
MANY = [f"r{number:02}" for number in range(20)]


def listen(world: World, region: str) -> list[str]:
    """Write down the reads and registers of jobs in *region*, in order."""
    nomad = world.regions[region]
    asked: list[str] = []
    nomad.read_job = heard(nomad.read_job, "read", asked)  # type: ignore[method-assign]  # hands through
    nomad.register_job = heard(nomad.register_job, "register", asked)  # type: ignore[method-assign]  # hands through
    return asked


def heard(call: Callable[..., Awaitable[T]], name: str, order: list[str]) -> Callable[..., Any]:
    """Hand *call* through, and note *name* when it begins."""

    async def listening(*positional: Any, **keywords: Any) -> T:
        order.append(name)
        return await call(*positional, **keywords)

    return listening


def passes(world: World) -> float:
    """Count the passes over deployments of the operator that runs now."""
    return sum(
        sample.value
        for metric in world.controller._telemetry.registry.collect()
        for sample in metric.samples
        if sample.name == "orrery_reconcile_total"
        and sample.labels["kind"] == Kind.GLOBAL_DEPLOYMENT
    )


async def test_nothing_is_read_before_a_first_register() -> None:
    async with a_world(["fra"]) as world:
        await world.settle(10)
        asked = listen(world, "fra")

        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        assert asked[:2] == ["register", "read"]
        assert asked.count("register") == 1


async def test_a_job_that_came_unseen_is_found_by_the_register_and_left_alone() -> None:
    async with a_world(["fra"]) as world:
        await world.settle(10)
        await world.regions["fra"].create_namespace(TENANT, "")
        theirs = {"ID": "shop", "Name": "shop", "Namespace": TENANT, "Type": "batch"}
        asked = listen(world, "fra")
        await world.regions["fra"].register_job(
            theirs, expected_index=0, submission=Submission(source="{}")
        )

        key = world.apply(a_deployment())
        await world.settle(30)

        condition = world.condition(key, "Ready")
        assert condition
        assert condition["reason"] == "ForeignJob"
        assert asked[:3] == ["register", "register", "read"], "theirs, ours in vain, then a look"
        assert world.registers() == {"fra": 1}, "theirs, and none of ours"


async def test_a_register_is_followed_by_one_look_and_an_edit_by_another_at_once() -> None:
    async with a_world(["fra"]) as world:
        await world.settle(10)
        asked = listen(world, "fra")

        key = world.apply(a_deployment())
        await world.settle(1)
        assert asked == ["register", "read"], "its own event tells nothing new"
        await world.until(lambda: world.is_ready(key))
        await world.settle(60)
        assert asked == ["register", "read", "read"]

        job = world.job("fra")
        assert job is not None
        edited = {**job, "TaskGroups": [{**job["TaskGroups"][0], "Count": 7}]}
        await world.regions["fra"].register_job(
            edited, expected_index=job["JobModifyIndex"], submission=Submission(source="{}")
        )
        await world.settle(1)
        mended = world.job("fra")
        assert mended
        assert mended["TaskGroups"] == job["TaskGroups"]


async def test_the_farthest_region_is_served_first() -> None:
    async with a_world(["a-near", "b-far", "c-middle"]) as world:
        for name, seconds in (("a-near", 0.01), ("b-far", 0.3), ("c-middle", 0.1)):
            world.regions[name].latency = seconds
        order: list[str] = []
        for name, nomad in world.regions.items():
            nomad.register_job = heard(nomad.register_job, name, order)  # type: ignore[method-assign]  # hands through
        key = world.apply(a_deployment())  # It has the namespaces made.
        await world.until(lambda: world.is_ready(key))
        await world.settle(10)
        order.clear()

        world.apply(a_deployment("other"))
        await world.settle(5)

        assert order == ["b-far", "c-middle", "a-near"]


async def test_a_restart_looks_at_each_deployment_once() -> None:
    async with a_world(MANY) as world:
        keys = [world.apply(a_deployment(f"shop-{n}")) for n in range(30)]
        for key in keys:
            await world.until(lambda key=key: world.is_ready(key))  # type: ignore[misc]  # bound at once
        await world.settle(60)

        await world.restart_operator()
        await world.settle(60)

        assert passes(world) == len(keys)
