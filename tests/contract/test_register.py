"""Register: compare-and-set, versions, submissions, and what is refused in which words."""

from typing import Any

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import a_job, group_of, task_of

URL = "/v1/jobs"


async def test_first_register_makes_version_zero(nomad: Nomad) -> None:
    reply = await nomad.put(URL, {"Job": a_job(nomad.name())})
    job = await nomad.job(nomad.name())

    written = reply.json
    assert reply.index == written["Index"] == written["JobModifyIndex"]
    assert written["EvalCreateIndex"] == written["Index"]
    assert written.keys() == {
        "EvalCreateIndex",
        "EvalID",
        "Index",
        "JobModifyIndex",
        "KnownLeader",
        "LastContact",
        "NextToken",
        "Warnings",
    }
    assert job["Version"] == 0
    assert job["JobModifyIndex"] == job["CreateIndex"] == written["Index"]


@pytest.mark.begins_with(make=a_job)
async def test_unchanged_register_keeps_the_job_and_answers_with_another_index(
    nomad: Nomad,
) -> None:
    job_id = nomad.first["ID"]
    before = await nomad.job(job_id)

    reply = await nomad.register(a_job(job_id))

    after = await nomad.job(job_id)
    assert after["Version"] == before["Version"] == 0
    assert after["JobModifyIndex"] == before["JobModifyIndex"]
    assert reply["JobModifyIndex"] == before["ModifyIndex"] > before["JobModifyIndex"]
    assert reply["Index"] == reply["EvalCreateIndex"] > before["ModifyIndex"]
    assert reply["EvalID"] in {e["ID"] for e in await nomad.rows(job_id, "evaluations")}


async def test_changed_register_makes_a_new_version(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id))

    written = await nomad.register(a_job(job_id, count=2))

    job = await nomad.job(job_id)
    assert (job["Version"], job["JobModifyIndex"]) == (1, written["JobModifyIndex"])


async def test_right_index_is_accepted(nomad: Nomad) -> None:
    job_id = nomad.name()
    first = await nomad.register(a_job(job_id), EnforceIndex=True, JobModifyIndex=0)

    second = await nomad.register(
        a_job(job_id, count=2), EnforceIndex=True, JobModifyIndex=first["JobModifyIndex"]
    )

    assert second["JobModifyIndex"] > first["JobModifyIndex"]


async def test_conflicts_are_worded(nomad: Nomad) -> None:
    job_id = nomad.name()
    absent = await nomad.put(
        URL, {"Job": a_job(job_id), "EnforceIndex": True, "JobModifyIndex": 10}
    )
    index = (await nomad.register(a_job(job_id)))["JobModifyIndex"]

    present = await nomad.put(
        URL, {"Job": a_job(job_id), "EnforceIndex": True, "JobModifyIndex": 0}
    )
    stale = await nomad.put(URL, {"Job": a_job(job_id), "EnforceIndex": True, "JobModifyIndex": 3})

    assert absent.said == (500, "Enforcing job modify index 10: job does not exist")
    assert present.said == (500, "Enforcing job modify index 0: job already exists")
    assert stale.said == (
        500,
        f"Enforcing job modify index 3: job exists with conflicting job modify index: {index}",
    )


async def test_conflict_comes_before_the_question_whether_anything_changed(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id))

    reply = await nomad.put(URL, {"Job": a_job(job_id), "EnforceIndex": True, "JobModifyIndex": 1})

    assert reply.status == 500
    assert "conflicting job modify index" in reply.text


async def test_refused_register_writes_nothing(nomad: Nomad) -> None:
    job_id = nomad.name()

    await nomad.put(URL, {"Job": a_job(job_id, count=-1)})

    assert (await nomad.get(f"/v1/job/{job_id}")).said == (404, "job not found")


def _driverless(job: dict[str, Any]) -> None:
    task_of(job)["Driver"] = ""


def _taskless(job: dict[str, Any]) -> None:
    group_of(job)["Tasks"] = []


def _too_small(job: dict[str, Any]) -> None:
    task_of(job)["Resources"] = {"CPU": -1, "MemoryMB": 1}


def _twice(job: dict[str, Any]) -> None:
    job["TaskGroups"].append(group_of(job))


def _misnamed_service(job: dict[str, Any]) -> None:
    group_of(job)["Services"] = [{"Name": "w_bad!", "Provider": "nomad"}]


