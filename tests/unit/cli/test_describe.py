"""`orrery describe`: equal regions folded, problems first, conditions and events with their age."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import builders
from tests.unit.cli.hubs import (
    NOW,
    ReadableHub,
    a_condition,
    a_continent,
    a_deployment_seen,
    a_region_seen,
)

from orrery.cli.describe import EVENTS_SHOWN, _place, as_json, continent_of, description, fold
from orrery.cli.output import WIDTH, rendered
from orrery.ports import Kind

HEALTHY = {"phase": "Healthy", "ready": "3/3", "revision": "aa11"}
FAILED = {"phase": "Failed", "ready": "0/3", "revision": "bb22", "message": "image not found"}


def an_event(reason: str, message: str, **times: Any) -> dict[str, Any]:
    return {"type": "Normal", "reason": reason, "message": message, **times}


def test_equal_regions_share_a_line() -> None:
    text = rendered(
        *description(
            a_deployment_seen(
                continents=[
                    {"name": "eu", "regions": {"par": HEALTHY, "fra": HEALTHY, "ams": FAILED}},
                    {"name": "na", "regions": {"was": HEALTHY}},
                ]
            ),
            [],
            NOW,
        )
    )

    tree, _ = text.split("\n\n", maxsplit=1)
    assert tree == (
        "GlobalDeployment team-a/shop: 3/3 regions ready\n"
        "  WEB registry.example/shop:1\n"
        "  eu\n"
        "    ams failed 0/3 at bb22\n"
        "      image not found\n"
        "    2 regions healthy 3/3 at aa11: fra, par\n"
        "  na\n"
        "    was healthy 3/3 at aa11"
    )


STATES = st.sampled_from([HEALTHY, FAILED, {**HEALTHY, "revision": "cc33"}, {"phase": "Pending"}])


@given(st.dictionaries(st.text(min_size=1, max_size=5), STATES, max_size=20))
def test_folding_loses_no_region_and_joins_only_equals(regions: dict[str, Any]) -> None:
    folds = fold(regions)

    assert sorted(name for alike in folds for name in alike.regions) == sorted(regions)
    for alike in folds:
        assert len({str(regions[name]) for name in alike.regions}) == 1
    assert len(folds) == len({str(state) for state in regions.values()})


def test_conditions_and_events_have_their_age() -> None:
    body = a_deployment_seen(
        conditions=[
            a_condition("Ready", "True", "Succeeded", "healthy in 2 regions"),
            a_condition("Degraded", "True", "RegionUnreachable", "par does not answer"),
        ]
    )
    events = [
        an_event("Placed", "placed in 3 regions", eventTime="2026-03-01T10:00:00.000000Z"),
        an_event("Lost", "par is gone", lastTimestamp="2026-03-01T11:59:00Z"),
    ]

    _, conditions, happened = rendered(*description(body, events, NOW)).split("\n\n")

    assert conditions == (
        "CONDITION  STATUS  REASON             AGE  MESSAGE\n"
        "Ready      True    Succeeded          5m   healthy in 2 regions\n"
        "Degraded   True    RegionUnreachable  5m   par does not answer"
    )
    assert happened == (
        "AGE  EVENT   REASON  MESSAGE\n"
        "60s  Normal  Lost    par is gone\n"
        "2h   Normal  Placed  placed in 3 regions\n"
    )


def test_only_the_newest_events_are_shown() -> None:
    events = [
        an_event("E", f"number {n}", eventTime=f"2026-03-01T10:00:{n:02}Z") for n in range(20)
    ]

    shown = as_json(a_deployment_seen(), events)["events"]

    assert [event["message"] for event in shown] == [
        f"number {n}" for n in range(19, 19 - EVENTS_SHOWN, -1)
    ]


def test_status_of_an_older_spec_is_marked_as_such() -> None:
    body = a_deployment_seen(observedGeneration=3)
    body["metadata"]["generation"] = 4

    text = rendered(*description(body, [], NOW))

    assert "it saw generation 3, now it is 4" in text


def test_fresh_object_says_that_nobody_has_looked() -> None:
    body = a_deployment_seen()
    del body["status"]

    text = rendered(*description(body, [], NOW))

    assert "the operator has not looked at it yet" in text
    assert "in no region yet" in text
    assert "no recent events" in text


def test_region_shows_what_is_known_of_it() -> None:
    body = a_region_seen(
        "par",
        "Unreachable",
        lastSeenTime="2026-03-01T09:00:00Z",
        capacity={"cpuMHz": 4000, "memoryMB": 8192},
        orphans={"count": 1, "names": ["team-a/old"]},
    )

    assert rendered(*description(body, [], NOW)) == (
        "Region par: Unreachable, last seen 3h ago\n"
        "  continent eu, class standard\n"
        "  Nomad 2.0.6 at https://nomad.par.example:4646\n"
        "  capacity 4000 MHz, 8192 MiB memory, when last seen\n"
        "  1 job without an owner, left alone: team-a/old\n"
        "  data center par1: 1/2 machines, when last seen\n"
        "\n"
        "no recent events\n"
    )


def test_region_that_answers_shows_what_it_has_now() -> None:
    text = rendered(*description(a_region_seen("fra"), [], NOW))

    assert "  data center fra1: 1/2 machines\n" in text


def test_region_shows_its_names_for_people_and_its_place() -> None:
    body = a_region_seen("fra")
    body["spec"] |= {"displayName": "Frankfurt", "location": {"country": "DE", "city": "Frankfurt"}}

    text = rendered(*description(body, [], NOW, a_continent("eu", displayName="Europe")))

    assert text.startswith(
        "Region fra (Frankfurt): Open\n  continent eu (Europe), class standard, Frankfurt, DE\n"
    )


async def test_continent_is_read_for_a_region_only_and_need_not_be_readable() -> None:
    hub = ReadableHub()
    hub.apply(Kind.CONTINENT, a_continent("eu", displayName="Europe"))

    found = await continent_of(hub, a_region_seen("fra"))
    assert found
    assert found["spec"] == {"displayName": "Europe"}
    assert await continent_of(hub, a_deployment_seen()) is None
    hub.closed_kinds.add(Kind.CONTINENT)
    assert await continent_of(hub, a_region_seen("fra")) is None


def test_a_hundred_regions_fit_the_width() -> None:
    regions = {f"region-{n}": HEALTHY for n in range(100)} | {
        "bad": {**FAILED, "message": "x " * 300}
    }
    body = a_deployment_seen(continents=[{"name": "eu", "regions": regions}])

    text = rendered(*description(body, [], NOW))

    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(name in text for name in regions)


def test_managed_region_shows_its_load_balancers_address() -> None:
    body = a_region_seen("fra", "Provisioning")
    del body["spec"]["controlPlane"]
    waiting = rendered(*description(body, [], NOW))
    body["status"]["controlPlane"] = {
        "address": "203.0.113.10",
        "expires": "2026-03-31T09:00:00Z",
    }

    text = rendered(*description(body, [], NOW))

    assert "at no address yet" in waiting
    assert "at 203.0.113.10" in text
    assert "the first certificate expires at 2026-03-31T09:00:00Z" in text


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ({"city": "Frankfurt", "country": "DE"}, "Frankfurt, DE"),
        ({"city": "Rio", "latitude": -22.91, "longitude": -43.2}, "Rio, 22.91 S 43.2 W"),
        ({"latitude": 0, "longitude": 103.85}, "0 N 103.85 E"),
        ({}, ""),
    ],
)
def test_a_place_is_told_by_what_is_known_of_it(location: dict[str, Any], place: str) -> None:
    assert _place(location) == place


def test_a_region_shows_its_checks() -> None:
    checks = [
        {"name": "ServersHealthy", "status": "Pass", "lastTransitionTime": "2026-03-01T11:55:00Z"},
        {"name": "MachinesJoined", "status": "Fail", "message": "no machine has joined"},
    ]

    text = rendered(*description(a_region_seen("fra", checks=checks), [], NOW))

    rows = [row.split() for row in text.splitlines() if "ServersHealthy" in row or "joined" in row]
    assert rows[0] == ["ServersHealthy", "Pass", "5m"]
    assert rows[1][:2] == ["MachinesJoined", "Fail"]
    assert rows[1][-4:] == ["no", "machine", "has", "joined"]


def test_a_continent_tells_of_its_cluster() -> None:
    secret = {"name": "eu-cluster", "key": "kubeconfig"}
    continent = a_continent("eu", displayName="Europe", cluster={"kubeconfigSecretRef": secret})
    told = {"version": "v1.34.3", "regions": 2, "lastSeenTime": "2026-03-01T11:55:00Z"}

    text = rendered(*description({**continent, "status": told}, [], NOW))

    tree, _ = text.split("\n\n", maxsplit=1)
    assert tree.splitlines() == [
        "Continent eu (Europe): 2 regions",
        "  cluster: kubeconfig in key kubeconfig of Secret eu-cluster",
        "  Kubernetes v1.34.3, last seen 5m ago",
    ]


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        pytest.param(None, "none, all its regions are External", id="none"),
        pytest.param({"local": True}, "the hub itself", id="local"),
    ],
)
def test_a_continent_without_a_kubeconfig_says_where_its_cluster_is(
    cluster: dict[str, Any] | None, words: str
) -> None:
    continent = a_continent("eu", **({"cluster": cluster} if cluster else {}))

    assert f"cluster: {words}" in rendered(*description(continent, [], NOW))


def test_a_class_tells_what_regions_are_made_of_and_how_far_it_is() -> None:
    nomad = {"image": "docker.io/hashicorp/nomad:2.0.6", "snapshots": {"image": "o:1"}}
    mesh = {"provider": "Kuma", "image": "docker.io/kumahq/kuma-cp:2.14.3"}
    spec = {"nomad": nomad, "mesh": mesh, "rollout": {"waves": [{"name": "canary"}]}}
    told = {"revision": "aa11", "wave": "canary", "display": {"regions": "1/3"}}
    class_ = {**builders.a_class(), "spec": spec, "status": told}

    text = rendered(*description(class_, [], NOW))

    tree, _ = text.split("\n\n", maxsplit=1)
    assert tree.splitlines() == [
        "RegionClass standard: 1/3 regions updated",
        "  revision aa11, in wave canary",
        "  Nomad docker.io/hashicorp/nomad:2.0.6, 3 servers",
        "  drivers docker",
        "  snapshots every 6h",
        "  mesh Kuma docker.io/kumahq/kuma-cp:2.14.3",
        "  waves canary",
    ]


def test_a_class_that_is_new_has_no_holes() -> None:
    text = rendered(*description(builders.a_class(), [], NOW))

    assert "RegionClass standard: 0/0 regions updated" in text
    assert "Nomad without an image: no Managed region can use it, 3 servers" in text
