"""Nomad's own roll-outs: success, failure, auto-revert, canaries, reschedules."""

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import FAILS, MILLISECOND, SECOND, Document, a_job, fail, group_of, task_of
from tests.contract.recorded import hold
from tests.lab.polling import until

RETRIES = {"Unlimited": True, "Delay": 5 * SECOND, "DelayFunction": "constant"}


@pytest.mark.begins_with(make=a_job, count=2)
async def test_healthy_deployment_makes_its_version_stable(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]

    deployment = await nomad.settled(job_id, 0)

    job = await nomad.job(job_id)
    group = deployment["TaskGroups"]["instances"]
    assert (deployment["Status"], deployment["StatusDescription"]) == (
        "successful",
        "Deployment completed successfully",
    )
    assert deployment["JobModifyIndex"] == deployment["JobSpecModifyIndex"]
    assert deployment["JobModifyIndex"] == job["JobModifyIndex"]
    assert (group["DesiredTotal"], group["PlacedAllocs"], group["HealthyAllocs"]) == (2, 2, 2)
    assert job["Stable"] is True
    assert job["ModifyIndex"] > job["JobModifyIndex"]
    assert (await nomad.get(f"/v1/job/{job_id}/deployment")).json == deployment
    assert (await nomad.get(f"/v1/deployment/{deployment['ID']}")).json == deployment
    shown = {name: type(value).__name__ for name, value in {**deployment, **group}.items()}
    hold(nomad, "deployment-fields", shown)


@pytest.mark.begins_with(make=a_job)
async def test_allocation_rows_have_these_fields(nomad: Nomad) -> None:
    row = (await nomad.rows(nomad.first["ID"], "allocations"))[0]

    state = row["TaskStates"]["app"]
    assert (row["ClientStatus"], row["ClientDescription"]) == ("running", "Tasks are running")
    assert (row["DesiredStatus"], row["JobVersion"], row["JobType"]) == ("run", 0, "service")
    assert row["DeploymentStatus"]["Healthy"] is True
    assert (state["State"], state["Failed"]) == ("running", False)
    assert [event["Type"] for event in state["Events"]] == ["Received", "Task Setup", "Started"]
    hold(nomad, "allocation-row-fields", {name: type(row[name]).__name__ for name in row})
    hold(nomad, "task-state-fields", {name: type(state[name]).__name__ for name in state})
    hold(nomad, "task-event-fields", sorted(state["Events"][0]))


async def test_evaluation_says_what_it_did(nomad: Nomad) -> None:
    job_id = nomad.name()
    written = await nomad.register(a_job(job_id, count=2))

    async def complete() -> Document | None:
        reply = await nomad.get(f"/v1/evaluation/{written['EvalID']}")
        return reply.json if reply.json["Status"] == "complete" else None

    evaluation = await until(complete)

    updates = evaluation["PlanAnnotations"]["DesiredTGUpdates"]["instances"]
    assert (evaluation["TriggeredBy"], evaluation["Type"]) == ("job-register", "service")
    assert (updates["Place"], updates["Stop"]) == (2, 0)
    assert evaluation["QueuedAllocations"] == {"instances": 0}
    assert evaluation["JobModifyIndex"] == evaluation["CreateIndex"] == written["Index"]


@pytest.mark.begins_with(make=a_job, count=3)
async def test_update_goes_one_by_one(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]
    task_of(job)["Env"] = {"A": "2"}
    group_of(job)["Update"]["MinHealthyTime"] = 300 * MILLISECOND

    await nomad.register(job)
    alive: list[tuple[int, int]] = []

    async def ended() -> bool:
        rows = await nomad.rows(job_id, "allocations")
        wanted = [row for row in rows if row["DesiredStatus"] == "run"]
        old = sum(row["JobVersion"] == 0 for row in wanted)
        unhealthy = sum(
            not (row["DeploymentStatus"] or {}).get("Healthy")
            for row in wanted
            if row["JobVersion"] == 1
        )
        alive.append((old, unhealthy))
        return old == 0 and unhealthy == 0

    await until(ended, pause=0.03)
    deployment = await nomad.settled(job_id, 1)

    assert max(unhealthy for _, unhealthy in alive) == 1
    assert {old for old, _ in alive} >= {2, 1, 0}
    assert deployment["Status"] == "successful"
    assert deployment["TaskGroups"]["instances"]["PlacedAllocs"] == 3


async def test_newer_version_cancels_a_deployment(nomad: Nomad) -> None:
    job_id = nomad.name()
    job = a_job(job_id)
    group_of(job)["Update"]["MinHealthyTime"] = 5 * SECOND
    await nomad.register(job)
    await nomad.running(job_id, 0, 1)

    task_of(job)["Env"] = {"A": "2"}
    await nomad.register(job)
    first = await nomad.settled(job_id, 0)

    assert (first["Status"], first["StatusDescription"]) == (
        "cancelled",
        "Cancelled due to newer version of job",
    )