def _portless_check(job: dict[str, Any]) -> None:
    check = {"Name": "c", "Type": "http", "Path": "/", "Interval": 10**9, "Timeout": 10**9}
    group_of(job)["Services"] = [{"Name": "web", "Provider": "nomad", "Checks": [check]}]


def _impatient(job: dict[str, Any]) -> None:
    group_of(job)["Update"] |= {"HealthyDeadline": 2 * 10**9, "ProgressDeadline": 3 * 10**9}


def _batch_with_update(job: dict[str, Any]) -> None:
    job["Type"] = "batch"


def _mixed_providers(job: dict[str, Any]) -> None:
    group_of(job)["Services"] = [
        {"Name": "one", "Provider": "nomad"},
        {"Name": "two", "Provider": "consul"},
    ]


GROUP = "\t* Task group instances validation failed: 1 error occurred:\n"
TASK = GROUP + "\t* Task app validation failed: 1 error occurred:\n"
SERVICE = GROUP + "\t* Task group service validation failed: 1 error occurred:\n"
ONE = "1 error occurred:\n"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            lambda job: job.update(TaskGroups=[]), "\t* Missing job task groups\n\n", id="no-groups"
        ),
        pytest.param(
            lambda job: job.update(ID="x y"), "\t* Job ID contains a space\n\n", id="space-in-id"
        ),
        pytest.param(
            lambda job: job.update(Priority=1000),
            "\t* job priority must be between [1, 100]\n\n",
            id="priority",
        ),
        pytest.param(
            lambda job: group_of(job).update(Count=-1),
            GROUP + "\t* Task group count can't be negative\n\n\n\n",
            id="negative-count",
        ),
        pytest.param(_driverless, TASK + "\t* Missing task driver\n\n\n\n\n\n", id="no-driver"),
        pytest.param(_taskless, GROUP + "\t* Missing tasks for task group\n\n\n\n", id="no-tasks"),
        pytest.param(
            _too_small,
            TASK
            + "\t* 1 error occurred:\n\t* 2 errors occurred:\n"
            + "\t* minimum CPU value is 1; got -1\n\t* minimum MemoryMB value is 10; got 1\n"
            + "\n" * 9,
            id="too-small",
        ),
        pytest.param(
            _twice,
            "\t* Job task group 2 redefines 'instances' from group 1\n\n",
            id="group-twice",
        ),
        pytest.param(
            _misnamed_service,
            SERVICE
            + "\t* Service[0] w_bad! validation failed: 1 error occurred:\n"
            + "\t* Service name must be valid per RFC 1123 and can contain only alphanumeric"
            + " characters or dashes and must be no longer than 63 characters: "
            + '"w_bad!"'
            + "\n" * 8,
            id="service-name",
        ),
        pytest.param(
            _portless_check,
            SERVICE
            + "\t* Service[0] web validation failed: 1 error occurred:\n"
            + "\t* Check c invalid: check requires a port but neither check nor service"
            + ' "web" have a port'
            + "\n" * 8,
            id="check-without-port",
        ),
        pytest.param(
            _impatient,
            TASK + "\t* KillTimout (5s) longer than the group's ProgressDeadline (3s)" + "\n" * 6,
            id="progress-deadline",
        ),
        pytest.param(
            _batch_with_update,
            GROUP + '\t* Job type "batch" does not allow update block\n\n\n\n',
            id="batch-with-update",
        ),
        pytest.param(
            _mixed_providers,
            SERVICE
            + "\t* Multiple service providers used: task group services must use the same provider"
            + "\n" * 6,
            id="two-providers",
        ),
    ],
)
async def test_invalid_job_is_a_500_that_lists_errors(nomad: Nomad, spoil: Any, words: str) -> None:
    job = a_job(nomad.name())
    spoil(job)

    reply = await nomad.put(URL, {"Job": job})

    assert reply.said == (500, ONE + words)
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_errors_are_counted(nomad: Nomad) -> None:
    reply = await nomad.put(URL, {"Job": {"ID": "x", "Type": "weird"}})

    assert reply.said == (
        500,
        '2 errors occurred:\n\t* Invalid job type: "weird"\n\t* Missing job task groups\n\n',
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "Request body is empty", id="nothing"),
        pytest.param(b"{", "unexpected EOF", id="half-of-it"),
        pytest.param({}, "Job must be specified", id="no-job"),
        pytest.param({"Job": {}}, "Job ID hasn't been provided", id="no-id"),
    ],
)
async def test_unreadable_request_is_a_400(nomad: Nomad, body: object, words: str) -> None:
    reply = await nomad.put(URL, body)

    assert reply.said == (400, words)


