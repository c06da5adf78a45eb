"""A Region that is deleted: left alone, or torn down once no job runs in it; a Continent waits."""

from typing import Any

import pytest
from tests.builders import a_class, a_deployment, a_managed_region
from tests.fakes.europe import EU, FRA, IMAGE, Europe, europe

from orrery.names import FIELD_MANAGER, FINALIZER_CONTINENT, FINALIZER_REGION
from orrery.ports import Key, Kind, ObjectRef, Right

pytestmark = pytest.mark.looptime(noop_cycles=0)

CREDENTIALS = ("orrery-system", "fra-region-credentials")
HOME = ObjectRef("v1", "Namespace", "", "orrery-fra")


async def opened(eu: Europe, **spec: Any) -> None:
    eu.world.apply(a_managed_region("fra", deletionPolicy="Teardown", **spec))
    await eu.opened()


def reconciling(eu: Europe, key: Key = FRA) -> str:
    condition = eu.world.condition(key, "Reconciling")
    return condition["message"] if condition else ""


def gone(eu: Europe) -> bool:
    return FRA not in eu.world.hub.objects


async def test_a_region_that_is_deleted_leaves_its_control_plane_running_by_default() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(600)

        assert gone(eu)
        assert set(eu.cluster.objects) == before
        assert CREDENTIALS in eu.world.hub.secrets


async def test_a_teardown_deletes_all_that_was_made_and_then_the_region_goes() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.hub.delete(FRA)
        await eu.world.until(lambda: gone(eu), within=300)

        assert not eu.cluster.objects
        assert CREDENTIALS not in eu.world.hub.secrets


async def test_a_teardown_is_refused_while_jobs_run_and_says_how_many_and_which() -> None:
    async with europe() as eu:
        await opened(eu)
        shop = eu.world.apply(a_deployment())
        cart = eu.world.apply(a_deployment("cart"))
        await eu.world.until(lambda: eu.world.is_ready(shop) and eu.world.is_ready(cart))
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(600)

        assert eu.phase == "Terminating"
        assert reconciling(eu) == (
            "spec.deletionPolicy is Teardown and 2 jobs run in the region, the first is"
            " team-a/cart: nothing is torn down before none does"
        )
        assert set(eu.cluster.objects) == before
        assert eu.world.is_ready(shop)
        events = [e.message for e in eu.world.hub.events if e.key == FRA]
        assert len([e for e in events if e.startswith("the region is terminating: ")]) == 1

        eu.world.hub.delete(shop)
        eu.world.hub.delete(cart)
        await eu.world.until(lambda: gone(eu), within=600)
        assert not eu.cluster.objects


async def test_a_job_that_is_not_orrerys_holds_a_teardown_too() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.regions["fra"].edit("default", "legacy", Type="service", TaskGroups=[])
        await eu.world.settle(10)

        eu.world.hub.delete(FRA)
        await eu.world.settle(120)

        assert "1 job runs in the region, default/legacy" in reconciling(eu)
        assert eu.cluster.objects


async def test_waiting_for_jobs_writes_nothing() -> None:
    async with europe() as eu:
        await opened(eu)
        shop = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(shop))
        eu.world.hub.delete(FRA)
        await eu.world.settle(400)
        before = eu.settled()

        await eu.world.settle(1200)

        assert eu.settled() == before


async def test_a_region_that_does_not_answer_is_not_torn_down() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.regions["fra"].dark = True
        await eu.world.settle(120)

        eu.world.hub.delete(FRA)
        await eu.world.settle(600)

        assert eu.phase == "Unreachable"
        assert "whether jobs run in the region is not known" in reconciling(eu)
        assert eu.cluster.objects


async def test_a_teardown_waits_for_a_dark_continent_and_says_so() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.cluster.dark = True
        await eu.world.settle(120)

        eu.world.hub.delete(FRA)
        await eu.world.settle(600)

        assert eu.phase == "TearingDown"
        assert "does not answer" in eu.sentence

        eu.cluster.dark = False
        await eu.world.until(lambda: gone(eu), within=900)
        assert not eu.cluster.objects


async def test_a_region_that_never_was_complete_is_torn_down_at_once() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("StatefulSet")
        eu.world.apply(a_managed_region("fra", deletionPolicy="Teardown"))
        await eu.world.settle(30)
        assert "StatefulSet" in eu.kinds

        eu.world.hub.delete(FRA)
        await eu.world.until(lambda: gone(eu), within=300)

        assert not eu.cluster.objects


async def test_an_inherited_control_plane_is_recognized_before_it_is_torn_down() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        shop = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(shop))
        eu.world.hub.delete(FRA)
        await eu.world.settle(5)

        eu.world.apply(a_managed_region("fra", deletionPolicy="Teardown"))
        await eu.world.settle(0.2)
        eu.world.hub.delete(FRA)
        await eu.world.settle(300)

        assert "1 job runs in the region" in reconciling(eu)
        assert eu.cluster.objects


async def test_somebody_elses_object_in_the_namespace_holds_the_teardown() -> None:
    async with europe() as eu:
        await opened(eu)
        metadata = {"name": "notes", "namespace": HOME.name}
        notes = eu.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(300)

        assert eu.sentence == (
            "tearing down: not Orrery's, and would go with its namespace: ConfigMap notes in"
            " namespace orrery-fra; move it away or delete it"
        )
        assert set(eu.cluster.objects) == before

        eu.cluster.remove(notes)
        await eu.world.until(lambda: gone(eu), within=300)


