"""`orrery plan` of a class and `orrery class`: what changes where, and what it goes back to."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.builders import a_class, a_continent, a_managed_region, a_secret
from tests.unit.cli.hubs import ReadableHub

from orrery.adapters.memory import MemoryCluster, MemoryClusterFactory
from orrery.api.validation import validate_continent, validate_region, validate_region_class
from orrery.cli.class_ import approval_of, changed, former
from orrery.cli.classplan import ClassForecast, class_json, class_lines, foresee_class
from orrery.cli.classrecords import Found, regions_of
from orrery.cli.output import rendered
from orrery.errors import InvalidSpec
from orrery.planning.classrecord import Record, decode, edition_of, encode, restored
from orrery.ports import Kind
from orrery.render.region.record import render_record

OLD = "docker.io/hashicorp/nomad:2.0.6"
NEW = "docker.io/hashicorp/nomad:2.0.7"


def an_edition(image: str, **nomad: Any) -> Any:
    return edition_of(validate_region_class(a_class(image=image, **nomad)))


def a_region_with(name: str, record: Record | None, *, address: str = "203.0.113.10") -> Found:
    status = {"controlPlane": {"namespace": f"orrery-{name}", "address": address}}
    region = validate_region({**a_managed_region(name), "status": status})
    problem = "" if record else "nothing is remembered of its class"
    return Found(region, validate_continent(a_continent("eu")), record, problem)


def foresee(*found: Found, **nomad: Any) -> ClassForecast:
    new = validate_region_class(a_class(**{"image": NEW, **nomad}))
    return foresee_class(new, None, found, install="orrery")


SETTLED = Record(an_edition(OLD), state="Settled")


def test_regions_that_change_alike_share_a_paragraph_though_their_names_differ() -> None:
    there = Record(an_edition(NEW), previous=an_edition(OLD), state="Settled")
    found = foresee(
        a_region_with("fra", SETTLED),
        a_region_with("par", SETTLED, address="203.0.113.20"),
        a_region_with("was", there),
    )

    assert [regions for _, regions in found.groups] == [["fra", "par"], ["was"]]
    text = rendered(*class_lines([found]))
    assert "update in 2 regions: fra, par" in text
    assert "no change in 1 region: was" in text
    assert f"containers[nomad].image: {OLD} -> {NEW}" in " ".join(text.split())
    assert "restart: StatefulSet REGION-nomad: its pods start anew, one after the other" in text
    assert class_json([found])[0]["groups"][0]["regions"] == ["fra", "par"]


def test_what_renders_to_the_same_changes_nothing() -> None:
    driver = {"name": "vm", "nomadDriver": "qemu", "config": {"image_path": "{image}"}}

    found = foresee(a_region_with("fra", SETTLED), image=OLD, drivers=[driver])

    assert not found.changes
    assert not found.fails


def test_what_kubernetes_will_refuse_is_said_before() -> None:
    found = foresee(a_region_with("fra", SETTLED), storage="20Gi")

    assert found.fails
    (change, _), *_ = found.groups
    assert change.refused == (
        "StatefulSet REGION-nomad: spec.volumeClaimTemplates cannot be changed once it is there",
    )


def test_a_region_of_which_nothing_is_known_is_named() -> None:
    found = foresee(a_region_with("fra", None))

    assert found.notes == [
        "fra: what it was given is not known: nothing is remembered of its class; it is left out"
    ]


def test_records_are_read_from_the_continents_and_a_dark_one_is_told() -> None:
    hub, eu, na = ReadableHub(), MemoryCluster("eu"), MemoryCluster("na")
    for name in ("eu", "na"):
        reference = {"kubeconfigSecretRef": {"name": f"{name}-cluster", "key": "kubeconfig"}}
        hub.apply(Kind.CONTINENT, {**a_continent(name), "spec": {"cluster": reference}})
        secret = a_secret(f"{name}-cluster", namespace="orrery-system", kubeconfig=name)
        hub.secrets["orrery-system", f"{name}-cluster"] = secret
    hub.apply(Kind.REGION, a_managed_region("fra"))
    hub.apply(Kind.REGION, a_managed_region("was", continent="na"))
    eu.put(render_record("orrery", "fra", "orrery-fra", encode(SETTLED)))
    na.dark = True
    factory = MemoryClusterFactory({"eu": eu, "na": na})

    fra, was = asyncio.run(regions_of(hub, factory, "orrery-system", "standard"))

    assert fra.record == SETTLED
    assert was.record is None
    assert "does not answer" in was.problem


def test_without_the_way_to_a_continent_the_hub_is_not_asked_in_its_place() -> None:
    hub, home = ReadableHub(), MemoryCluster("hub")
    reference = {"kubeconfigSecretRef": {"name": "eu-cluster", "key": "kubeconfig"}}
    hub.apply(Kind.CONTINENT, {**a_continent(), "spec": {"cluster": reference}})
    hub.apply(Kind.REGION, a_managed_region("fra"))
    home.put(render_record("orrery", "fra", "orrery-fra", encode(SETTLED)))
    factory = MemoryClusterFactory({"": home})

    (fra,) = asyncio.run(regions_of(hub, factory, "orrery-system", "standard"))

    assert fra.record is None
    assert 'Secret "eu-cluster" in namespace "orrery-system" has no "kubeconfig"' in fra.problem


def test_a_class_goes_back_to_what_most_of_its_regions_had_and_keeps_its_drivers() -> None:
    driver = {"name": "vm", "nomadDriver": "qemu", "config": {"image_path": "{image}"}}
    body = a_class(image=NEW, drivers=[driver])
    spec = {**body["spec"], "rollout": {"soak": "1m"}}
    updated = SETTLED.taking(an_edition(NEW))
    regions = [a_region_with("fra", updated), a_region_with("par", SETTLED)]

    edition = former({**body, "spec": spec}, regions)
    after = restored(edition, spec)

    assert edition == SETTLED.current
    assert after["nomad"]["image"] == OLD
    assert after["nomad"]["drivers"] == [driver]
    assert after["rollout"] == {"soak": "1m"}
    assert f'spec.nomad.image: "{NEW}" -> "{OLD}"' in changed(spec, after)


def test_a_class_without_a_former_spec_does_not_go_back() -> None:
    with pytest.raises(InvalidSpec, match="no region remembers what RegionClass standard was"):
        former(a_class(image=OLD), [a_region_with("fra", SETTLED)])


def test_several_former_revisions_must_be_told_apart() -> None:
    other = Record(an_edition(OLD, servers=5), state="Settled")
    regions = [a_region_with("fra", SETTLED), a_region_with("par", other)]

    with pytest.raises(InvalidSpec, match="choose one with --to"):
        former(a_class(image=NEW), regions)
    chosen = former(a_class(image=NEW), regions, other.current.revision)
    assert chosen == other.current


def test_a_record_survives_its_config_map_and_what_a_newer_orrery_adds() -> None:
    record = replace(SETTLED.taking(an_edition(NEW)), refused="abc")
    data = encode(record)
    data["spec"] = data["spec"].replace('"servers":3', '"servers":3,"later":{"a":1}')

    assert decode(data) == record
    assert decode({}) is None


def test_an_approval_is_of_the_wave_that_waits_and_of_this_revision() -> None:
    waves = [{"name": "rest", "percent": 100, "approval": "Required"}]
    status = {
        "observedGeneration": 2,
        "revision": "abc",
        "wave": "rest",
        "conditions": [{"type": "Ready", "reason": "WaitingForApproval"}],
    }
    body = {
        "metadata": {"name": "standard", "generation": 2},
        "spec": {"rollout": {"waves": waves}},
        "status": status,
    }

    assert approval_of(body, "") == "rest@abc"
    with pytest.raises(InvalidSpec, match='has no wave "resr", it has rest'):
        approval_of(body, "resr")
    with pytest.raises(InvalidSpec, match="was just changed"):
        approval_of({**body, "metadata": {"name": "standard", "generation": 3}}, "")