async def test_failed_version_is_reverted_with_its_submission(nomad: Nomad) -> None:
    job_id = nomad.name()
    good = a_job(job_id, count=2)
    await nomad.register(good, Submission={"Source": "good", "Format": "json"})
    await nomad.settled(job_id, 0)
    kept = {row["ID"] for row in await nomad.rows(job_id, "allocations")}
    submitted = (await nomad.job(job_id))["SubmitTime"]

    bad = a_job(job_id, count=2, config=FAILS)
    await nomad.register(bad, Submission={"Source": "bad", "Format": "json"})
    failed = await nomad.settled(job_id, 1)
    healed = await nomad.settled(job_id, 2)

    job = await nomad.job(job_id)
    submission = await nomad.get(f"/v1/job/{job_id}/submission?version=2")
    rows = await nomad.running(job_id, 2, 2)
    assert (failed["Status"], failed["StatusDescription"]) == (
        "failed",
        "Failed due to unhealthy allocations - rolling back to job version 0",
    )
    assert failed["TaskGroups"]["instances"]["UnhealthyAllocs"] == 1
    assert healed["Status"] == "successful"
    assert (job["Version"], job["Stable"], job["SubmitTime"]) == (2, True, submitted)
    assert task_of(job)["Config"] == task_of(good)["Config"]
    assert job["JobModifyIndex"] > failed["JobModifyIndex"]
    assert submission.json["Source"] == "good"
    assert submission.json["JobModifyIndex"] == job["JobModifyIndex"]
    assert len(kept & {row["ID"] for row in rows if row["ClientStatus"] == "running"}) == 1


@pytest.mark.begins_with(make=a_job, config=FAILS)
async def test_first_version_has_nothing_to_revert_to(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]

    deployment = await nomad.settled(job_id, 0)

    assert deployment["StatusDescription"] == (
        "Failed due to unhealthy allocations - no stable job version to auto revert to"
    )
    assert (await nomad.job(job_id))["Version"] == 0


def _without_revert(job_id: str) -> Document:
    job = a_job(job_id)
    group_of(job)["Update"]["AutoRevert"] = False
    return job


@pytest.mark.begins_with(make=_without_revert)
async def test_without_auto_revert_the_failed_version_stays(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]

    fail(job)
    await nomad.register(job)
    deployment = await nomad.settled(job_id, 1)

    job = await nomad.dead(job_id)
    assert deployment["StatusDescription"] == "Failed due to unhealthy allocations"
    assert (job["Version"], job["Stable"], job["Stop"]) == (1, False, False)


@pytest.mark.begins_with(make=a_job, config=FAILS)
async def test_failed_instance_tells_why(nomad: Nomad) -> None:
    row = (await nomad.rows(nomad.first["ID"], "allocations"))[0]

    state = row["TaskStates"]["app"]
    shown = [(event["Type"], event["DisplayMessage"]) for event in state["Events"]]
    assert (row["ClientStatus"], row["ClientDescription"]) == ("failed", "Failed tasks")
    assert (row["DesiredStatus"], row["DeploymentStatus"]["Healthy"]) == ("run", False)
    assert (state["State"], state["Failed"]) == ("dead", True)
    # "Alloc Unhealthy" may follow at once or with the next report.
    assert shown[:5] == [
        ("Received", "Task received by client"),
        ("Task Setup", "Building Task Directory"),
        ("Started", "Task started by client"),
        ("Terminated", "Exit Code: 3"),
        ("Not Restarting", "Policy allows no restarts"),
    ]


async def test_failed_instance_waits_for_its_successor(nomad: Nomad) -> None:
    """With a policy that allows successors, a failure alone does not fail the deployment."""
    job_id = nomad.name()
    job = a_job(job_id, config=FAILS)
    group_of(job)["ReschedulePolicy"] = RETRIES
    await nomad.register(job)

    async def planned() -> list[Document]:
        rows = await nomad.rows(job_id, "evaluations")
        return [row for row in rows if row["TriggeredBy"] == "alloc-reschedule"]

    evaluation = (await until(planned))[0]

    row = (await nomad.rows(job_id, "allocations"))[0]
    deployment = (await nomad.rows(job_id, "deployments"))[0]
    assert (evaluation["Status"], evaluation["StatusDescription"]) == (
        "pending",
        "created for delayed rescheduling",
    )
    assert "WaitUntil" in evaluation
    assert row["FollowupEvalID"] == evaluation["ID"]
    assert row["DesiredTransition"]["Reschedule"] is True
    assert (deployment["Status"], deployment["StatusDescription"]) == (
        "running",
        "Deployment is running",
    )


async def test_successor_takes_over(nomad: Nomad) -> None:
    job_id = nomad.name()
    job = a_job(job_id, config=FAILS)
    group_of(job)["ReschedulePolicy"] = RETRIES
    await nomad.register(job)

    async def two() -> list[Document] | None:
        rows = await nomad.rows(job_id, "allocations")
        return rows if len(rows) == 2 else None

    old, new = await until(two)

    assert (old["DesiredStatus"], old["DesiredDescription"]) == ("stop", "")
    assert old["NextAllocation"] == new["ID"]
    assert [e["PrevAllocID"] for e in new["RescheduleTracker"]["Events"]] == [old["ID"]]


