"""What cannot be built is told by field, value and remedy, and nothing of it is half applied."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.builders import a_class, a_managed_region, a_secret
from tests.fakes.europe import EU, FRA, IMAGE, Europe, a_hosting_continent, europe

from orrery.names import ANNOTATION_OWNER
from orrery.ports import Kind, ObjectRef, Right

pytestmark = pytest.mark.looptime(noop_cycles=0)

HOME = ObjectRef("v1", "Namespace", "", "orrery-fra")


def condition(eu: Europe, kind: str) -> dict[str, Any]:
    found = eu.world.condition(FRA, kind)
    assert found is not None, f"{kind} is not there"
    return found


def a_namespace(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME.name, **metadata}}


@asynccontextmanager
async def taken_europe(**metadata: Any) -> AsyncIterator[Europe]:
    """Run a world in which the region's namespace exists already, and apply the region."""
    async with europe() as eu:
        eu.cluster.put(a_namespace(**metadata))
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(120)
        yield eu


async def test_a_continent_that_does_not_exist_is_named_and_found_later() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra", continent="na"))
        await eu.world.settle(60)

        assert eu.sentence == 'spec.continent: there is no Continent "na"'
        assert not eu.cluster.objects

        eu.world.hub.apply(Kind.CONTINENT, {**a_hosting_continent(), "metadata": {"name": "na"}})
        await eu.opened()


async def test_a_kubeconfig_without_rights_is_told_before_anything_is_made() -> None:
    async with europe() as eu:
        eu.cluster.denied.add(Right("create", "apps", "statefulsets"))
        await eu.world.settle(120)
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(60)

        assert eu.sentence == (
            'Continent "eu": the cluster does not let Orrery create statefulsets.apps: `orrery'
            " continent rbac` prints what is needed"
        )
        assert not eu.cluster.objects

        eu.cluster.denied.clear()
        await eu.opened()


async def test_a_load_balancer_with_a_host_name_only_is_told_before_a_server_is_made() -> None:
    async with europe() as eu:
        eu.caretaker.idle.add("Service")
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(10)
        service = eu.caretaker.find("Service", "fra-front-door")
        ingress = [{"hostname": "lb-1.example"}]
        eu.cluster.set_status(service, {"loadBalancer": {"ingress": ingress}})
        await eu.world.settle(60)

        assert condition(eu, "Stalled")["reason"] == "AddressUnusable"
        assert 'has the host name "lb-1.example" and no IP address' in eu.sentence
        assert not {"StatefulSet", "Secret", "Deployment"} & set(eu.kinds)


async def test_a_class_of_an_unsupported_nomad_is_named_by_field_and_value() -> None:
    async with europe() as eu:
        eu.world.apply(a_class(image="docker.io/hashicorp/nomad:1.10.5"))
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(60)

        assert eu.sentence == (
            'RegionClass "standard": spec.nomad.image: "docker.io/hashicorp/nomad:1.10.5" is not'
            " allowed, must be an image of Nomad 2.0.4 or a later 2.x"
        )
        assert not eu.cluster.objects

        eu.world.apply(a_class(image=IMAGE))
        await eu.opened()


async def test_a_server_of_an_unsupported_version_behind_a_good_tag_is_told() -> None:
    async with europe() as eu:
        eu.world.regions["fra"].version = "1.10.5"
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(120)

        assert condition(eu, "Ready")["reason"] == "NomadUnsupported"
        assert "Nomad 1.10.5 is too old" in eu.sentence


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"orrery.dev/install": "blue", "orrery.dev/region": "fra"}, 'belongs to install "blue"'),
        ({"orrery.dev/install": "orrery", "orrery.dev/region": "a"}, 'belongs to region "a"'),
    ],
)
async def test_a_namespace_of_another_install_or_region_is_never_shared(
    labels: dict[str, str], words: str
) -> None:
    async with taken_europe(labels=labels) as eu:
        assert condition(eu, "Stalled")["reason"] == "NamespaceTaken"
        assert eu.sentence.startswith(f"Namespace orrery-fra {words}")
        assert set(eu.cluster.objects) == {HOME}
        assert eu.cluster.objects[HOME]["metadata"]["labels"] == labels


async def test_a_namespace_that_is_nobodys_is_not_taken() -> None:
    async with taken_europe() as eu:
        assert "Namespace orrery-fra exists and is not Orrery's" in eu.sentence
        assert set(eu.cluster.objects) == {HOME}


async def test_a_namespace_that_was_built_for_another_continent_is_taken_over_when_told_to() -> (
    None
):
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        secrets = {r: b["data"] for r, b in eu.cluster.objects.items() if r.kind == "Secret"}
        eu.cluster.objects[HOME]["metadata"]["annotations"][ANNOTATION_OWNER] = "europe"
        before = copy.deepcopy(eu.cluster.objects)

        await eu.world.restart_operator()
        await eu.world.settle(120)
        assert "was built for Continent" in condition(eu, "Degraded")["message"]
        assert condition(eu, "Degraded")["message"].endswith(
            "kubectl annotate --overwrite continent eu orrery.dev/take-over=europe"
        )
        assert eu.cluster.objects == before
        continent = a_hosting_continent()
        continent["metadata"] = {"name": "eu", "annotations": {"orrery.dev/take-over": "europe"}}
        eu.world.hub.apply(Kind.CONTINENT, continent)
        await eu.world.until(lambda: eu.world.condition(FRA, "Degraded") is None)

        assert {r: eu.cluster.objects[r]["data"] for r in secrets} == secrets
        assert eu.cluster.objects[HOME]["metadata"]["annotations"][ANNOTATION_OWNER] == "eu"


async def test_a_hub_that_replaces_another_finds_its_regions_without_a_word() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        before = copy.deepcopy(eu.cluster.objects)
        eu.world.hub.delete(FRA)
        await eu.world.settle(10)
        eu.world.hub.delete(EU)
        del eu.world.hub.secrets["orrery-system", "fra-region-credentials"]
        await eu.world.settle(10)

        eu.world.hub.apply(Kind.CONTINENT, a_hosting_continent())
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)

        assert eu.cluster.objects == before
        assert ("orrery-system", "fra-region-credentials") in eu.world.hub.secrets


async def test_somebody_elses_secret_of_the_credentials_name_is_not_written_over() -> None:
    async with europe() as eu:
        theirs = a_secret("fra-region-credentials", namespace="orrery-system", password="mine")
        eu.world.hub.secrets["orrery-system", "fra-region-credentials"] = theirs
        eu.world.apply(a_managed_region("fra"))
        await eu.world.settle(120)

        assert eu.world.hub.secrets["orrery-system", "fra-region-credentials"] == theirs
        assert eu.sentence.startswith(
            'Secret "fra-region-credentials" in namespace "orrery-system" exists and is not'
        )

        del eu.world.hub.secrets["orrery-system", "fra-region-credentials"]
        await eu.opened()
