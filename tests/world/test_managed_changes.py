"""A Managed region whose surroundings change: nothing is lost, closed or built in a wrong place."""

import pytest
from tests.builders import a_class, a_managed_region, a_secret
from tests.fakes.europe import ADDRESS, FRA, IMAGE, Europe, a_hosting_continent, europe

from orrery.ports import Kind, Secret

pytestmark = pytest.mark.looptime(noop_cycles=0)

NA = "na"


def a_kubeconfig(text: str) -> Secret:
    return a_secret("eu-cluster", namespace="orrery-system", kubeconfig=text)


async def opened(eu: Europe) -> None:
    eu.world.apply(a_managed_region("fra"))
    await eu.opened()
    await eu.world.settle(400)


async def test_fewer_servers_are_not_made() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.apply(a_class(image=IMAGE, servers=1))
        await eu.world.settle(60)

        servers = eu.caretaker.find("StatefulSet", "fra-nomad")
        assert eu.cluster.objects[servers]["spec"]["replicas"] == 3
        assert eu.phase == "Open"
        degraded = eu.world.condition(FRA, "Degraded")
        assert degraded
        assert "fewer would lose the quorum" in degraded["message"]


async def test_another_cluster_behind_the_continent_is_not_built_in() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.hub.secrets["orrery-system", "eu-cluster"] = a_kubeconfig("another way")
        await eu.world.settle(900)

        assert not eu.other.objects
        assert eu.phase == "Open"
        degraded = eu.world.condition(FRA, "Degraded")
        assert degraded
        assert degraded["reason"] == "AuthorityLost"


async def test_another_address_is_told_with_the_credentials_bound_to_it() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.caretaker.idle.add("StatefulSet")

        eu.caretaker.address = "203.0.113.99"
        await eu.world.settle(400)

        assert eu.world.condition(FRA, "Stalled") is None
        assert eu.world.status(FRA)["controlPlane"]["address"] == ADDRESS
        assert eu.phase == "Open"


async def test_a_region_made_anew_in_another_continent_leaves_the_first_cluster_alone() -> None:
    async with europe() as eu:
        await opened(eu)
        secret = a_secret("na-cluster", namespace="orrery-system", kubeconfig="another way")
        eu.world.hub.secrets["orrery-system", "na-cluster"] = secret
        na = a_hosting_continent(
            cluster={"kubeconfigSecretRef": {"name": "na-cluster", "key": "kubeconfig"}}
        )
        eu.world.hub.apply(Kind.CONTINENT, {**na, "metadata": {"name": NA}})

        eu.world.hub.delete(FRA)
        await eu.world.settle(5)
        eu.cluster.objects.clear()
        eu.world.apply(a_managed_region("fra", continent=NA))
        await eu.world.settle(1200)

        assert not eu.cluster.objects
        assert eu.other.objects


async def test_a_dark_continent_with_an_unfinished_region_holds_no_other_region() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(30)
        eu.cluster.dark = True
        await eu.world.settle(300)

        lane = eu.world.controller._region_lane
        dark = 0
        for _ in range(100):
            await eu.world.settle(3)
            dark += lane.is_dark

        assert dark == 0
        assert eu.phase == "Provisioning"
        assert "does not answer" in eu.sentence


async def test_a_hub_made_anew_finds_the_region_as_it_was_built() -> None:
    async with europe() as eu:
        await opened(eu)
        secrets = {r: b["data"] for r, b in eu.cluster.objects.items() if r.kind == "Secret"}
        eu.world.hub.delete(FRA)
        del eu.world.hub.secrets["orrery-system", "fra-region-credentials"]
        await eu.world.settle(5)
        eu.caretaker.idle.add("Job")

        eu.world.apply(a_managed_region("fra"))
        await eu.opened()

        assert {r: eu.cluster.objects[r]["data"] for r in secrets} == secrets
        assert not [r for r in eu.cluster.objects if r.kind == "Job"]


async def test_a_region_that_is_paused_while_it_is_built_says_so() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(30)

        eu.world.apply(a_managed_region("fra", paused=True))
        await eu.world.settle(30)

        assert eu.sentence == "spec.paused is true: the control plane is not built"


async def test_what_waits_for_long_is_looked_at_more_seldom() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(1200)
        before = eu.cluster.reads.total()

        await eu.world.settle(600)

        assert eu.cluster.reads.total() - before < 20 * 15


async def test_servers_that_were_not_told_of_a_new_authority_keep_the_old_one_trusted() -> None:
    async with europe() as eu:
        await opened(eu)
        servers = eu.caretaker.find("StatefulSet", "fra-nomad")
        authority = eu.caretaker.find("Secret", "fra-ca")
        before = eu.cluster.objects[authority]["data"]["tls.crt"]
        region = a_managed_region("fra")
        region["metadata"]["annotations"] = {"orrery.dev/rotate-authority": "now"}
        # Refused from now on, and with it the whole layer of the servers.
        eu.world.apply(a_class(image=IMAGE, servers=1))

        eu.world.apply(region)
        await eu.world.settle(4 * 3600)

        assert eu.cluster.objects[servers]["spec"]["replicas"] == 3
        assert eu.cluster.objects[authority]["data"]["tls.crt"] == before
