"""The rollout of a RegionClass on a real API server: it and the models are of one mind."""

from typing import Any

import pytest
from tests.builders import a_class
from tests.lab.rest import Rest

from orrery.api.validation import ValidationFailure, validate_region_class

WAVE = {"name": "canary", "regions": ["fra"]}


@pytest.mark.parametrize(
    ("rollout", "good"),
    [
        pytest.param(
            {"maxConcurrent": 2, "waves": [{**WAVE, "maxConcurrent": 3}]}, True, id="count"
        ),
        pytest.param({"maxConcurrent": "25%"}, True, id="share"),
        pytest.param({"maxConcurrent": "100%"}, True, id="all"),
        pytest.param({"maxConcurrent": 0}, False, id="none"),
        pytest.param({"maxConcurrent": "0%"}, False, id="share-of-none"),
        pytest.param({"maxConcurrent": "101%"}, False, id="more-than-all"),
        pytest.param({"maxConcurrent": "2"}, False, id="count-as-text"),
        pytest.param({"maxConcurrent": True}, False, id="boolean"),
        pytest.param({"waves": [{"name": "canary"}]}, False, id="wave-without-regions"),
        pytest.param({"waves": [{**WAVE, "percent": 5}]}, False, id="wave-with-two-choices"),
        pytest.param({"waves": [{**WAVE, "name": "remaining"}]}, False, id="name-of-the-last"),
        pytest.param({"waves": [WAVE, WAVE]}, False, id="twice"),
        pytest.param({"waves": [{**WAVE, "approval": "Required"}]}, True, id="approval"),
        pytest.param({"waves": [{**WAVE, "maxConcurrent": "5%"}]}, False, id="share-in-a-wave"),
        pytest.param({"soak": "5 minutes"}, False, id="no-duration"),
    ],
)
def test_both_sides_judge_a_rollout_alike(
    rest: Rest, rollout: dict[str, Any], *, good: bool
) -> None:
    document = {**a_class("candidate"), "spec": {"rollout": rollout}}

    reply = rest.create(document, dry_run=True)

    assert reply.ok is good, reply.message
    assert accepted(document) is good


def accepted(document: dict[str, Any]) -> bool:
    try:
        validate_region_class(document)
    except ValidationFailure:
        return False
    return True
