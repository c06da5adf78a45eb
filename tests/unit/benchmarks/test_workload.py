"""The workload: what the raw client posts is what Orrery would post."""

import json

from benchmarks.fanout.workload import (
    NOMAD_NAMESPACE,
    assignment,
    body,
    deployment,
    raw_body,
    settled_status,
)

from orrery.api.validation import validate_deployment


def test_a_body_registers_the_job_of_the_deployment_where_there_is_none() -> None:
    made = json.loads(body("shop").text)

    assert made["Job"]["ID"] == "shop"
    assert made["Job"]["Namespace"] == NOMAD_NAMESPACE
    assert (made["EnforceIndex"], made["JobModifyIndex"]) == (True, 0)
    assert json.loads(made["Submission"]["Source"])["digest"] == body("shop").digest


def test_the_raw_client_posts_a_body_of_the_same_size() -> None:
    assert len(raw_body("shop").text) == len(body("shop").text)


def test_a_seeded_status_says_that_all_is_well_and_remembers_each_region() -> None:
    document = deployment("shop")

    status = settled_status(document, 7, {"fra": "eu", "was": "na"})

    read = validate_deployment({**document, "status": status}).status
    assert read is not None
    assert read.display is not None
    assert read.display.status == "healthy in 2 regions"
    left = [state for continent in read.continents for state in continent.regions.values()]
    assert {(state.index, state.revision) for state in left} == {(7, assignment(document).digest)}
