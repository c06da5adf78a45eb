"""Regions on a real API server: it and the models judge a spec alike, in words."""

from typing import Any

import pytest
from tests.integration.test_crds import accepted, hub, region
from tests.lab.rest import Rest

from orrery.api.validation import validate_region

Spec = dict[str, Any]

__all__ = ["hub"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            {"location": {"latitude": 95}},
            ("spec.location.latitude", "95", "less than or equal to 90"),
            id="latitude",
        ),
        pytest.param(
            {"location": {"longitude": -181.5}},
            ("spec.location.longitude", "-181.5", "greater than or equal to -180"),
            id="longitude",
        ),
        pytest.param(
            {"deletionPolicy": "Delete"},
            ("spec.deletionPolicy", "Delete", '"Orphan", "Teardown"'),
            id="policy",
        ),
        pytest.param(
            {"deletionPolicy": "Teardown"},
            ("spec.deletionPolicy", "Teardown is for Managed regions"),
            id="external-teardown",
        ),
        pytest.param({"location": {"latitude": 50.11, "longitude": 8.68}}, (), id="good"),
        pytest.param({"location": {"latitude": -90, "longitude": 180}}, (), id="edges"),
    ],
)
def test_both_sides_judge_a_region_alike(hub: Rest, change: Spec, words: tuple[str, ...]) -> None:
    document = region(**change)

    reply = hub.create({**document, "metadata": {"name": "judged"}}, dry_run=True)

    assert reply.ok == accepted(validate_region, document) == (not words), reply.message
    assert [word for word in words if word not in reply.message] == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {
                "dataCenters": [{"name": "fra1", "minMachines": 3}],
                "latency": {"target": "30ms"},
                "checks": {"disabled": ["ClockSkew"]},
                "lifecycle": "Active",
                "opening": {
                    "mode": "Manual",
                    "stages": [
                        {"name": "ours", "namespaceSelector": {}, "soak": "1h"},
                        {"name": "some", "percent": 25, "approval": "Required"},
                    ],
                },
            },
            "",
            id="whole",
        ),
        pytest.param({"latency": {"limit": "30ms"}}, "must not be longer", id="target-above-limit"),
        pytest.param({"checks": {"disabled": ["Nope"]}}, "Nope", id="unknown-check"),
        pytest.param(
            {"opening": {"stages": [{"name": "everyone", "percent": 5}]}},
            "last step",
            id="stage-called-everyone",
        ),
        pytest.param(
            {"opening": {"stages": [{"name": "a"}]}}, "exactly one of", id="stage-for-nobody"
        ),
        pytest.param(
            {"opening": {"stages": [{"name": n, "percent": p} for n, p in (("a", 50), ("b", 5))]}},
            "must not be less than that of one before",
            id="percentages-that-fall",
        ),
        pytest.param(
            {"opening": {"stages": [{"name": n, "percent": p} for n, p in (("a", 5), ("b", 50))]}},
            "",
            id="percentages-that-rise",
        ),
        pytest.param(
            {"opening": {"stages": [{"name": "a", "percent": 5, "namespaceSelector": {}}]}},
            "exactly one of",
            id="stage-for-two",
        ),
    ],
)
def test_both_sides_judge_an_opening_alike(hub: Rest, spec: Spec, words: str) -> None:
    document = region(**spec)

    reply = hub.apply(document)

    assert reply.ok == (not words)
    assert words in reply.message
    assert accepted(validate_region, document) == (not words)
