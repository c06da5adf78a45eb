"""Managed regions at their edges: what is in the way, comes late, or is done by two at once."""

from typing import Any

import pytest
from tests.builders import a_class, a_managed_region
from tests.fakes.europe import EU, FRA, IMAGE, Europe, a_hosting_continent, europe

from orrery.errors import Unreachable
from orrery.ports import HubEvent, Kind, ObjectRef, Secret
from orrery.reconcile.controller import Controller

pytestmark = pytest.mark.looptime(noop_cycles=0)

CREDENTIALS = ("orrery-system", "fra-region-credentials")


async def opened(eu: Europe, **spec: Any) -> None:
    eu.world.apply(a_managed_region("fra", **spec))
    await eu.opened()


def told_of_fra(eu: Europe) -> list[HubEvent]:
    return [event for event in eu.world.hub.events if event.key == FRA]


def degraded(eu: Europe) -> str:
    condition = eu.world.condition(FRA, "Degraded")
    return f"{condition['reason']}: {condition['message']}" if condition else ""


async def test_the_lane_of_a_continent_that_is_gone_ends() -> None:
    async with europe() as eu:
        lanes = eu.world.controller._continents._hosts
        assert list(lanes) == ["eu"]
        eu.world.hub.delete(EU)
        await eu.world.settle(10)

        assert not lanes
        assert eu.cluster.closed

        eu.world.hub.apply(Kind.CONTINENT, a_hosting_continent())
        await opened(eu)


async def test_a_gossip_key_that_is_gone_is_not_made_anew_and_the_region_says_what_to_do() -> None:
    async with europe() as eu:
        await opened(eu)
        gossip = eu.caretaker.find("Secret", "fra-gossip")
        before = eu.cluster.objects[gossip]

        eu.cluster.remove(gossip)
        await eu.world.settle(400)

        assert gossip not in eu.cluster.objects
        assert degraded(eu).startswith(
            'SecretLost: control plane: Secret "fra-gossip" in namespace "orrery-fra" is gone'
        )
        assert eu.phase == "Open"

        eu.cluster.put(before)
        await eu.world.until(lambda: "SecretLost" not in degraded(eu), within=600)


async def test_a_paused_continent_is_not_written_to_and_its_region_says_so() -> None:
    async with europe() as eu:
        eu.world.hub.apply(Kind.CONTINENT, a_hosting_continent(paused=True))
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(120)

        assert eu.sentence == 'Continent "eu" is paused'
        assert not eu.cluster.objects

        eu.world.hub.apply(Kind.CONTINENT, a_hosting_continent())
        await eu.opened()


async def test_a_hub_that_takes_no_secret_for_a_while_delays_the_handing_over_only() -> None:
    async with europe() as eu:
        write = eu.world.hub.write_secret

        async def fails(secret: Secret) -> None:
            raise Unreachable("HubUnreachable", f"the hub does not answer: {secret.name}")

        eu.world.hub.write_secret = fails  # type: ignore[method-assign]  # a hub that is down
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(60)
        assert "the hub does not answer" in eu.sentence
        assert "Deployment" in eu.kinds

        eu.world.hub.write_secret = write  # type: ignore[method-assign]  # it is up again
        await eu.opened()
        assert CREDENTIALS in eu.world.hub.secrets


async def test_a_death_between_the_secrets_and_the_servers_makes_no_other_keys() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)
        apply = eu.cluster.apply

        async def dies(manifest: Any) -> Any:
            if manifest["kind"] == "StatefulSet":
                raise Unreachable("ClusterUnreachable", "died before the servers")
            return await apply(manifest)

        eu.cluster.apply = dies  # type: ignore[method-assign]  # the process ends at this write
        eu.caretaker.idle.clear()
        await eu.world.settle(60)
        secrets = {r: b["data"] for r, b in eu.cluster.objects.items() if r.kind == "Secret"}
        assert len(secrets) == 6
        assert "StatefulSet" not in eu.kinds

        eu.cluster.apply = apply  # type: ignore[method-assign]  # the next process
        await eu.world.restart_operator()
        await eu.opened()
        assert {r: eu.cluster.objects[r]["data"] for r in secrets} == secrets


async def test_two_operators_at_once_make_one_region() -> None:
    async with europe() as eu:
        observers: list[Controller] = [eu.world.controller]
        second = eu.world.make_controller()
        observers.append(second)

        def both(*news: Any) -> None:
            for controller in observers:
                controller.observe(*news)

        eu.world.hub.observer = both
        await second.start()
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        secrets = {r: b["data"] for r, b in eu.cluster.objects.items() if r.kind == "Secret"}
        before = eu.settled()

        await eu.world.settle(900)

        assert {r: eu.cluster.objects[r]["data"] for r in secrets} == secrets
        assert eu.settled() == before
        assert eu.phase == "Open"
        await second.stop()


