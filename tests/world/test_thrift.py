"""What is asked of the regions, and how often a deployment is looked at: no more than needed."""

from typing import Any

import pytest
from tests.builders import a_deployment
from tests.fakes.world import TENANT, World, a_world

from orrery.ports import Document, Kind, Submission

pytestmark = pytest.mark.looptime(noop_cycles=0)

MANY = [f"r{number:02}" for number in range(20)]


def listen(world: World, region: str) -> list[str]:
    """Write down the reads and registers of jobs in *region*, in order."""
    nomad = world.regions[region]
    asked: list[str] = []
    read, register = nomad.read_job, nomad.register_job

    async def heard_read(namespace: str, job_id: str) -> Any:
        asked.append("read")
        return await read(namespace, job_id)

    async def heard_register(
        document: Document, *, expected_index: int, submission: Submission
    ) -> None:
        asked.append("register")
        await register(document, expected_index=expected_index, submission=submission)

    nomad.read_job = heard_read  # type: ignore[method-assign]  # hands through
    nomad.register_job = heard_register  # type: ignore[method-assign]  # hands through
    return asked


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


async def test_a_restart_looks_at_each_deployment_once() -> None:
    async with a_world(MANY) as world:
        keys = [world.apply(a_deployment(f"shop-{n}")) for n in range(30)]
        for key in keys:
            await world.until(lambda key=key: world.is_ready(key))  # type: ignore[misc]  # bound at once
        await world.settle(60)

        await world.restart_operator()
        await world.settle(60)

        assert passes(world) == len(keys)