async def test_count_must_be_a_number(nomad: Nomad) -> None:
    job = a_job(nomad.name())
    group_of(job)["Count"] = "three"

    reply = await nomad.put(URL, {"Job": job})

    assert reply.said == (
        400,
        (
            "json: cannot unmarshal string into Go struct field"
            " TaskGroup.Job.TaskGroups.Count of type int"
        ),
    )


async def test_unknown_namespace_is_named(nomad: Nomad) -> None:
    reply = await nomad.put(URL, {"Job": a_job("x", Namespace="nowhere")})

    assert reply.said == (
        500,
        '1 error occurred:\n\t* job "x" is in nonexistent namespace "nowhere"\n\n',
    )


async def test_other_region_is_out_of_reach(nomad: Nomad) -> None:
    reply = await nomad.put(URL, {"Job": a_job(nomad.name(), Region="mars")})

    assert reply.said == (500, "No path to region")


async def test_path_and_job_must_agree(nomad: Nomad) -> None:
    reply = await nomad.put("/v1/job/other", {"Job": a_job(nomad.name())})

    assert reply.said == (400, "Job ID does not match name")


async def test_namespace_of_the_query_replaces_the_default(nomad: Nomad) -> None:
    namespace = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": namespace})

    reply = await nomad.put(f"{URL}?namespace={namespace}", {"Job": a_job(nomad.name())})

    assert reply.status == 200
    assert (await nomad.job(nomad.name(), namespace))["Namespace"] == namespace


async def test_post_and_put_are_the_same(nomad: Nomad) -> None:
    one = await nomad.call("POST", URL, {"Job": a_job(nomad.name("one"))})
    other = await nomad.call(
        "POST", f"/v1/job/{nomad.name('two')}", {"Job": a_job(nomad.name("two"))}
    )

    assert (one.status, other.status) == (200, 200)


async def test_services_without_shutdown_delay_are_warned_of(nomad: Nomad) -> None:
    job = a_job(nomad.name())
    group_of(job)["Services"] = [{"Name": "web", "Provider": "nomad"}]

    written = await nomad.register(job)

    assert written["Warnings"] == (
        '1 warning:\n\n* group "instances" defines services, but neither the group nor any of'
        " its tasks have shutdown_delay set"
    )


async def test_submission_is_kept_per_version(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id), Submission={"Source": '{"r":1}', "Format": "json"})
    written = await nomad.register(
        a_job(job_id, count=2), Submission={"Source": '{"r":2}', "Format": "json"}
    )

    first = await nomad.get(f"/v1/job/{job_id}/submission?version=0")
    second = await nomad.get(f"/v1/job/{job_id}/submission?version=1")

    assert first.json["Source"] == '{"r":1}'
    assert second.index == written["JobModifyIndex"]
    assert second.json == {
        "Format": "json",
        "JobID": job_id,
        "JobModifyIndex": written["JobModifyIndex"],
        "Namespace": "default",
        "Source": '{"r":2}',
        "VariableFlags": None,
        "Variables": "",
        "Version": 1,
    }


async def test_submission_of_an_unchanged_job_is_dropped(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id), Submission={"Source": '{"r":1}', "Format": "json"})

    await nomad.register(a_job(job_id), Submission={"Source": '{"r":2}', "Format": "json"})

    kept = await nomad.get(f"/v1/job/{job_id}/submission?version=0")
    none = await nomad.get(f"/v1/job/{job_id}/submission?version=1")
    assert kept.json["Source"] == '{"r":1}'
    assert none.said == (404, "job source not found")


async def test_submission_needs_a_version(nomad: Nomad) -> None:
    reply = await nomad.get(f"/v1/job/{nomad.name()}/submission")

    assert reply.said == (400, "Unable to parse job submission version parameter")


async def test_versions_are_listed_newest_first_and_six_are_kept(nomad: Nomad) -> None:
    job_id = nomad.name()
    for number in range(8):
        await nomad.register(a_job(job_id, count=0, Meta={"n": str(number)}))

    reply = (await nomad.get(f"/v1/job/{job_id}/versions")).json

    assert [version["Version"] for version in reply["Versions"]] == [7, 6, 5, 4, 3, 2]
    assert reply["Diffs"] is None
    assert [v["Meta"]["n"] for v in reply["Versions"]] == ["7", "6", "5", "4", "3", "2"]
