"""Which changes replace running instances, and how an update, a stop and a purge go by."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import SECOND, Document, a_job, group_of, task_of
from tests.lab.polling import until

UPDATED = "alloc is being updated due to job update"
NOT_NEEDED = "alloc not needed due to job update"


def _with_everything(job_id: str) -> Document:
    """A job on the mock driver with all that an edit below changes."""
    job = a_job(job_id, Meta={"k": "v"}, UI={"Description": "old"})
    group_of(job).update(
        Networks=[{"DynamicPorts": [{"Label": "http"}]}],
        Services=[
            {
                "Name": job_id,
                "Provider": "nomad",
                "PortLabel": "http",
                "Tags": ["a"],
                "Checks": [
                    {"Name": "up", "Type": "tcp", "Interval": 10 * SECOND, "Timeout": SECOND}
                ],
            }
        ],
    )
    task_of(job)["Env"] = {"A": "1"}
    return job


IN_PLACE: dict[str, Callable[[Document], Any]] = {
    "interface": lambda job: job.update(UI={"Description": "new"}),
    "name": lambda job: job.update(Name="another"),
    "priority": lambda job: job.update(Priority=70),
    "tags": lambda job: group_of(job)["Services"][0].update(Tags=["b"]),
    "check": lambda job: group_of(job)["Services"][0]["Checks"][0].update(Interval=20 * SECOND),
    "service": lambda job: group_of(job).update(Services=[]),
    "update": lambda job: group_of(job)["Update"].update(MaxParallel=2),
    "restart": lambda job: group_of(job)["RestartPolicy"].update(Attempts=1),
    "reschedule": lambda job: group_of(job).update(ReschedulePolicy={"Unlimited": True}),
    "disconnect": lambda job: group_of(job).update(Disconnect={"LostAfter": SECOND}),
    "affinity": lambda job: job.update(
        Affinities=[{"LTarget": "${node.datacenter}", "RTarget": "x", "Operand": "="}]
    ),
    "spread": lambda job: job.update(Spreads=[{"Attribute": "${node.datacenter}"}]),
    "constraint": lambda job: job.update(
        Constraints=[{"LTarget": "${attr.kernel.name}", "RTarget": "linux", "Operand": "="}]
    ),
    "kill-timeout": lambda job: task_of(job).update(KillTimeout=6 * SECOND),
}

DESTRUCTIVE: dict[str, Callable[[Document], Any]] = {
    "job-meta": lambda job: job.update(Meta={"k": "w"}),
    "group-meta": lambda job: group_of(job).update(Meta={"g": "1"}),
    "task-meta": lambda job: task_of(job).update(Meta={"t": "1"}),
    "env": lambda job: task_of(job).update(Env={"A": "2"}),
    "config": lambda job: task_of(job).update(Config={"run_for": "2h"}),
    "resources": lambda job: task_of(job)["Resources"].update(CPU=21),
    "network": lambda job: group_of(job).update(
        Networks=[{"DynamicPorts": [{"Label": "http"}, {"Label": "more"}]}]
    ),
    "template": lambda job: task_of(job).update(
        Templates=[{"DestPath": "local/x", "EmbeddedTmpl": "x"}]
    ),
    "user": lambda job: task_of(job).update(User="root"),
    "disk": lambda job: group_of(job).update(EphemeralDisk={"SizeMB": 301}),
    "task": lambda job: group_of(job)["Tasks"].append(
        {
            "Name": "side",
            "Driver": "mock_driver",
            "Config": {"run_for": "1h"},
            "Resources": {"CPU": 20, "MemoryMB": 10},
        }
    ),
}


@pytest.mark.parametrize("name", [*IN_PLACE, *DESTRUCTIVE])
@pytest.mark.begins_with(make=_with_everything)
async def test_change_keeps_or_replaces_the_instance(nomad: Nomad, name: str) -> None:
    job, job_id = nomad.first, nomad.first["ID"]
    before = await nomad.running(job_id, 0, 1)
    edited = deepcopy(job)
    (IN_PLACE | DESTRUCTIVE)[name](edited)
    if name == "update":
        group_of(edited)["Update"]["HealthCheck"] = "task_states"

    await nomad.register(edited)
    after = await nomad.running(job_id, 1, 1)

    kept = {row["ID"] for row in before} == {row["ID"] for row in after}
    assert kept is (name in IN_PLACE)


async def test_only_a_submission_changes_nothing_at_all(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id), Submission={"Source": "1", "Format": "json"})
    before = await nomad.running(job_id, 0, 1)

    await nomad.register(a_job(job_id), Submission={"Source": "2", "Format": "json"})

    after = await nomad.running(job_id, 0, 1)
    assert [row["ID"] for row in after] == [row["ID"] for row in before]


@pytest.mark.begins_with(make=a_job)
async def test_growing_adds_and_shrinking_takes_from_the_end(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]

    await nomad.register(a_job(job_id, count=3))
    grown = await nomad.running(job_id, 1, 3)
    await nomad.settled(job_id, 1)
    await nomad.register(a_job(job_id, count=1))
    shrunk = await nomad.running(job_id, 2, 1)

    assert [row["Name"] for row in grown] == [f"{job_id}.instances[{i}]" for i in range(3)]
    stopped = [row for row in shrunk if row["DesiredStatus"] == "stop"]
    assert {row["Name"] for row in stopped} == {f"{job_id}.instances[{i}]" for i in (1, 2)}
    assert {row["DesiredDescription"] for row in stopped} == {NOT_NEEDED}


@pytest.mark.begins_with(make=a_job)
async def test_replaced_instance_names_its_successor(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]

    task_of(job)["Env"] = {"A": "2"}
    await nomad.register(job)
    await nomad.settled(job_id, 1)

    old, new = await nomad.rows(job_id, "allocations")
    assert (old["DesiredStatus"], old["DesiredDescription"]) == ("stop", UPDATED)
    assert (old["ClientStatus"], old["ClientDescription"]) == (
        "complete",
        "All tasks have completed",
    )
    assert old["NextAllocation"] == new["ID"]
    assert old["Name"] == new["Name"]
    assert (old["JobVersion"], new["JobVersion"]) == (0, 1)


@pytest.mark.begins_with(make=a_job, count=2)
async def test_stop_is_a_version_that_stops_all(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]
    index = (await nomad.job(job_id))["JobModifyIndex"]

    await nomad.register(a_job(job_id, count=2, Stop=True), EnforceIndex=True, JobModifyIndex=index)
    rows = await nomad.running(job_id, 1, 0)

    job = await nomad.job(job_id)
    assert (job["Stop"], job["Version"], job["Status"]) == (True, 1, "dead")
    assert {(row["DesiredStatus"], row["DesiredDescription"]) for row in rows} == {
        ("stop", NOT_NEEDED)
    }


async def test_stop_refuses_a_stale_index(nomad: Nomad) -> None:
    job_id = nomad.name()
    index = (await nomad.register(a_job(job_id)))["JobModifyIndex"]
    await nomad.register(a_job(job_id, count=2))

    reply = await nomad.put(
        "/v1/jobs",
        {"Job": a_job(job_id, Stop=True), "EnforceIndex": True, "JobModifyIndex": index},
    )

    assert reply.status == 500
    assert (await nomad.job(job_id))["Stop"] is False


@pytest.mark.begins_with(make=a_job)
async def test_stopped_job_comes_back(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]
    await nomad.register(a_job(job_id, Stop=True))
    await nomad.running(job_id, 1, 0)

    await nomad.register(a_job(job_id))
    rows = await nomad.running(job_id, 2, 1)

    job = await nomad.job(job_id)
    assert (job["Stop"], job["Version"]) == (False, 2)
    assert len(rows) == 2


async def test_stop_in_the_middle_cancels_the_deployment(nomad: Nomad) -> None:
    job_id = nomad.name()
    job = a_job(job_id)
    group_of(job)["Update"]["MinHealthyTime"] = 5 * SECOND
    await nomad.register(job)
    await nomad.running(job_id, 0, 1)

    await nomad.register(job | {"Stop": True})
    deployment = await nomad.settled(job_id, 0)

    assert (deployment["Status"], deployment["StatusDescription"]) == (
        "cancelled",
        "Cancelled because job is stopped",
    )


@pytest.mark.begins_with(make=a_job)
async def test_deregister_stops_and_counts_versions(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]

    reply = await nomad.delete(f"/v1/job/{job_id}")
    await nomad.running(job_id, 1, 0)

    job = await nomad.job(job_id)
    assert reply.json.keys() == {
        "EvalCreateIndex",
        "EvalID",
        "Index",
        "JobModifyIndex",
        "KnownLeader",
        "LastContact",
        "NextToken",
        "VolumeEvalID",
        "VolumeEvalIndex",
    }
    assert reply.index == reply.json["JobModifyIndex"] == job["JobModifyIndex"]
    assert (job["Stop"], job["Version"], job["Stable"]) == (True, 1, True)


async def test_purge_leaves_nothing(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id), Submission={"Source": "1", "Format": "json"})
    await nomad.settled(job_id, 0)

    await nomad.delete(f"/v1/job/{job_id}?purge=true")

    paths = ("", "/versions", "/submission?version=0")
    replies = [await nomad.get(f"/v1/job/{job_id}{path}") for path in paths]
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert await nomad.rows(job_id, "allocations") == []
    assert await nomad.rows(job_id, "deployments") == []


@pytest.mark.begins_with(make=a_job, count=2)
async def test_purged_job_begins_anew(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]
    await nomad.delete(f"/v1/job/{job_id}?purge=true")

    await nomad.register(a_job(job_id), EnforceIndex=True, JobModifyIndex=0)
    rows = await nomad.running(job_id, 0, 1)

    assert (await nomad.job(job_id))["Version"] == 0
    assert len(rows) == 1


async def test_deleting_what_is_not_there_succeeds(nomad: Nomad) -> None:
    reply = await nomad.delete(f"/v1/job/{nomad.name()}?purge=true")

    assert (reply.status, reply.index, reply.json["EvalID"]) == (200, 0, "")


async def test_job_without_instances_is_dead(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id, count=0))

    await nomad.dead(job_id)

    assert await nomad.rows(job_id, "deployments") == []


async def test_batch_completes_and_is_dead(nomad: Nomad) -> None:
    job_id = nomad.name()
    job = a_job(job_id, config={"run_for": "50ms"}, Type="batch")
    del group_of(job)["Update"]
    await nomad.register(job)

    job = await nomad.dead(job_id)

    rows = await nomad.rows(job_id, "allocations")
    assert [(row["ClientStatus"], row["DesiredStatus"]) for row in rows] == [("complete", "run")]
    assert job["Stop"] is False


async def test_what_finds_no_place_is_queued_and_blocked(nomad: Nomad) -> None:
    job_id = nomad.name()
    job = a_job(job_id, count=2)
    task_of(job)["Resources"] = {"CPU": 1_000_000, "MemoryMB": 10}
    await nomad.register(job)

    async def blocked() -> list[Document]:
        rows = await nomad.rows(job_id, "evaluations")
        return [row for row in rows if row["Status"] == "blocked"]

    evaluation = (await until(blocked))[0]

    async def queued() -> bool:
        row = (await nomad.get(f"/v1/jobs?prefix={job_id}")).json[0]
        return bool(row["JobSummary"]["Summary"]["instances"]["Queued"] == 2)

    assert await until(queued)
    assert evaluation["TriggeredBy"] == "queued-allocs"
    assert evaluation["StatusDescription"] == "created to place remaining allocations"
    assert evaluation["FailedTGAllocs"]["instances"]["DimensionExhausted"].keys() == {"cpu"}
    assert (await nomad.job(job_id))["Status"] == "running"
