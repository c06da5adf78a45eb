"""What the hub says of a plan: what it holds already, what it lacks, what may not be read."""

from dataclasses import replace

import pytest
from tests.unit.cli.forecasts import SETTINGS, actions, apply, foreseen
from tests.unit.cli.hubs import Planet, a_deployment_seen, a_secret_manifest

from orrery.cli.forecast import Settings
from orrery.cli.manifests import Manifest
from orrery.cli.plan import as_json, exit_code, secrets_in
from orrery.ports import Kind

SECRET_ENV = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]


async def test_deployment_that_is_being_deleted_is_not_called_unchanged() -> None:
    planet = Planet(fra="eu", par="eu")
    await apply(planet)
    live = a_deployment_seen()
    live["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, live)

    forecast = await foreseen(planet)

    assert forecast.problems == (
        "it is being deleted, and its jobs are being stopped: apply it again when it is gone",
    )
    assert exit_code([forecast]) == 255


async def test_missing_credentials_are_named() -> None:
    planet = Planet(fra="eu")
    planet.hub.secrets.clear()

    forecast = await foreseen(planet)

    assert exit_code([forecast]) == 255
    (note,) = forecast.outcomes["fra"].notes
    assert note.startswith("it could not be asked: no usable credentials: ")
    assert note.endswith(': Secret "fra-nomad" in namespace "orrery-system" does not exist')


async def test_region_without_credentials_is_not_promised_to_be_changed_later() -> None:
    planet = Planet(fra="eu", par="eu")
    left = await apply(planet)
    states = {r: {"phase": "Healthy", "revision": left[r], "index": 10} for r in left}
    remembered = a_deployment_seen(continents=[{"name": "eu", "regions": states}])
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, remembered)
    del planet.hub.secrets["orrery-system", "par-nomad"]
    override = {"name": "big", "regions": ["par"], "scaling": {"count": 9}}

    same = await foreseen(planet)
    changed = await foreseen(planet, overrides=[override])

    assert actions(same) == {"fra": "nothing", "par": "unreachable"}
    assert exit_code([same]) == 0
    assert actions(changed) == {"fra": "nothing", "par": "not-asked"}
    assert exit_code([changed]) == 1
    assert "when it answers" not in str(changed)


@pytest.mark.parametrize(
    ("namespaces", "settings", "expected"),
    [
        pytest.param(
            {"team-b"},
            SETTINGS,
            ('namespace "team-a" does not exist: create it before you apply',),
            id="missing",
        ),
        pytest.param({"team-a"}, SETTINGS, (), id="there"),
        pytest.param(None, SETTINGS, (), id="may-not-be-read"),
        pytest.param(
            {"team-b"},
            replace(SETTINGS, namespaces=frozenset({"team-a"})),
            (),
            id="applied-together",
        ),
    ],
)
async def test_namespace_that_does_not_exist_is_a_note(
    namespaces: set[str] | None, settings: Settings, expected: tuple[str, ...]
) -> None:
    planet = Planet(fra="eu")
    planet.hub.namespaces = namespaces

    forecast = await foreseen(planet, settings)

    assert forecast.notes == expected
    assert actions(forecast) == {"fra": "create"}


async def test_another_type_than_the_hub_holds_is_refused_as_the_hub_will() -> None:
    planet = Planet(fra="eu")
    planet.hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen())

    forecast = await foreseen(planet, type="WORKER")

    (problem,) = forecast.problems
    assert problem == (
        "spec.type: WEB -> WORKER: type cannot be changed: delete the deployment and create it anew"
    )
    assert exit_code([forecast]) == 255


async def test_credentials_that_may_not_be_read_are_named() -> None:
    planet = Planet(fra="eu")
    planet.hub.closed_namespaces.add("orrery-system")

    forecast = await foreseen(planet)

    assert "secrets in orrery-system are forbidden" in forecast.outcomes["fra"].notes[-1]


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
