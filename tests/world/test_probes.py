"""Probes: a region's machines are tried out now and then, and nothing of it grows or disturbs."""

import pytest
from tests.builders import a_class, a_deployment, a_managed_region, a_region
from tests.fakes.europe import ADDRESS, IMAGE, europe
from tests.fakes.probed import (
    COUNTS,
    FRA,
    NAMES,
    PROBED,
    SYSTEM,
    a_log,
    a_machine,
    a_probed_world,
    a_probing_class,
    asked,
    found,
    outcomes,
    probed_at,
    runs,
)
from tests.fakes.world import a_world

pytestmark = pytest.mark.looptime(noop_cycles=0)


async def test_every_machine_is_probed_and_tells_how_far_the_front_door_is() -> None:
    async with a_probed_world() as world:
        assert outcomes(world) == dict.fromkeys(NAMES, "Passed")
        assert found(world)["m1"].latencies == (0.010, 0.012, 0.011)
        assert found(world)["m1"].pulled is True
        assert probed_at(world) is not None


async def test_a_class_without_a_probe_runs_none() -> None:
    async with a_world(("fra",)) as world:
        await world.settle(4000)

        assert SYSTEM not in world.regions["fra"].namespaces
        assert found(world) == {}


async def test_machines_are_probed_once_in_each_interval() -> None:
    async with a_probed_world(interval="20m") as world:
        assert runs(world) == 1

        await world.settle(20 * 60)
        assert runs(world) == 2
        await world.settle(60 * 60)
        assert runs(world) == 5


async def test_between_two_runs_nothing_is_written_and_nothing_read() -> None:
    async with a_probed_world() as world:
        await world.settle(600)
        world.forget_counts()
        world.regions["fra"].reads.clear()

        await world.settle(2400)

        assert not world.hub.writes
        assert not world.regions["fra"].writes
        assert not {"read_log", "list_allocations", "read_job"} & world.regions["fra"].reads.keys()


async def test_a_restarted_operator_reads_the_last_run_instead_of_beginning_one() -> None:
    async with a_probed_world() as world:
        before, when = found(world), probed_at(world)
        world.forget_counts()

        await world.restart_operator()
        await world.settle(10)

        assert (found(world), probed_at(world)) == (before, when)
        assert not world.regions["fra"].writes


async def test_a_restart_in_the_middle_of_a_run_goes_on_with_it() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].busy = True
        asked(world, "1")
        await world.settle(10)
        await world.restart_operator()
        await world.settle(10)
        assert (runs(world), set(outcomes(world).values())) == (2, {"Pending"})

        world.regions["fra"].busy = False
        await world.settle(10)

        assert (runs(world), set(outcomes(world).values())) == (2, {"Passed"})


async def test_somebody_who_asks_gets_one_run() -> None:
    async with a_probed_world() as world:
        asked(world, "now, ${please}")
        await world.settle(60)

        assert runs(world) == 2


async def test_a_machine_that_joins_is_probed_soon() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        await world.settle(300)
        region.nodes = [*region.nodes, a_machine("m4")]
        region.logs["m4"] = a_log(0.050)
        region.break_streams()
        await world.settle(30)

        assert outcomes(world) == dict.fromkeys([*NAMES, "m4"], "Passed")
        assert runs(world) == 2


async def test_machines_that_join_one_by_one_do_not_keep_a_run_from_its_end() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        await world.settle(60)
        region.busy = True
        for number in range(4, 9):
            region.nodes = [*region.nodes, a_machine(f"m{number}")]
            region.break_streams()
            await world.settle(30)

        assert runs(world) == 2


async def test_a_machine_that_leaves_is_no_longer_spoken_of() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        region.nodes = [a_machine("m1"), a_machine("m2"), a_machine("m3", status="down")]
        region.break_streams()
        await world.settle(30)

        assert set(outcomes(world)) == {"m1", "m2"}
        assert runs(world) == 1


async def test_machines_without_the_driver_are_not_asked_to_run_it() -> None:
    async with a_probed_world() as world:
        region = world.regions["fra"]
        region.nodes = [a_machine("m1"), a_machine("m9", drivers=frozenset({"exec"}))]
        region.break_streams()
        await world.settle(30)

        assert set(outcomes(world)) == {"m1"}


async def test_an_image_that_cannot_be_pulled_fails_in_nomads_words() -> None:
    async with a_probed_world(image="registry.example/orrery:bad") as world:
        probe = found(world)["m1"]

        assert (probe.outcome, probe.pulled) == ("Failed", False)
        assert probe.message == "Failed to pull `registry.example/orrery:bad`: not found"


