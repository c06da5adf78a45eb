"""Verbs that ask the operator for something, as processes, on a real hub."""

from pathlib import Path
from typing import Any

import pytest
from tests.builders import a_class, a_continent, a_managed_region
from tests.lab.rest import Rest
from tests.lab.verbs import orrery

pytestmark = pytest.mark.asyncio(loop_scope="module")

REGION = "/apis/orrery.dev/v1alpha1/regions/fra"
CLASS = "/apis/orrery.dev/v1alpha1/regionclasses/standard"


@pytest.fixture(scope="module")
def hub(rest: Rest) -> Rest:
    class_ = a_class(image="docker.io/hashicorp/nomad:2.0.6")
    class_["spec"]["rollout"] = {"waves": [{"name": "canary", "regions": ["fra"]}]}
    for document in (a_continent(), class_, a_managed_region("fra")):
        reply = rest.create(document)
        assert reply.ok, reply.message
    return rest


def annotations(hub: Rest, path: str = REGION) -> dict[str, Any]:
    return dict(hub.get(path).body["metadata"].get("annotations") or {})


@pytest.mark.parametrize(
    ("words", "annotation", "value"),
    [
        (("region", "cordon", "fra"), "orrery.dev/cordon", "true"),
        (("region", "uncordon", "fra"), "orrery.dev/cordon", None),
        (("region", "open", "fra"), "orrery.dev/open", "everyone"),
    ],
)
async def test_what_is_asked_of_a_region_is_an_annotation(
    hub: Rest, kubeconfig: Path, words: tuple[str, ...], annotation: str, value: str | None
) -> None:
    said = await orrery(*words, kubeconfig=kubeconfig)

    assert (said.code, said.error) == (0, "")
    assert annotations(hub).get(annotation) == value


async def test_stops_are_allowed_until_a_moment_that_is_said(hub: Rest, kubeconfig: Path) -> None:
    said = await orrery("region", "allow-stops", "fra", "--for", "30m", kubeconfig=kubeconfig)

    until = annotations(hub)["orrery.dev/allow-stops-until"]
    assert said.out == f"any number of jobs may be stopped in fra until {until}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("region", "approve", "fra"), "region fra waits for no approval", id="step"),
        pytest.param(
            ("class", "approve", "standard", "--wave", "nope"), 'has no wave "nope"', id="wave"
        ),
        pytest.param(("class", "approve", "standard"), "waits for an approval", id="nothing"),
        pytest.param(("region", "cordon", "par"), '"par"', id="unknown"),
    ],
)
async def test_what_cannot_be_asked_for_is_said_and_nothing_is_written(
    hub: Rest, kubeconfig: Path, words: tuple[str, ...], told: str
) -> None:
    before = annotations(hub), annotations(hub, CLASS)

    said = await orrery(*words, kubeconfig=kubeconfig)

    assert said.code == 1
    assert told in said.error
    assert (annotations(hub), annotations(hub, CLASS)) == before