async def test_a_missing_right_is_named_and_nothing_is_deleted_before() -> None:
    async with europe() as eu:
        await opened(eu)
        right = Right("delete", "", "namespaces")
        eu.cluster.denied.add(right)
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(300)

        assert "does not let Orrery delete namespaces" in eu.sentence
        assert "`orrery continent rbac --teardown`" in eu.sentence
        assert set(eu.cluster.objects) == before

        eu.cluster.denied.clear()
        await eu.world.until(lambda: gone(eu), within=300)


async def test_orphan_chosen_while_a_teardown_waits_lets_the_region_go() -> None:
    async with europe() as eu:
        await opened(eu)
        shop = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(shop))
        before = set(eu.cluster.objects)
        eu.world.hub.delete(FRA)
        await eu.world.settle(60)

        eu.world.apply(a_managed_region("fra", deletionPolicy="Orphan"))
        await eu.world.until(lambda: gone(eu), within=60)

        assert set(eu.cluster.objects) == before
        assert eu.world.job("fra") is not None


async def test_a_paused_region_is_not_torn_down() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.apply(a_managed_region("fra", deletionPolicy="Teardown", paused=True))
        await eu.world.settle(30)
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(300)

        assert reconciling(eu) == (
            "spec.paused is true: nothing is torn down before it is false again"
        )
        assert set(eu.cluster.objects) == before


async def test_deleting_the_definition_of_regions_tears_nothing_down() -> None:
    async with europe() as eu:
        await opened(eu)
        before = set(eu.cluster.objects)

        eu.world.hub.leaving.add(Kind.REGION)
        eu.world.hub.delete(FRA)
        await eu.world.until(lambda: gone(eu), within=60)

        assert set(eu.cluster.objects) == before


async def test_a_continent_with_regions_is_held_and_names_them() -> None:
    async with europe() as eu:
        await opened(eu)
        before = set(eu.cluster.objects)

        eu.world.hub.delete(EU)
        await eu.world.settle(600)

        assert reconciling(eu, EU) == (
            "it is being deleted, which waits for the regions that name it: fra"
        )
        events = [e for e in eu.world.hub.events if e.key == EU and e.reason == "RegionsRemain"]
        assert len(events) == 1
        assert eu.phase == "Open"
        assert set(eu.cluster.objects) == before

        eu.world.hub.delete(FRA)
        await eu.world.until(lambda: EU not in eu.world.hub.objects, within=300)
        assert gone(eu)
        assert not eu.cluster.objects


async def test_a_held_continent_is_not_written_to_at_rest() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.hub.delete(EU)
        await eu.world.settle(400)
        before = eu.settled()

        await eu.world.settle(1200)

        assert eu.settled() == before


async def test_a_continent_without_regions_goes_at_once() -> None:
    async with europe() as eu:
        eu.world.hub.delete(EU)

        assert EU not in eu.world.hub.objects


async def test_the_finalizers_are_there_only_while_they_are_needed() -> None:
    async with europe() as eu:
        await opened(eu)
        assert eu.world.hub.objects[FRA]["metadata"]["finalizers"] == [FINALIZER_REGION]
        assert eu.world.hub.objects[EU]["metadata"]["finalizers"] == [FINALIZER_CONTINENT]

        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)
        assert not eu.world.hub.objects[FRA]["metadata"]["finalizers"]

        eu.world.hub.delete(FRA)
        await eu.world.settle(10)
        assert not eu.world.hub.objects[EU]["metadata"]["finalizers"]


@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5])
async def test_a_restart_in_the_middle_of_a_teardown_ends_in_the_same_nothing(
    seconds: float,
) -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.hub.delete(FRA)
        await eu.world.settle(seconds)

        await eu.world.restart_operator()
        await eu.world.until(lambda: gone(eu), within=300)

        assert not eu.cluster.objects
        assert CREDENTIALS not in eu.world.hub.secrets


async def test_a_namespace_that_is_not_the_regions_is_left_alone() -> None:
    async with europe() as eu:
        await opened(eu)
        entry = {"manager": FIELD_MANAGER, "operation": "Apply"}
        eu.cluster.edit(
            HOME,
            {"metadata": {"labels": {"orrery.dev/install": "another"}, "managedFields": [entry]}},
        )
        before = set(eu.cluster.objects)

        eu.world.hub.delete(FRA)
        await eu.world.settle(300)

        assert set(eu.cluster.objects) == before
        assert "Namespace orrery-fra is not Orrery's" in eu.sentence


async def test_a_probe_that_finds_no_end_holds_no_teardown() -> None:
    async with europe() as eu:
        class_ = a_class(image=IMAGE)
        class_["spec"]["probe"] = {"image": "registry.example/orrery:1"}
        eu.world.apply(class_)
        eu.world.regions["fra"].busy = True
        await opened_or_not(eu)

        eu.world.hub.delete(FRA)

        await eu.world.until(lambda: gone(eu), within=300)


async def opened_or_not(eu: Europe) -> None:
    eu.world.apply(a_managed_region("fra", deletionPolicy="Teardown"))
    await eu.world.until(lambda: eu.world.regions["fra"].job("orrery--system", "probe") is not None)
