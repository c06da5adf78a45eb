"""A Managed region: built in its continent's cluster layer by layer, then used like any other."""

import pytest
from tests.builders import a_class, a_deployment, a_managed_region
from tests.fakes.europe import ADDRESS, EU, FRA, IMAGE, a_hosting_continent, europe

from orrery.ports import Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)


async def test_a_region_goes_from_apply_to_open_and_runs_a_deployment() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()

        key = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(key))

        assert eu.world.job("fra") is not None
        assert eu.world.status(FRA)["controlPlane"]["address"] == ADDRESS
        assert eu.world.status(FRA)["controlPlane"]["bootstrapped"] is True


async def test_the_servers_wait_for_the_address_and_the_region_says_so() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(60)

        assert eu.phase == "Provisioning"
        assert eu.sentence == "the load balancer fra-front-door has no address yet"
        assert eu.world.status(FRA)["display"]["checks"] == "12 waiting"
        assert "StatefulSet" not in eu.kinds

        eu.caretaker.idle.clear()
        await eu.opened()


async def test_the_front_door_waits_for_a_majority_of_the_servers() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("StatefulSet")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(60)

        assert eu.sentence == "0 of 3 Nomad servers are ready, 2 needed"
        assert "Deployment" not in eu.kinds


async def test_rest_means_no_write() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        before = eu.settled()

        await eu.world.settle(1800)

        assert eu.settled() == before


async def test_a_restart_writes_nothing() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        before = eu.settled()

        await eu.world.restart_operator()
        await eu.world.settle(600)

        assert eu.settled() == before
        assert eu.phase == "Open"


@pytest.mark.parametrize("idle", ["Service", "StatefulSet", "Deployment", "Job"])
async def test_a_restart_in_the_middle_ends_in_the_same_objects(idle: str) -> None:
    async with europe() as undisturbed:
        undisturbed.world.apply(a_managed_region("fra"))
        await undisturbed.opened()
        expected = set(undisturbed.cluster.objects)

    async with europe() as eu:
        eu.caretaker.idle.add(idle)
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(30)
        secrets = {r: b for r, b in eu.cluster.objects.items() if r.kind == "Secret"}

        await eu.world.restart_operator()
        eu.caretaker.idle.clear()
        await eu.opened()

        assert {r for r in eu.cluster.objects if r.kind != "Job"} == {
            r for r in expected if r.kind != "Job"
        }
        assert all(eu.cluster.objects[ref]["data"] == b["data"] for ref, b in secrets.items())


async def test_a_dead_continent_leaves_an_open_region_open_and_says_so() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()

        eu.cluster.dark = True
        await eu.world.settle(900)

        assert eu.phase == "Open"
        assert eu.world.condition(EU, "Ready")["reason"] == "ContinentUnreachable"  # type: ignore[index]  # absent would fail
        degraded = eu.world.condition(FRA, "Degraded")
        assert degraded
        assert degraded["reason"] == "ContinentNotReady"

        eu.cluster.dark = False
        await eu.world.until(lambda: eu.world.condition(FRA, "Degraded") is None, within=900)


async def test_what_somebody_changes_by_hand_is_repaired() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        servers = eu.caretaker.find("StatefulSet", "fra-nomad")

        eu.cluster.edit(servers, {"spec": {"replicas": 1}})
        await eu.world.settle(600)

        assert eu.cluster.objects[servers]["spec"]["replicas"] == 3


async def test_a_class_without_an_image_is_named() -> None:
    async with europe() as eu:
        eu.world.apply(a_class())
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)

        assert eu.sentence == (
            'RegionClass "standard": spec.nomad.image is required by Managed regions'
        )
        assert not eu.cluster.objects

        eu.world.apply(a_class(image=IMAGE))
        await eu.opened()


async def test_a_continent_without_a_cluster_is_named() -> None:
    async with europe() as eu:
        eu.world.hub.apply(Kind.CONTINENT, {**a_hosting_continent(), "spec": {}})
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)

        assert eu.sentence == (
            'spec.continent: Continent "eu" has no spec.cluster, which a Managed region needs'
        )


async def test_a_missing_kubeconfig_is_named_and_found_later() -> None:
    async with europe() as eu:
        secret = eu.world.hub.secrets.pop(("orrery-system", "eu-cluster"))
        await eu.world.settle(120)
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)

        where = 'Secret "eu-cluster" in namespace "orrery-system" does not exist'
        assert eu.world.condition(EU, "Ready")["message"].endswith(where)  # type: ignore[index]  # absent would fail
        assert where in eu.sentence

        eu.world.hub.secrets["orrery-system", "eu-cluster"] = secret
        await eu.opened()


async def test_a_paused_region_is_not_built() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra", paused=True))
        await eu.world.settle(60)

        assert not eu.cluster.objects

        eu.world.apply(a_managed_region("fra"))
        await eu.opened()


async def test_no_secret_is_told() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        token = eu.world.hub.secrets["orrery-system", "fra-region-credentials"].data["token"]

        told = str(eu.world.hub.objects) + str(eu.world.hub.events)

        assert token.decode() not in told
        assert "PRIVATE KEY" not in told
