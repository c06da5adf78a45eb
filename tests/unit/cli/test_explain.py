"""`orrery explain`: each field of one region's definition, and what set it."""

from typing import Any

import pytest
from tests.builders import a_deployment

from orrery.api.globaldeployment import GlobalDeployment
from orrery.cli.explain import accept, as_json, explain_in, explain_offline, lines
from orrery.cli.output import rendered
from orrery.errors import InvalidSpec
from orrery.planning.placement import RegionCandidate

REGIONS = [
    RegionCandidate("fra", "eu", {"tier": "core"}),
    RegionCandidate("par", "eu", {"tier": "edge"}),
    RegionCandidate("was", "na", {"tier": "core"}),
]
BIG = {"name": "big", "regions": ["was"], "scaling": {"count": 10}}
EDGE = {
    "name": "edge",
    "regionSelector": {"matchLabels": {"tier": "edge"}},
    "resources": {"memoryMB": 64},
}


def accepted(**spec: Any) -> GlobalDeployment:
    return accept(a_deployment(**spec), "shop.yaml")


def test_override_is_named_beside_the_value_it_set() -> None:
    deployment = accepted(placement={"regions": ["fra", "was"]}, overrides=[BIG])

    rows = {row.field: row for row in explain_in(deployment, REGIONS, "was").rows}

    assert (rows["scaling.count"].value, rows["scaling.count"].source) == ("10", "override big")
    assert rows["docker.image"].source == "spec"
    assert rows["resources.memoryMB"].source == "default"


def test_secret_is_named_and_not_read() -> None:
    ref = {"name": "db", "key": "password"}
    deployment = accepted(env=[{"name": "PASSWORD", "secretRef": ref}])

    text = rendered(*lines(explain_in(deployment, REGIONS, "fra")))

    assert 'key "password" of Secret "db"' in text


def test_table_reads_like_the_spec() -> None:
    deployment = accepted(placement={"regions": ["was"]}, overrides=[BIG])

    text = rendered(*lines(explain_in(deployment, REGIONS, "was")))

    head, _, body = text.partition("\n\n")
    assert head == "GlobalDeployment team-a/shop in region was"
    assert body.splitlines()[0].split() == ["FIELD", "SET", "BY", "VALUE"]
    assert "scaling.count                    override big  10" in body


def test_json_holds_the_same() -> None:
    deployment = accepted(placement={"regions": ["was"]}, overrides=[BIG])

    document = as_json(explain_in(deployment, REGIONS, "was"))

    assert {"field": "scaling.count", "value": "10", "setBy": "override big"} in document["fields"]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        pytest.param("frb", 'did you mean "fra"? (selected: fra, was)', id="a-near-name"),
        pytest.param("par", "(selected: fra, was)", id="a-region-elsewhere"),
        pytest.param("waz", 'region "waz" is not available; did you mean "was"?', id="unknown"),
    ],
)
def test_region_that_does_not_run_it_is_refused(region: str, message: str) -> None:
    deployment = accepted(placement={"regions": ["fra", "was", "waz"]})

    with pytest.raises(InvalidSpec) as refused:
        explain_in(deployment, REGIONS, region)

    assert message in refused.value.message


def test_offline_takes_the_regions_from_the_placement() -> None:
    deployment = accepted(placement={"regions": ["tyo"]})

    assert explain_offline(deployment, "tyo").region == "tyo"


def test_offline_says_which_overrides_only_the_hub_can_judge() -> None:
    deployment = accepted(overrides=[EDGE])

    explanation = explain_offline(deployment, "par")

    assert explanation.note == "left out, because only the hub knows labels: override edge"


def test_offline_cannot_resolve_a_selector() -> None:
    deployment = accepted(placement={"continents": ["eu"]})

    with pytest.raises(InvalidSpec, match="leave out --offline"):
        explain_offline(deployment, "fra")


def test_invalid_manifest_names_every_problem() -> None:
    with pytest.raises(InvalidSpec) as refused:
        accepted(ports=[{"port": 0}], scaling={"count": -1})

    assert refused.value.message.startswith("shop.yaml is not valid:\n")
    assert "spec.ports[0].port: 0" in refused.value.message
    assert "spec.scaling.count: -1" in refused.value.message
