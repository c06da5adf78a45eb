"""What applying would do: choose, split, render, ask every region; exit 0, 1 or 255."""

from typing import Any

import pytest
from tests.builders import a_class, a_region, endpoint
from tests.unit.cli.forecasts import actions, apply, foreseen
from tests.unit.cli.hubs import Planet, a_deployment_seen

from orrery.adapters.memory import MemoryNomad
from orrery.cli.dryrun import grouped
from orrery.cli.plan import exit_code
from orrery.errors import Unreachable
from orrery.ports import Kind

SECRET_ENV = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]


def a_region_of(name: str, region_class: str) -> dict[str, Any]:
    body = a_region(name)
    return {**body, "spec": {**body["spec"], "class": region_class}}


async def test_new_deployment_is_created_in_every_region_it_selects() -> None:
    planet = Planet(fra="eu", par="eu", was="na")

    forecast = await foreseen(planet, placement={"continents": ["eu"]})

    assert actions(forecast) == {"fra": "create", "par": "create"}
    assert exit_code([forecast]) == 1


async def test_same_manifest_again_changes_nothing() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)

    forecast = await foreseen(planet)

    assert actions(forecast) == {"fra": "nothing", "par": "nothing"}
    assert exit_code([forecast]) == 0


async def test_override_of_one_region_changes_that_region_only() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)
    override = {"name": "big", "regions": ["par"], "scaling": {"count": 9}}

    forecast = await foreseen(planet, overrides=[override])

    assert actions(forecast) == {"fra": "nothing", "par": "update"}
    assert exit_code([forecast]) == 1


async def test_region_that_is_no_longer_selected_is_stopped() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen())

    forecast = await foreseen(planet, placement={"regions": ["fra"]})

    assert actions(forecast) == {"fra": "nothing", "par": "stop"}


async def test_nothing_is_written_anywhere() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)

    await foreseen(planet, scaling={"count": 7})
    await foreseen(planet, docker={"image": "shop:2"}, placement={"regions": ["fra"]})

    assert planet.writes == 0


async def test_dark_region_is_named_and_not_fatal() -> None:
    planet = Planet(fra="eu", par="eu")
    planet.regions["par"].dark = True

    forecast = await foreseen(planet)

    assert actions(forecast) == {"fra": "create", "par": "later"}
    assert exit_code([forecast]) == 1


async def test_region_that_will_be_changed_when_it_returns_is_a_change() -> None:
    planet = Planet(fra="eu", par="eu")
    left = await apply(planet)
    states = {r: {"phase": "Healthy", "revision": left[r], "index": 10} for r in left}
    remembered = a_deployment_seen(continents=[{"name": "eu", "regions": states}])
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, remembered)
    planet.regions["par"].dark = True
    override = {"name": "big", "regions": ["par"], "scaling": {"count": 9}}

    same = await foreseen(planet)
    changed = await foreseen(planet, overrides=[override])

    assert actions(same) == {"fra": "nothing", "par": "unreachable"}
    assert exit_code([same]) == 0
    assert actions(changed) == {"fra": "nothing", "par": "later"}
    assert exit_code([changed]) == 1


async def test_no_region_that_answers_is_an_error() -> None:
    planet = Planet(fra="eu", par="eu")
    for nomad in planet.regions.values():
        nomad.dark = True

    assert exit_code([await foreseen(planet)]) == 255


async def test_dark_regions_share_a_paragraph_whatever_their_addresses_are() -> None:
    planet = Planet(fra="eu", par="eu", was="na")
    for name in planet.regions:
        planet.regions[name] = Silent(name)

    forecast = await foreseen(planet)

    ((outcome, regions),) = grouped(forecast.outcomes)
    assert regions == ("fra", "par", "was")
    assert outcome.notes[-1] == "no connection: connection refused"


class Silent(MemoryNomad):
    """A region at whose address nobody listens, in the words of the real client."""

    async def list_namespaces(self) -> frozenset[str]:
        words = "no connection: connection refused"
        raise Unreachable("RegionUnreachable", f"{endpoint(self.name)}: {words}")


