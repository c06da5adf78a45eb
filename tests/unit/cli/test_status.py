"""`orrery status`: what the operator last saw, in a few lines."""

import json

import pytest
from tests.builders import a_region
from tests.unit.cli.hubs import (
    NOW,
    ReadableHub,
    a_continent,
    a_deployment_seen,
    a_region_seen,
)

from orrery.cli.hub import Target
from orrery.cli.status import as_json, look, planet_text
from orrery.ports import Kind, Lease

NOW_SECONDS = NOW.timestamp()
RUNS = Lease("a", 15, NOW_SECONDS - 900, NOW_SECONDS - 5)
TEAM_A = Target(given_namespace="team-a")


def a_hub() -> ReadableHub:
    hub = ReadableHub()
    hub.leases["orrery-system"] = RUNS
    hub.apply(Kind.REGION, a_region_seen("was", continent="na"))
    lost = "2026-03-01T11:56:00Z"
    hub.apply(Kind.REGION, a_region_seen("par", "Unreachable", lastSeenTime=lost))
    hub.apply(Kind.REGION, a_region_seen("fra"))
    hub.apply(Kind.REGION, a_region("tyo", continent="as"))
    hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen("shop"))
    hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen("blog", namespace="team-b"))
    return hub


async def test_planet_in_a_few_lines() -> None:
    planet = await look(a_hub(), TEAM_A)

    assert planet_text(planet, NOW, place="team-a") == (
        "3 continents, 4 regions: 2 Open, 1 Pending, 1 Unreachable\n"
        "\n"
        "CONTINENT  REGION  PHASE        NOMAD  MACHINES  LAST SEEN\n"
        "as         tyo     Pending      -      0/0       -\n"
        "eu         fra     Open         2.0.6  1/2       now\n"
        "           par     Unreachable  2.0.6  last 1/2  4m ago\n"
        "na         was     Open         2.0.6  1/2       now\n"
        "\n"
        "NAMESPACE  NAME  REGIONS  READY  STATUS\n"
        "team-a     shop  3/3      True   healthy in 3 regions\n"
    )


async def test_names_for_people_stand_behind_the_names() -> None:
    hub = ReadableHub()
    hub.leases["orrery-system"] = RUNS
    hub.apply(Kind.CONTINENT, a_continent("eu", displayName="Europe"))
    hub.apply(Kind.REGION, a_region("fra", displayName="Frankfurt"))
    hub.apply(Kind.REGION, a_region("par", displayName="par"))

    planet = await look(hub, TEAM_A)

    _, _, _, first, second, *_ = planet_text(planet, NOW, place="team-a").splitlines()
    assert first.startswith("eu (Europe)  fra (Frankfurt)  Pending")
    assert second.startswith("             par              Pending")
    (continent,) = as_json(planet, NOW)["continents"]
    assert continent["displayName"] == "Europe"
    assert [r["displayName"] for r in continent["regions"]] == ["Frankfurt", "par"]


async def test_continents_that_may_not_be_read_are_shown_by_their_name() -> None:
    hub = a_hub()
    hub.closed_kinds.add(Kind.CONTINENT)

    planet = await look(hub, TEAM_A)

    assert [c["displayName"] for c in as_json(planet, NOW)["continents"]] == ["as", "eu", "na"]


async def test_all_namespaces_are_shown_when_asked_for() -> None:
    planet = await look(a_hub(), Target(all_namespaces=True))

    assert [(d.namespace, d.name) for d in planet.deployments] == [
        ("team-a", "shop"),
        ("team-b", "blog"),
    ]


async def test_empty_hub_says_what_to_do_next() -> None:
    planet = await look(ReadableHub(), TEAM_A)

    assert planet_text(planet, NOW, place='namespace "team-a"') == (
        'no operator has run here yet: there is no lease "orrery-operator" in namespace'
        ' "orrery-system"\n'
        "\n"
        "no regions: create a Continent, a RegionClass and a Region first\n"
        "\n"
        'no deployments in namespace "team-a"\n'
    )