def _restarting(job_id: str) -> Document:
    job = a_job(job_id, config=FAILS)
    group_of(job)["RestartPolicy"] |= {"Attempts": 1, "Delay": 100 * MILLISECOND}
    return job


@pytest.mark.begins_with(make=_restarting)
async def test_restarted_task_is_counted(nomad: Nomad) -> None:
    state = (await nomad.rows(nomad.first["ID"], "allocations"))[0]["TaskStates"]["app"]

    assert state["Restarts"] == 1
    assert state["LastRestart"] is not None
    assert [event["Type"] for event in state["Events"]][:8] == [
        "Received",
        "Task Setup",
        "Started",
        "Terminated",
        "Restarting",
        "Started",
        "Terminated",
        "Not Restarting",
    ]


def _with_canary(job_id: str, *, promoted: bool) -> Document:
    job = a_job(job_id, count=2)
    group_of(job)["Update"] |= {"Canary": 1, "AutoPromote": promoted}
    return job


@pytest.mark.begins_with(make=_with_canary, promoted=True)
async def test_canary_comes_first_and_is_promoted(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]
    first = await nomad.settled(job_id, 0)
    task_of(job)["Env"] = {"A": "2"}

    await nomad.register(job)

    async def begun() -> Document | None:
        rows = await nomad.rows(job_id, "deployments")
        return rows[1] if len(rows) > 1 else None

    begun_as = await until(begun, pause=0.01)
    deployment = await nomad.settled(job_id, 1)

    group = deployment["TaskGroups"]["instances"]
    assert first["TaskGroups"]["instances"]["DesiredCanaries"] == 0
    assert begun_as["StatusDescription"] == "Deployment is running pending automatic promotion"
    assert (group["DesiredCanaries"], group["Promoted"]) == (1, True)
    assert (group["PlacedAllocs"], group["HealthyAllocs"]) == (2, 2)
    assert len(group["PlacedCanaries"]) == 1
    assert deployment["Status"] == "successful"
    rows = await nomad.running(job_id, 1, 2)
    assert {row["Name"] for row in rows if row["ClientStatus"] == "running"} == {
        f"{job_id}.instances[0]",
        f"{job_id}.instances[1]",
    }


@pytest.mark.begins_with(make=_with_canary, promoted=False)
async def test_canary_waits_for_people(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]
    task_of(job)["Env"] = {"A": "2"}

    await nomad.register(job)

    async def healthy() -> Document | None:
        rows = await nomad.rows(job_id, "deployments")
        if len(rows) > 1 and rows[1]["TaskGroups"]["instances"]["HealthyAllocs"]:
            return rows[1]
        return None

    deployment = await until(healthy)

    rows = await nomad.rows(job_id, "allocations")
    assert deployment["StatusDescription"] == (
        "Deployment is running but requires manual promotion"
    )
    assert sorted(row["JobVersion"] for row in rows if row["DesiredStatus"] == "run") == [0, 0, 1]


@pytest.mark.begins_with(make=_with_canary, promoted=True)
async def test_failed_canary_leaves_the_old_version_alone(nomad: Nomad) -> None:
    job, job_id = nomad.first, nomad.first["ID"]
    before = {row["ID"] for row in await nomad.rows(job_id, "allocations")}
    fail(job)

    await nomad.register(job)
    failed = await nomad.settled(job_id, 1)
    await nomad.settled(job_id, 2)

    rows = await nomad.running(job_id, 2, 2)
    assert failed["StatusDescription"] == (
        "Failed due to unhealthy allocations - rolling back to job version 0"
    )
    assert {row["ID"] for row in rows if row["ClientStatus"] == "running"} == before


def _never_healthy(job_id: str) -> Document:
    job = a_job(job_id, config={"run_for": "300ms"})
    task_of(job)["KillTimeout"] = SECOND
    group_of(job)["RestartPolicy"] = {
        "Attempts": 100,
        "Mode": "delay",
        "Interval": 60 * SECOND,
        "Delay": 100 * MILLISECOND,
    }
    group_of(job)["ReschedulePolicy"] = RETRIES
    group_of(job)["Update"] |= {
        "MinHealthyTime": SECOND,
        "HealthyDeadline": 2 * SECOND,
        "ProgressDeadline": 3 * SECOND,
    }
    return job


@pytest.mark.begins_with(make=_never_healthy)
async def test_slow_deployment_fails_at_its_deadline(nomad: Nomad) -> None:
    deployment = await nomad.settled(nomad.first["ID"], 0)

    assert (deployment["Status"], deployment["StatusDescription"]) == (
        "failed",
        "Failed due to progress deadline - no stable job version to auto revert to",
    )