async def test_what_was_repaired_is_told_by_one_event() -> None:
    async with europe() as eu:
        await opened(eu)
        await eu.world.settle(400)
        servers = eu.caretaker.find("StatefulSet", "fra-nomad")

        eu.cluster.edit(servers, {"spec": {"replicas": 2}})
        await eu.world.settle(1200)

        (event,) = [e for e in eu.world.hub.events if e.reason == "Repaired"]
        assert event.message == (
            "somebody had changed what Orrery keeps, and it was put right: StatefulSet fra-nomad"
            " in namespace orrery-fra: spec.replicas"
        )


async def test_what_does_not_stay_as_it_is_applied_is_told_in_the_status() -> None:
    async with europe() as eu:
        await opened(eu)

        def insists(body: dict[str, Any]) -> None:
            if body["kind"] == "ServiceAccount":
                body["automountServiceAccountToken"] = True

        eu.cluster.mutate = insists
        eu.cluster.edit(eu.caretaker.find("ServiceAccount", "fra-nomad"), {"metadata": {}})
        await eu.world.settle(900)
        before = eu.settled()

        assert degraded(eu).startswith(
            "Contested: control plane: something else in the cluster keeps changing what Orrery"
            " applies: ServiceAccount fra-nomad in namespace orrery-fra:"
            " automountServiceAccountToken"
        )
        assert eu.phase == "Open"
        await eu.world.settle(1200)
        assert eu.settled() == before


async def test_pruning_that_would_be_too_much_is_held_and_told() -> None:
    async with europe() as eu:
        await opened(eu)
        pattern = eu.cluster.objects[eu.caretaker.find("ConfigMap", "fra-nomad")]
        strays = [
            eu.cluster.put(
                {
                    **pattern,
                    "metadata": {**pattern["metadata"], "name": f"stray-{n}", "uid": f"{n}"},
                }
            )
            for n in range(20)
        ]
        await eu.world.settle(400)

        assert all(stray in eu.cluster.objects for stray in strays)
        assert degraded(eu).startswith(
            "PruningHeld: control plane: 20 objects are not wanted any more and are left, since"
            " so many at once may be a mistake: ConfigMap stray-0 in namespace orrery-fra,"
        )
        assert eu.phase == "Open"


async def test_a_rollout_leaves_no_trace_in_the_status() -> None:
    async with europe() as eu:
        await opened(eu)
        await eu.world.settle(400)
        eu.caretaker.idle |= {"StatefulSet", "Deployment"}
        before = len(told_of_fra(eu))

        # Other resources: other pods; their controllers have not seen that yet.
        eu.world.apply(a_class(image=IMAGE, resources={"memory": "2Gi"}))
        await eu.world.settle(60)

        assert "ready" not in degraded(eu)
        assert len(told_of_fra(eu)) == before


async def test_a_refused_change_of_a_volume_keeps_nothing_else_from_being_applied() -> None:
    async with europe() as eu:
        await opened(eu)
        await eu.world.settle(400)

        eu.world.apply(a_class(image=IMAGE, storage="20Gi", resources={"memory": "2Gi"}))
        await eu.world.settle(60)

        servers = eu.cluster.objects[eu.caretaker.find("StatefulSet", "fra-nomad")]
        (container,) = servers["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["memory"] == "2Gi"
        assert degraded(eu) == (
            'InvalidSpec: control plane: RegionClass "standard": spec.nomad.storage is 20Gi and the'
            " volumes of StatefulSet fra-nomad in namespace orrery-fra have 10Gi, which Kubernetes"
            " does not let change: set it back, or make a new region"
        )
        assert eu.phase == "Open"

        eu.world.apply(a_class(image=IMAGE, resources={"memory": "2Gi"}))
        await eu.world.until(lambda: "InvalidSpec" not in degraded(eu), within=600)


async def test_another_storage_class_or_load_balancer_class_is_told_by_what_is_there() -> None:
    async with europe() as eu:
        await opened(eu)
        await eu.world.settle(400)

        eu.world.hub.apply(
            Kind.CONTINENT,
            a_hosting_continent(storageClassName="fast", frontDoor={"loadBalancerClass": "x/y"}),
        )
        await eu.world.settle(60)

        assert 'Continent "eu": spec.frontDoor.loadBalancerClass is x/y and' in degraded(eu)
        assert 'Continent "eu": spec.storageClassName is fast and' in degraded(eu)
        assert "have none" in degraded(eu)
        home = ObjectRef("v1", "Service", "orrery-fra", "fra-front-door")
        assert "loadBalancerClass" not in eu.cluster.objects[home]["spec"]