async def test_deployment_without_a_status_is_not_called_ready() -> None:
    hub = ReadableHub()
    fresh = a_deployment_seen()
    del fresh["status"]
    hub.apply(Kind.GLOBAL_DEPLOYMENT, fresh)

    (row,) = (await look(hub, TEAM_A)).deployments

    assert (row.regions, row.ready, row.status) == ("-", "Unknown", "not looked at yet")


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        pytest.param(RUNS, None, id="one-runs"),
        pytest.param(
            Lease("a", 15, NOW_SECONDS - 900, NOW_SECONDS - 600),
            "no operator has run since 2026-03-01 11:50:00 UTC, what follows is 10m old",
            id="it-died",
        ),
        pytest.param(
            Lease("", 15, NOW_SECONDS - 900, NOW_SECONDS - 5),
            "no operator has run since 2026-03-01 11:59:55 UTC, what follows is 5s old",
            id="it-left",
        ),
        pytest.param(None, None, id="not-known"),
    ],
)
async def test_what_nobody_keeps_up_to_date_is_marked(
    lease: Lease | None, expected: str | None
) -> None:
    planet = await look(a_hub_led_by(lease), TEAM_A)

    first, *_ = planet_text(planet, NOW, place="team-a").splitlines()
    assert (first == expected) == bool(expected)
    assert as_json(planet, NOW)["operatorRuns"] is (lease and not expected)


async def test_regions_were_last_seen_when_the_operator_was() -> None:
    lease = Lease("a", 15, NOW_SECONDS - 900, NOW_SECONDS - 60)

    planet = await look(a_hub_led_by(lease), TEAM_A)

    rows = planet_text(planet, NOW, place="team-a").split("\n\n")[2].splitlines()[1:]
    assert [row.split()[-2:] for row in rows] == [
        ["0/0", "-"],
        ["60s", "ago"],
        ["4m", "ago"],
        ["60s", "ago"],
    ]
    document = as_json(planet, NOW)
    assert document["operatorSeenTime"] == "2026-03-01T11:59:00Z"
    assert [r["lastSeenTime"] for c in document["continents"] for r in c["regions"]] == [
        None,
        "2026-03-01T11:59:00Z",
        "2026-03-01T11:56:00Z",
        "2026-03-01T11:59:00Z",
    ]


def a_hub_led_by(lease: Lease | None) -> ReadableHub:
    hub = a_hub()
    if lease:
        hub.leases["orrery-system"] = lease
    else:
        hub.leases_are_closed = True
    return hub


async def test_hub_that_no_operator_has_looked_after_says_so_first() -> None:
    hub = ReadableHub()
    hub.apply(Kind.REGION, a_region("tyo"))

    planet = await look(hub, TEAM_A, "elsewhere")

    first, second, *_ = planet_text(planet, NOW, place="team-a").splitlines()
    assert first == (
        'no operator has run here yet: there is no lease "orrery-operator" in namespace "elsewhere"'
    )
    assert not second
    assert as_json(planet, NOW)["operatorRuns"] is False


async def test_without_a_lease_what_somebody_reported_is_not_denied() -> None:
    planet = await look(a_hub(), TEAM_A, "elsewhere")

    first, *_ = planet_text(planet, NOW, place="team-a").splitlines()
    assert first == (
        "whether an operator runs is not known:"
        ' there is no lease "orrery-operator" in namespace "elsewhere"'
    )
    assert as_json(planet, NOW)["operatorRuns"] is None


async def test_json_holds_the_same() -> None:
    planet = await look(a_hub(), TEAM_A)

    document = json.loads(json.dumps(as_json(planet, NOW)))

    assert [c["name"] for c in document["continents"]] == ["as", "eu", "na"]
    assert document["continents"][1]["regions"][1] == {
        "name": "par",
        "displayName": "par",
        "phase": "Unreachable",
        "nomadVersion": "2.0.6",
        "machines": 2,
        "machinesReady": 1,
        "lastSeenTime": "2026-03-01T11:56:00Z",
    }
    assert document["deployments"] == [
        {
            "namespace": "team-a",
            "name": "shop",
            "regions": "3/3",
            "ready": "True",
            "status": "healthy in 3 regions",
        }
    ]
