"""What probes print is read in time, or again, and a machine that is away holds up nobody."""

import pytest
from tests.builders import a_deployment
from tests.fakes.probed import (
    NAMES,
    a_log,
    a_probed_world,
    asked,
    found,
    outcomes,
    runs,
)

pytestmark = pytest.mark.looptime(noop_cycles=0)


async def test_a_machine_that_cannot_be_asked_holds_up_nothing_else() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].away = {"m1"}
        await world.restart_operator()
        await world.settle(10)
        assert outcomes(world) == {"m1": "Pending", "m2": "Passed", "m3": "Passed"}
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        await world.settle(240)

        assert outcomes(world)["m1"] == "Passed"
        assert found(world)["m1"].message == "what the probe printed cannot be read"
        assert found(world)["m1"].latencies == ()


async def test_what_was_printed_is_read_before_the_machine_drops_it() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        region.lingers = True
        region.logs["m1"] = a_log(0.030)
        asked(world, "1")
        await world.settle(10)
        assert runs(world) == 2

        region.lingers = False
        region.logs.clear()
        await world.settle(2000)

        assert outcomes(world) == dict.fromkeys(NAMES, "Passed")
        assert found(world)["m1"].latencies == (0.030,)
        assert runs(world) == 2


async def test_a_run_that_fails_at_first_is_waited_for() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        region.lingers = True
        region.logs["m1"] = a_log(error="20 of 20 connects failed: connection refused")
        asked(world, "1")
        await world.settle(10)
        assert outcomes(world)["m1"] == "Passed", "the last result stands meanwhile"

        region.logs["m1"] += a_log(0.020)
        region.lingers = False
        await world.settle(20)

        assert (outcomes(world)["m1"], found(world)["m1"].latencies) == ("Passed", (0.020,))


async def test_what_nobody_could_read_is_run_again_soon() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        logs = dict(region.logs)
        region.logs.clear()
        await world.restart_operator()
        await world.settle(10)
        assert found(world)["m1"].message == "what the probe printed is not there any more"

        region.logs.update(logs)
        await world.settle(310)

        assert found(world)["m1"].latencies == (0.010, 0.012, 0.011)
        assert runs(world) == 2


async def test_what_cannot_be_read_at_first_is_read_later() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].away = {"m1"}
        await world.restart_operator()
        await world.settle(60)
        world.regions["fra"].away.clear()
        await world.settle(20)

        assert found(world)["m1"].latencies == (0.010, 0.012, 0.011)