async def test_unknown_region_is_a_note_while_others_go_on() -> None:
    forecast = await foreseen(Planet(fra="eu"), placement={"regions": ["fra", "frb"]})

    assert actions(forecast) == {"fra": "create"}
    (note,) = forecast.notes
    assert 'region "frb" is not available; did you mean "fra"?' in note


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {"placement": {"regions": ["frb"]}},
            'region "frb" is not available; did you mean "fra"?',
            id="only-an-unknown-region",
        ),
        pytest.param(
            {"placement": {"regionSelector": {"matchLabels": {"tier": "x"}}}},
            "spec.placement selects no region",
            id="selector-matches-nothing",
        ),
        pytest.param(
            {"env": SECRET_ENV},
            'spec.env[0].secretRef.name: Secret "db" does not exist in this namespace',
            id="missing-secret",
        ),
        pytest.param(
            {"driver": "firecracker"}, 'has no driver "firecracker"; it has', id="unknown-driver"
        ),
        pytest.param(
            {"overrides": [{"name": "o", "regions": ["was"], "scaling": {"count": 2}}]},
            'override "o" names region "was", which the placement does not select',
            id="override-elsewhere",
        ),
    ],
)
async def test_what_keeps_everything_from_being_registered(
    spec: dict[str, Any], problem: str
) -> None:
    forecast = await foreseen(Planet(fra="eu"), **spec)

    assert problem in forecast.problems[0]
    assert not forecast.outcomes
    assert exit_code([forecast]) == 255


async def test_unknown_driver_is_in_the_way_of_one_region() -> None:
    planet = Planet(fra="eu", par="eu")
    vm = {"name": "firecracker", "nomadDriver": "firecracker", "config": {}}
    planet.hub.apply(Kind.REGION_CLASS, a_class("vms", drivers=[vm]))
    planet.hub.apply(Kind.REGION, a_region_of("par", "vms"))

    forecast = await foreseen(planet, driver="firecracker")

    assert actions(forecast) == {"fra": "blocked", "par": "create"}
    assert 'has no driver "firecracker"' in forecast.outcomes["fra"].notes[0]
    assert exit_code([forecast]) == 255


async def test_class_that_is_not_valid_is_in_the_way_of_its_regions_only() -> None:
    planet = Planet(fra="eu", par="eu")
    typo = {"name": "docker", "nomadDriver": "docker", "config": {"image": "{imgae}"}}
    planet.hub.apply(Kind.REGION_CLASS, a_class("typo", drivers=[typo]))
    planet.hub.apply(Kind.REGION, a_region_of("par", "typo"))

    forecast = await foreseen(planet)

    assert actions(forecast) == {"fra": "create", "par": "blocked"}
    assert (
        forecast.outcomes["par"]
        .notes[0]
        .startswith('RegionClass "typo": spec.nomad.drivers[0].config.image: "{imgae}"')
    )


async def test_paused_deployment_changes_nothing_and_says_so() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen())

    forecast = await foreseen(
        planet, paused=True, placement={"regions": ["fra"]}, scaling={"count": 7}
    )

    assert actions(forecast) == {"fra": "nothing", "par": "nothing"}
    assert forecast.notes == ("spec.paused is true: nothing is written until it is false",)
    assert exit_code([forecast]) == 0


async def test_paused_deployment_still_says_what_is_wrong_with_it() -> None:
    forecast = await foreseen(Planet(fra="eu"), paused=True, env=SECRET_ENV)

    assert 'Secret "db" does not exist' in forecast.problems[0]
    assert exit_code([forecast]) == 255


async def test_paused_region_changes_nothing_and_says_so() -> None:
    planet = Planet(fra="eu", par="eu", was="na")
    await apply(planet)
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen())
    for name in ("par", "was"):
        planet.hub.apply(Kind.REGION, a_region(name, paused=True))

    changed = await foreseen(planet, placement={"regions": ["fra", "par"]}, scaling={"count": 7})

    assert actions(changed) == {"fra": "update", "par": "nothing", "was": "nothing"}
    expected = ("spec.paused of the region is true: nothing is written there until it is false",)
    assert {changed.outcomes[name].notes for name in ("par", "was")} == {expected}


async def test_plan_into_paused_regions_only_changes_nothing() -> None:
    planet = Planet(fra="eu")
    planet.hub.apply(Kind.REGION, a_region("fra", paused=True))

    assert exit_code([await foreseen(planet)]) == 0
