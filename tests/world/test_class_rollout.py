"""A change of a RegionClass moves over its regions one by one, and stops where one is not well."""

from typing import Any

import pytest
from tests.builders import a_class, a_managed_region
from tests.fakes.europe import IMAGE
from tests.fakes.planet import NAMES, NEWER, STANDARD, Planet, planet

from orrery.names import ANNOTATION_APPROVE_WAVE
from orrery.ports import Key, Kind, ObjectRef

pytestmark = pytest.mark.looptime(noop_cycles=0)

SOAK = "40s"
NEWEST = "docker.io/hashicorp/nomad:2.0.8"


def record_of(region: str) -> ObjectRef:
    return ObjectRef("v1", "ConfigMap", f"orrery-{region}", f"{region}-class")


async def complete(world: Planet, image: str, *, within: float = 2000) -> None:
    await world.world.until(
        lambda: world.with_image(image) == set(world.names) and world.phase == "Succeeded",
        within=within,
    )


async def test_regions_take_a_change_one_after_the_other_and_rest_again() -> None:
    async with planet() as world:
        await world.opened()
        most = 0

        world.change_class(soak=SOAK)
        for _ in range(2000):
            await world.world.settle(1)
            world.watch()
            moving = [name for name in NAMES if world.record(name)["state"] == "Rolling"]
            most = max(most, len(moving))
            untouched = [
                n for n in NAMES if world.record(n)["revision"] != world.record("fra")["revision"]
            ]
            assert all(world.image(name) == IMAGE for name in untouched)
            if world.phase == "Succeeded" and len(world.history) == len(NAMES):
                break

        assert most == 1
        assert world.history == list(NAMES)
        assert world.counted == "4/4"
        revision = world.world.status(STANDARD)["revision"]
        assert world.sentence == f"all regions have revision {revision}"
        for name in NAMES:
            told = world.world.status(Key(Kind.REGION, "", name))["controlPlane"]
            assert told["classRevision"] == revision
        await world.world.settle(10)
        before = world.writes()
        await world.world.settle(1000)
        assert world.writes() == before


async def test_the_second_waits_until_the_first_has_been_well_for_the_soak() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()

        world.change_class(soak="5m")
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)
        await world.world.until(lambda: world.is_updated("fra"), within=1000)
        await world.world.settle(290)
        assert world.with_image(NEWER) == {"fra"}
        assert world.counted == "0/2"

        await world.world.until(lambda: world.with_image(NEWER) == {"fra", "par"}, within=200)

        assert world.counted == "1/2"


async def test_a_region_that_is_not_well_stops_the_change_until_the_class_is_mended() -> None:
    async with planet() as world:
        await world.opened()
        world.caretaker.sick.add(NEWER)

        world.change_class(soak=SOAK, progressDeadline="2m")
        await world.world.until(lambda: world.phase == "RolloutFailed", within=300)
        await world.world.settle(600)

        assert world.with_image(NEWER) == {"fra"}
        assert "region fra is not well with revision" in world.sentence
        assert world.world.condition(STANDARD, "Stalled")
        world.change_class(NEWEST, soak=SOAK)
        await world.world.until(lambda: world.image("fra") == NEWEST, within=1000)
        assert world.with_image(NEWEST) == {"fra"}
        await complete(world, NEWEST)


async def test_a_region_that_turns_ill_later_holds_the_next_one() -> None:
    async with planet() as world:
        await world.opened()
        world.change_class(soak=SOAK)
        await world.world.until(lambda: len(world.with_image(NEWER)) == 2, within=1000)

        world.caretaker.sick.add("lon")
        await world.world.settle(400)
        assert world.with_image(NEWER) == {"fra", "lon"}
        world.caretaker.sick.clear()

        await complete(world, NEWER)


async def test_the_former_spec_goes_back_by_the_same_way() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        first = world.world.status(STANDARD)["revision"]
        world.change_class(soak=SOAK)
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)

        world.change_class(IMAGE, soak=SOAK)
        await complete(world, IMAGE)

        assert world.world.status(STANDARD)["revision"] == first
        assert world.record("fra")["revision"] == first


async def test_a_failed_change_is_taken_back_where_the_class_says_so() -> None:
    async with planet() as world:
        await world.opened()
        first = world.record("fra")["revision"]
        world.caretaker.sick.add(NEWER)

        world.change_class(soak=SOAK, progressDeadline="1m", onFailure="RollBack")
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)
        await world.world.until(lambda: world.with_image(IMAGE) == set(NAMES), within=300)
        await world.world.settle(300)

        assert world.with_image(IMAGE) == set(NAMES)
        assert world.record("fra")["revision"] == first
        assert world.phase == "RolloutFailed"
        assert "was rolled back: it failed in fra" in world.sentence


async def test_a_restart_in_the_middle_goes_on_where_it_was() -> None:
    async with planet() as world:
        await world.opened()
        world.change_class(soak=SOAK)
        await world.world.until(lambda: world.with_image(NEWER) == {"fra", "lon"}, within=1000)

        for _ in range(3):
            await world.world.restart_operator()
            await world.world.settle(15)
            assert world.with_image(NEWER) == {"fra", "lon"}
        await complete(world, NEWER)
        await world.world.settle(10)

        states = {world.record(name)["state"] for name in NAMES}
        assert states == {"Settled"}


