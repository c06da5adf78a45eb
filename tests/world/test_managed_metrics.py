"""What Prometheus is told of Managed regions."""

from datetime import datetime

import pytest
from tests.builders import a_managed_region
from tests.fakes.europe import FRA, europe
from tests.fakes.world import World

pytestmark = pytest.mark.looptime(noop_cycles=0)


def value(world: World, metric: str, **labels: str) -> float | None:
    return world.telemetry.registry.get_sample_value(metric, labels)


def writes(world: World) -> float:
    metrics = [m for m in world.telemetry.registry.collect() if m.name == "orrery_continent_writes"]
    samples = [s for m in metrics for s in m.samples if s.name.endswith("_total")]
    return sum(sample.value for sample in samples if sample.labels["continent"] == "eu")


async def test_the_first_expiry_of_a_certificate_is_shown_also_after_a_restart() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        told = eu.world.status(FRA)["controlPlane"]["expires"]
        metric = "orrery_region_certificate_expiry_timestamp_seconds"
        before = value(eu.world, metric, region="fra")

        await eu.world.restart_operator()
        await eu.opened()
        await eu.world.settle(10)

        assert before == datetime.fromisoformat(told).timestamp()
        assert value(eu.world, metric, region="fra") == before


async def test_writes_to_a_continent_are_counted_and_end_when_all_is_well() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        built = writes(eu.world)

        await eu.world.settle(700)

        assert built >= eu.cluster.writes.total() > 0
        assert writes(eu.world) == built


async def test_a_region_that_is_gone_is_forgotten() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()

        eu.world.hub.delete(FRA)
        await eu.world.settle(30)

        metric = "orrery_region_certificate_expiry_timestamp_seconds"
        assert value(eu.world, metric, region="fra") is None
