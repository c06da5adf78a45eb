"""A job that was read, edited and sent back, as people do it, says which version it was."""

from typing import Any

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import a_job, group_of, task_of


async def source(nomad: Nomad, job_id: str, version: int) -> str | None:
    """Read what was submitted with a version, None when nothing was."""
    reply = await nomad.get(f"/v1/job/{job_id}/submission?version={version}")
    return str(reply.json["Source"]) if reply.status == 200 else None


async def submit(nomad: Nomad, job_id: str, *sources: str) -> None:
    """Register a version for each source."""
    for number, text in enumerate(sources):
        job = a_job(job_id, count=0, Meta={"n": str(number)})
        await nomad.register(job, Submission={"Source": text, "Format": "json"})


@pytest.mark.parametrize(
    ("version", "number", "kept"),
    [
        pytest.param({}, 3, "zero", id="of-none"),
        pytest.param({"Version": 1}, 3, "one", id="of-an-old-one"),
        pytest.param({"Version": 2}, 3, "two", id="of-the-newest"),
        pytest.param({"Version": 9}, 9, None, id="of-one-to-come"),
    ],
)
async def test_what_was_submitted_with_the_version_it_names_counts_for_a_job_sent_back(
    nomad: Nomad, version: dict[str, Any], number: int, kept: str | None
) -> None:
    job_id = nomad.name()
    await submit(nomad, job_id, "zero", "one", "two")

    await nomad.register(a_job(job_id, count=0, Priority=70, **version))

    assert (await nomad.job(job_id))["Version"] == number
    assert await source(nomad, job_id, number) == kept


async def test_an_empty_submission_is_one(nomad: Nomad) -> None:
    job_id = nomad.name()
    await submit(nomad, job_id, "zero")

    await nomad.register(a_job(job_id, count=0, Priority=70), Submission={})

    assert await source(nomad, job_id, 1) == ""


async def test_a_stop_keeps_what_was_submitted(nomad: Nomad) -> None:
    job_id = nomad.name()
    await submit(nomad, job_id, "zero", "one")

    await nomad.delete(f"/v1/job/{job_id}")

    assert (await nomad.job(job_id))["Version"] == 2
    assert await source(nomad, job_id, 2) == "one"


@pytest.mark.parametrize(
    "given", [{}, {"SpreadTarget": None}, {"SpreadTarget": []}], ids=["absent", "null", "empty"]
)
async def test_no_targets_of_a_spread_are_not_an_empty_list(
    nomad: Nomad, given: dict[str, object]
) -> None:
    job_id = nomad.name()
    spread = {"Attribute": "${node.datacenter}", "Weight": 50}

    await nomad.register(a_job(job_id, count=0, Spreads=[spread | given]))

    expected = spread | {"SpreadTarget": given.get("SpreadTarget")}
    assert (await nomad.job(job_id))["Spreads"] == [expected]


@pytest.mark.begins_with(make=a_job, count=2)
async def test_what_is_new_goes_before_what_is_replaced(nomad: Nomad) -> None:
    """MaxParallel counts both: with room for one, nothing is stopped before the new one is well."""
    job_id = nomad.first["ID"]
    more = a_job(job_id, count=3)
    task_of(more)["Env"] = {"A": "2"}
    group_of(more)["Update"]["MinHealthyTime"] = 600_000_000_000
    group_of(more)["Update"]["HealthyDeadline"] = 900_000_000_000
    group_of(more)["Update"]["ProgressDeadline"] = 1_800_000_000_000

    planned = await nomad.plan(more)

    updates = planned["Annotations"]["DesiredTGUpdates"]["instances"]
    assert {kind: number for kind, number in updates.items() if number} == {
        "Place": 1,
        "Ignore": 2,
    }