async def test_a_hub_made_anew_finds_what_each_region_has_and_writes_nothing_there() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        world.change_class(soak=SOAK)
        await complete(world, NEWER)
        await world.world.settle(10)
        before = dict(world.cluster.writes)

        await world.world.controller.stop()
        for key in [STANDARD, *(Key(Kind.REGION, "", name) for name in world.names)]:
            world.world.hub.objects[key].pop("status")
        await world.world.restart_operator()
        await world.world.until(lambda: world.phase == "Succeeded", within=1000)
        await world.world.settle(400)

        assert world.cluster.writes == before
        assert world.counted == "2/2"


async def test_a_hub_made_anew_in_the_middle_does_not_change_all_at_once() -> None:
    async with planet() as world:
        await world.opened()
        world.change_class(soak="5m")
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)

        await world.world.controller.stop()
        for key in [STANDARD, *(Key(Kind.REGION, "", name) for name in NAMES)]:
            world.world.hub.objects[key].pop("status")
        await world.world.restart_operator()
        await world.world.settle(200)

        assert world.with_image(NEWER) == {"fra"}
        await complete(world, NEWER, within=1800)


async def test_a_class_edited_while_the_operator_is_down_moves_one_by_one_too() -> None:
    async with planet() as world:
        await world.opened()

        await world.world.controller.stop()
        world.change_class(soak=SOAK)
        await world.world.restart_operator()
        await world.world.settle(30)

        assert world.with_image(NEWER) == {"fra"}


async def test_a_new_region_gets_the_newest_at_once() -> None:
    async with planet(("fra", "lon", "zrh")) as world:
        world.names = ("fra", "lon")
        await world.opened()
        world.change_class(soak="1h")
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)

        world.names = ("fra", "lon", "zrh")
        zrh = world.world.apply(a_managed_region("zrh"))
        await world.world.until(lambda: world.world.status(zrh).get("phase") == "Open", within=1000)

        assert world.with_image(NEWER) == {"fra", "zrh"}
        assert world.record("zrh")["state"] in {"Building", "Settled"}


async def test_another_driver_or_rollout_is_no_change_for_a_control_plane() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        before = dict(world.cluster.writes)
        driver = {"name": "vm", "nomadDriver": "qemu", "config": {"image_path": "{image}"}}

        document = a_class(image=IMAGE, drivers=[driver])
        spec: dict[str, Any] = {**document["spec"], "rollout": {"soak": "1m"}}
        world.world.apply({**document, "spec": spec})
        await world.world.settle(400)

        assert world.cluster.writes == before
        assert world.phase == "Succeeded"


async def test_a_wave_waits_for_an_approval_of_this_very_revision() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        waves = [
            {"name": "canary", "regions": ["par"]},
            {"name": "rest", "percent": 100, "approval": "Required"},
        ]
        world.change_class(soak=SOAK, waves=waves)
        await world.world.until(lambda: world.phase == "WaitingForApproval", within=300)
        assert world.with_image(NEWER) == {"par"}
        revision = world.world.status(STANDARD)["revision"]

        for value, arrived in ((f"rest@{'0' * 12}", {"par"}), (f"rest@{revision}", {"fra", "par"})):
            body = world.world.hub.objects[STANDARD]
            annotations = {ANNOTATION_APPROVE_WAVE: value}
            world.world.apply(
                {**body, "metadata": {**body["metadata"], "annotations": annotations}}
            )
            await world.world.settle(60)
            assert world.with_image(NEWER) == arrived


async def test_a_class_that_is_not_valid_leaves_control_planes_as_they_are() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        before = dict(world.cluster.writes)

        document = a_class(image=IMAGE)
        world.world.apply({**document, "spec": {"nomad": {"image": IMAGE, "servers": 2}}})
        await world.world.settle(400)

        assert world.cluster.writes == before
        assert world.world.condition(STANDARD, "Stalled")


async def test_a_lost_record_is_written_anew_and_jumps_no_queue() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        world.change_class(soak="5m")
        await world.world.until(lambda: world.with_image(NEWER) == {"fra"}, within=1000)

        await world.world.controller.stop()
        world.cluster.remove(record_of("par"))
        await world.world.restart_operator()
        await world.world.settle(120)

        assert world.with_image(NEWER) == {"fra"}
        assert world.record("par")["revision"] == world.record("fra")["previous-revision"]


async def test_regions_built_before_classes_were_remembered_are_left_as_they_are() -> None:
    async with planet(("fra", "par")) as world:
        await world.opened()
        await world.world.controller.stop()
        for name in world.names:
            world.cluster.remove(record_of(name))
            status = world.world.hub.objects[Key(Kind.REGION, "", name)]["status"]
            del status["controlPlane"]["classRevision"]
        before = world.cluster.writes["apply"]

        await world.world.restart_operator()
        await world.world.settle(400)

        assert world.cluster.writes["apply"] - before == len(world.names)
        assert world.record("par")["state"] == "Settled"


async def test_a_region_that_is_being_torn_down_holds_no_other() -> None:
    async with planet(("fra", "par")) as world:
        world.world.apply(a_managed_region("fra"))
        world.world.apply(a_managed_region("par", deletionPolicy="Teardown"))
        await world.world.settle(200)
        theirs = {"name": "theirs", "namespace": "orrery-par"}
        world.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs})
        world.world.hub.delete(Key(Kind.REGION, "", "par"))
        await world.world.settle(60)
        await world.world.restart_operator()

        world.change_class(soak="10s")

        await world.world.until(lambda: world.image("fra") == NEWER)
