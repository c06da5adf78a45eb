"""`orrery plan`: validate, choose, split, render, ask every region; exit 0, 1 or 255."""

from typing import Any

import pytest
from tests.builders import a_class, a_deployment, a_region
from tests.unit.cli.hubs import Planet, a_deployment_seen, a_secret_manifest

from orrery.api.regionclass import DOCKER
from orrery.api.validation import validate_deployment
from orrery.cli.changes import Change
from orrery.cli.dryrun import Action, Outcome
from orrery.cli.forecast import Forecast, Settings, foresee
from orrery.cli.manifests import Manifest
from orrery.cli.output import WIDTH, rendered
from orrery.cli.plan import accept_all, as_json, exit_code, lines, secrets_in
from orrery.errors import InvalidSpec
from orrery.planning.placement import RegionCandidate
from orrery.planning.split import split
from orrery.ports import Kind, Secret
from orrery.reconcile.assignment import assignment_of

SETTINGS = Settings("orrery", "orrery-system")
SECRET_ENV = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]


async def foreseen(planet: Planet, settings: Settings = SETTINGS, **spec: Any) -> Forecast:
    deployment = validate_deployment(a_deployment(**spec))
    (forecast,) = await foresee(planet.hub, planet.factory, [deployment], settings)
    return forecast


async def apply(planet: Planet, **spec: Any) -> None:
    """Bring all regions to a spec, as the operator does."""
    deployment = validate_deployment(a_deployment(**spec))
    regions = [RegionCandidate(name, "eu") for name in planet.regions]
    for name, regional in split(
        deployment.spec, namespace="team-a", name="shop", regions=regions
    ).items():
        assignment = assignment_of(
            regional,
            deployment,
            install="orrery",
            drivers=(DOCKER,),
            region_class="standard",
            secrets={},
        )
        assert assignment.document
        assert assignment.submission
        nomad = planet.regions[name]
        nomad.namespaces.add("orrery-team-a")
        await nomad.register_job(
            assignment.document, expected_index=0, submission=assignment.submission
        )
        nomad.writes.clear()
    planet.hub.writes.clear()


def a_region_of(name: str, region_class: str) -> dict[str, Any]:
    body = a_region(name)
    return {**body, "spec": {**body["spec"], "class": region_class}}


def actions(forecast: Forecast) -> dict[str, str]:
    return {region: outcome.action.value for region, outcome in forecast.outcomes.items()}


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

    assert actions(forecast) == {"fra": "create", "par": "unreachable"}
    assert exit_code([forecast]) == 1


async def test_no_region_that_answers_is_an_error() -> None:
    planet = Planet(fra="eu", par="eu")
    for nomad in planet.regions.values():
        nomad.dark = True

    assert exit_code([await foreseen(planet)]) == 255


async def test_missing_credentials_are_named() -> None:
    planet = Planet(fra="eu")
    planet.hub.secrets.clear()

    forecast = await foreseen(planet)

    assert exit_code([forecast]) == 255
    (note,) = forecast.outcomes["fra"].notes
    assert 'Secret "fra-nomad" in namespace "orrery-system" does not exist' in note


async def test_credentials_that_may_not_be_read_are_named() -> None:
    planet = Planet(fra="eu")
    planet.hub.closed_namespaces.add("orrery-system")

    forecast = await foreseen(planet)

    assert "secrets in orrery-system are forbidden" in forecast.outcomes["fra"].notes[0]


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


async def test_secret_in_the_same_files_counts_as_applied() -> None:
    manifests = [Manifest("f", a_secret_manifest("db", password="hunter2"))]
    settings = Settings("orrery", "orrery-system", secrets_in(manifests, "team-a"))

    forecast = await foreseen(Planet(fra="eu"), settings, env=SECRET_ENV)

    assert actions(forecast) == {"fra": "create"}
    assert "hunter2" not in repr((settings, forecast, as_json([forecast], [])))


async def test_secrets_that_may_not_be_read_are_a_note() -> None:
    planet = Planet(fra="eu")
    planet.hub.closed_namespaces.add("team-a")
    private = {"image": "registry.example/shop:1", "credentialsSecretRef": {"name": "pull"}}

    forecast = await foreseen(planet, env=SECRET_ENV, docker=private)

    assert actions(forecast) == {"fra": "create"}
    assert [note.partition(": ")[0] for note in forecast.notes] == [
        'Secret "db" was not checked',
        'Secret "pull" was not checked',
    ]


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


def test_string_data_of_a_secret_wins() -> None:
    manifest = a_secret_manifest("db", namespace="team-b", a="old", b="2") | {
        "stringData": {"a": "new"}
    }

    secrets = secrets_in([Manifest("f", manifest)], "team-a")

    expected = Secret("team-b", "db", "Opaque", {}, {"a": b"new", "b": b"2"})
    assert secrets == {("team-b", "db"): expected}


def test_every_problem_of_every_manifest_is_named() -> None:
    broken = [
        Manifest("a.yaml", a_deployment("one", scaling={"count": -1})),
        Manifest("b.yaml", a_deployment("two", dockr={})),
    ]

    with pytest.raises(InvalidSpec) as refused:
        accept_all(broken)

    assert refused.value.message.splitlines() == [
        "GlobalDeployment one in a.yaml is not valid:",
        "  spec.scaling.count: -1 is not allowed, must be a whole number from 0 to 10000",
        "GlobalDeployment two in b.yaml is not valid:",
        "  spec.dockr: unknown field, did you mean docker?",
    ]


FORECAST = Forecast(
    "team-a",
    "shop",
    {
        "was": Outcome(
            Action.UPDATE,
            (Change("resources.memoryMB", "256", "1024"),),
            (("destructive", 10),),
            ("3 machines looked at, 3 full (3 out of memory)",),
        ),
        "fra": Outcome(Action.NOTHING),
        "par": Outcome(Action.NOTHING),
        "sfo": Outcome(Action.UNREACHABLE, notes=("connection refused",)),
    },
    notes=('region "tyo" is not available',),
)


def test_regions_with_the_same_answer_share_a_paragraph() -> None:
    assert rendered(*lines([FORECAST], ["Secret db in shop.yaml"])) == (
        "GlobalDeployment team-a/shop\n"
        "  update in 1 region: was\n"
        "    resources.memoryMB: 256 -> 1024\n"
        "    instances: 10 to replace\n"
        "    no room: 3 machines looked at, 3 full (3 out of memory)\n"
        "  no change in 2 regions: fra, par\n"
        "  not known in 1 region: sfo\n"
        "    connection refused\n"
        '  note: region "tyo" is not available\n'
        "skipped: Secret db in shop.yaml\n"
    )


def test_a_hundred_regions_fit_the_width() -> None:
    outcomes = {f"region-{n}": Outcome(Action.NOTHING) for n in range(100)}

    text = rendered(*lines([Forecast("team-a", "shop", outcomes)], []))

    assert max(map(len, text.splitlines())) <= WIDTH


def test_json_holds_the_same() -> None:
    document = as_json([FORECAST], ["Secret db in shop.yaml"])

    (deployment,) = document["deployments"]
    assert deployment["groups"][0] == {
        "action": "update",
        "regions": ["was"],
        "changes": [{"field": "resources.memoryMB", "old": "256", "new": "1024"}],
        "instances": {"destructive": 10},
        "noRoom": ["3 machines looked at, 3 full (3 out of memory)"],
        "notes": [],
    }
    assert document["exitCode"] == 1