async def test_a_failure_is_tried_again_soon_and_what_is_mended_passes() -> None:
    async with a_probed_world(image="registry.example/orrery:bad") as world:
        await world.settle(1000)
        assert 3 <= runs(world) <= 5

        world.apply(a_probing_class())
        await world.settle(10)

        assert set(outcomes(world).values()) == {"Passed"}


async def test_what_does_not_end_is_pending_and_then_failed() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].busy = True
        asked(world, "1")
        await world.settle(100)
        assert set(outcomes(world).values()) == {"Passed"}, "the last result stands meanwhile"

        await world.settle(200)

        assert set(outcomes(world).values()) == {"Failed"}
        assert found(world)["m1"].message == "the probe has not ended within 3 minutes"


async def test_a_full_region_is_not_a_broken_one() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].full = True
        await world.restart_operator()
        world.apply(a_probing_class(image="registry.example/orrery:2"))
        await world.settle(250)

        probe = found(world)["m1"]
        assert probe.outcome == "Pending"
        assert (
            probe.message
            == "the probe finds no place: 1 machine looked at, 1 full (1 out of memory)"
        )
        assert runs(world) == 2


async def test_a_paused_region_is_not_probed() -> None:
    async with a_probed_world() as world:
        world.apply(a_region("fra", paused=True))
        await world.settle(5)
        world.forget_counts()

        await world.settle(8000)

        assert not world.regions["fra"].writes


async def test_a_probe_that_is_no_longer_asked_for_leaves_no_job() -> None:
    async with a_probed_world() as world:
        world.apply(a_class())
        await world.settle(10)

        assert world.regions["fra"].job(SYSTEM, "probe") is None
        assert found(world) == {}
        world.regions["fra"].reads.clear()
        await world.settle(2000)
        assert "read_job" not in world.regions["fra"].reads


async def test_a_job_of_somebody_else_is_left_alone() -> None:
    async with a_world(("fra",)) as world:
        region = world.regions["fra"]
        region.namespaces.add(SYSTEM)
        region.edit(SYSTEM, "probe", Meta={"made_by": "hand"})
        before = region.job(SYSTEM, "probe")
        world.apply(a_probing_class())
        await world.settle(60)

        assert region.job(SYSTEM, "probe") == before
        (probe,) = found(world).values()
        assert probe.outcome == "Failed"
        assert probe.message == (
            'a job "probe" exists in Nomad namespace "orrery--system" and is not managed by Orrery;'
            " it is left alone"
        )


async def test_a_lost_reply_begins_no_second_run() -> None:
    async with a_probed_world() as world:
        world.regions["fra"].lose_replies = 1
        asked(world, "1")
        await world.settle(30)

        assert (runs(world), set(outcomes(world).values())) == (2, {"Passed"})


async def test_lost_replies_of_the_first_run_end_in_one_run() -> None:
    async with a_world(("fra",)) as world:
        world.regions["fra"].lose_replies = 2
        world.apply(a_probing_class())
        await world.settle(30)

        assert (runs(world), set(outcomes(world).values())) == (1, {"Passed"})


async def test_the_probe_is_nobodys_orphan_and_stands_behind_every_job() -> None:
    async with a_probed_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        job = world.regions["fra"].job(SYSTEM, "probe")

        assert job is not None
        assert (job["Type"], job["Priority"]) == ("sysbatch", 1)
        assert "orphans" not in world.status(FRA)


async def test_a_managed_region_is_probed_at_its_front_door() -> None:
    async with europe() as eu:
        body = a_class(image=IMAGE)
        body["spec"]["probe"] = PROBED
        eu.world.apply(body)
        eu.world.apply(a_managed_region("fra"))
        await eu.world.until(lambda: eu.phase == "Checking")
        await eu.world.settle(10)

        job = eu.world.regions["fra"].job(SYSTEM, "probe")
        assert job is not None
        config = job["TaskGroups"][0]["Tasks"][0]["Config"]
        assert config["args"] == ["probe", "--address", f"{ADDRESS}:4647", *COUNTS]


async def test_what_a_probe_finds_is_what_the_checks_of_the_region_say() -> None:
    async with a_probed_world() as world:
        await world.settle(60)

        told = {check["name"]: check["status"] for check in world.status(FRA)["checks"]}
        assert told["SmokeDeploy"] == told["RegistryPull"] == told["LatencyWithinBudget"] == "Pass"
