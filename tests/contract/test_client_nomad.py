"""The Nomad client against a real Nomad: what the port promises, and what python-nomad reads back.

Each test works in Nomad namespaces of its own, so that they share one agent.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import nomad as python_nomad
import pytest
from tests.lab.nomad import NomadAgent
from tests.lab.polling import PATIENCE, until

from orrery.adapters.nomad import Limits, NomadClientFactory
from orrery.errors import Conflict, Refused, Unreachable
from orrery.ports import (
    Allocation,
    Credentials,
    Document,
    EventBatch,
    Job,
    JobDeployment,
    RegionNomad,
    Submission,
)

NOTHING = Submission("{}")
_numbers = itertools.count(1)


@pytest.fixture
def agent(real_agent: NomadAgent) -> NomadAgent:
    return real_agent


@pytest.fixture
async def region(agent: NomadAgent) -> AsyncIterator[RegionNomad]:
    credentials = Credentials(endpoint=agent.address, token=agent.token)
    client = NomadClientFactory(Limits(settle=1.0)).connect(credentials)
    yield client
    await client.close()


@pytest.fixture
async def tenant(region: RegionNomad) -> str:
    name = f"orrery-tenant-{next(_numbers)}"
    await region.create_namespace(name, "a tenant of a test")
    return name


@pytest.fixture
def reader(agent: NomadAgent) -> python_nomad.Nomad:
    return python_nomad.Nomad(host="127.0.0.1", port=agent.port, token=agent.token, timeout=10)


def a_job(namespace: str, job_id: str = "shop", **fields: Any) -> dict[str, Any]:
    task = {
        "Name": "app",
        "Driver": "mock_driver",
        "Config": {"run_for": "1h"},
        "Resources": {"CPU": 20, "MemoryMB": 16},
    }
    group = {
        "Name": "instances",
        "Count": 1,
        "Tasks": [task],
        "Update": {"MinHealthyTime": 10_000_000, "HealthyDeadline": 20_000_000_000},
    }
    job = {
        "ID": job_id,
        "Name": job_id,
        "Namespace": namespace,
        "Type": "service",
        "Datacenters": ["*"],
        "Meta": {"orrery_name": job_id},
        "TaskGroups": [group],
    }
    return job | fields


async def registered(region: RegionNomad, job: Document) -> Job:
    await region.register_job(job, expected_index=0, submission=NOTHING)
    found = await region.read_job(job["Namespace"], job["ID"])
    assert found
    return found


async def test_the_region_describes_itself(region: RegionNomad) -> None:
    facts = await region.agent()
    node = (await region.list_nodes())[0]

    (server,) = (await region.autopilot()).servers
    assert (await region.leader()).startswith("127.0.0.1:")
    assert (server.name[-7:], server.leader, server.voter) == (".global", True, True)
    assert (facts.region, facts.version[:2]) == ("global", "2.")
    assert (node.status, node.eligible) == ("ready", True)
    assert "mock_driver" in node.drivers
    assert min(node.cpu_mhz, node.memory_mb) > 0


async def test_a_job_comes_back_as_it_was_registered(
    region: RegionNomad, tenant: str, reader: python_nomad.Nomad
) -> None:
    job = await registered(region, a_job(tenant))

    assert (job.namespace, job.id, job.version, job.stop) == (tenant, "shop", 0, False)
    assert job.meta == {"orrery_name": "shop"}
    assert job.document["TaskGroups"][0]["Count"] == 1
    theirs = reader.job.get_job("shop", namespace=tenant)
    assert theirs["JobModifyIndex"] == job.job_modify_index
    assert theirs["Meta"] == job.meta
    assert theirs["TaskGroups"][0]["Tasks"][0]["Config"] == {"run_for": "1h"}


async def test_what_does_not_exist_is_none_or_empty(region: RegionNomad, tenant: str) -> None:
    assert await region.read_job(tenant, "shop") is None
    assert await region.read_job("no-such-namespace", "shop") is None
    assert await region.read_submission(tenant, "shop", 0) is None
    assert await region.read_variable(tenant, "nomad/jobs/shop") is None
    assert list(await region.list_allocations(tenant, "shop")) == []
    assert list(await region.list_deployments(tenant, "shop")) == []


async def test_compare_and_set_lets_one_writer_win(region: RegionNomad, tenant: str) -> None:
    with pytest.raises(Conflict):
        await region.register_job(a_job(tenant), expected_index=7, submission=NOTHING)
    job = await registered(region, a_job(tenant))
    changed = a_job(tenant, Priority=60)

    for stale in (0, job.job_modify_index - 1):
        with pytest.raises(Conflict):
            await region.register_job(changed, expected_index=stale, submission=NOTHING)
    await region.register_job(changed, expected_index=job.job_modify_index, submission=NOTHING)

    after = await region.read_job(tenant, "shop")
    assert after
    assert (after.version, after.document["Priority"]) == (1, 60)
    assert after.job_modify_index > job.job_modify_index


async def test_a_stop_under_compare_and_set_stops_and_can_be_taken_back(
    region: RegionNomad, tenant: str
) -> None:
    job = await registered(region, a_job(tenant))
    stop = dict(job.document) | {"Stop": True}

    with pytest.raises(Conflict):
        await region.register_job(stop, expected_index=1, submission=NOTHING)
    await region.register_job(stop, expected_index=job.job_modify_index, submission=NOTHING)
    stopped = await region.read_job(tenant, "shop")

    assert stopped
    assert stopped.stop
    again = dict(stopped.document) | {"Stop": False}
    await region.register_job(again, expected_index=stopped.job_modify_index, submission=NOTHING)
    back = await region.read_job(tenant, "shop")
    assert back
    assert not back.stop


async def test_submissions_are_kept_per_version(region: RegionNomad, tenant: str) -> None:
    first, second = Submission('{"revision": "é1"}'), Submission('{"revision": 2}')
    await region.register_job(a_job(tenant), expected_index=0, submission=first)
    job = await region.read_job(tenant, "shop")
    assert job
    await region.register_job(
        a_job(tenant, Priority=60), expected_index=job.job_modify_index, submission=second
    )

    assert await region.read_submission(tenant, "shop", 0) == first
    assert await region.read_submission(tenant, "shop", 1) == second
    assert await region.read_submission(tenant, "shop", 2) is None


async def test_the_list_shows_every_namespace_with_meta_and_index(
    region: RegionNomad, agent: NomadAgent, tenant: str
) -> None:
    jobs = [await registered(region, a_job(tenant, f"shop-{n}")) for n in range(5)]
    credentials = Credentials(endpoint=agent.address, token=agent.token)
    paging = NomadClientFactory(Limits(page=2)).connect(credentials)

    listed = await region.list_jobs()
    paged = await paging.list_jobs()
    await paging.close()

    ours = {stub.id: stub for stub in listed.jobs if stub.namespace == tenant}
    assert {job.id: job.job_modify_index for job in jobs} == {
        job_id: stub.job_modify_index for job_id, stub in ours.items()
    }
    assert ours["shop-3"].meta == {"orrery_name": "shop-3"}
    assert listed.index >= max(job.job_modify_index for job in jobs)
    assert {(s.namespace, s.id) for s in paged.jobs} == {(s.namespace, s.id) for s in listed.jobs}


async def test_a_healthy_job_shows_its_allocation_and_deployment(
    region: RegionNomad, tenant: str
) -> None:
    await registered(region, a_job(tenant))

    async def successful() -> Sequence[JobDeployment]:
        found = await region.list_deployments(tenant, "shop")
        return [deployment for deployment in found if deployment.status == "successful"]

    done = await until(successful)
    allocation = (await region.list_allocations(tenant, "shop"))[0]
    stub = next(s for s in (await region.list_jobs()).jobs if s.namespace == tenant)

    assert (done[0].job_version, done[0].desired, done[0].healthy) == (0, 1, 1)
    assert (allocation.client_status, allocation.healthy) == ("running", True)
    assert allocation.node in {node.name for node in await region.list_nodes()}
    assert (stub.status, stub.running, stub.failed, stub.queued) == ("running", 1, 0, 0)


async def test_an_instance_that_fails_says_why(region: RegionNomad, tenant: str) -> None:
    job = a_job(tenant)
    group = job["TaskGroups"][0]
    group["Tasks"][0]["Config"] = {"start_error": "no such image"}
    group["RestartPolicy"] = {"Attempts": 0, "Mode": "fail"}
    group["ReschedulePolicy"] = {"Attempts": 0, "Unlimited": False}
    await registered(region, job)

    async def ended() -> Sequence[Allocation]:
        found = await region.list_allocations(tenant, "shop")
        return [allocation for allocation in found if allocation.client_status == "failed"]

    failed = await until(ended)
    stub = next(s for s in (await region.list_jobs()).jobs if s.namespace == tenant)

    assert failed[0].message
    assert stub.failed == 1


async def test_a_plan_tells_what_would_happen_and_changes_nothing(
    region: RegionNomad, tenant: str
) -> None:
    new = await region.plan_job(a_job(tenant))
    job = await registered(region, a_job(tenant))
    same = await region.plan_job(a_job(tenant))
    huge = a_job(tenant)
    huge["TaskGroups"][0]["Tasks"][0]["Resources"] = {"CPU": 20, "MemoryMB": 10**8}
    full = await region.plan_job(huge)

    assert (new.job_modify_index, new.diff["Type"], new.updates["place"]) == (0, "Added", 1)
    assert (same.job_modify_index, same.diff["Type"]) == (job.job_modify_index, "None")
    assert full.failures["instances"].dimensions == {"memory": 1}
    after = await region.read_job(tenant, "shop")
    assert after
    assert after.job_modify_index == job.job_modify_index


async def test_an_invalid_job_is_refused_in_nomads_words(region: RegionNomad, tenant: str) -> None:
    for call in (
        region.plan_job(a_job(tenant, TaskGroups=[])),
        region.register_job(a_job(tenant, TaskGroups=[]), expected_index=0, submission=NOTHING),
    ):
        with pytest.raises(Refused, match="Missing job task groups") as caught:
            await call
        assert caught.value.reason == "JobRefused"
    with pytest.raises(Refused, match="nonexistent namespace"):
        await region.register_job(a_job("nowhere"), expected_index=0, submission=NOTHING)
    job = a_job(tenant)
    del job["TaskGroups"][0]["Update"]
    index = (await registered(region, job)).job_modify_index
    job["Type"] = "batch"
    with pytest.raises(Refused, match="cannot update job from type"):
        await region.register_job(job, expected_index=index, submission=NOTHING)


async def test_a_purged_job_is_gone_and_purging_again_is_harmless(
    region: RegionNomad, tenant: str
) -> None:
    await registered(region, a_job(tenant))

    await region.purge_job(tenant, "shop")
    await region.purge_job(tenant, "shop")

    assert await region.read_job(tenant, "shop") is None


async def test_variables_are_written_by_compare_and_set(
    region: RegionNomad, tenant: str, reader: python_nomad.Nomad
) -> None:
    path, items = "nomad/jobs/shop", {"password": "hünter2\n", "user": "shop"}
    await region.write_variable(tenant, path, items, expected_index=0)
    written = await region.read_variable(tenant, path)

    assert written
    assert written.items == items
    theirs = reader.variable.get_variable(path, namespace=tenant)
    assert theirs["Items"] == items
    for stale in (0, written.modify_index - 1):
        with pytest.raises(Conflict) as caught:
            await region.write_variable(tenant, path, {"a": "b"}, expected_index=stale)
        assert "nter2" not in str(caught.value) + str(caught.value.__dict__)
    with pytest.raises(Conflict):
        await region.delete_variable(tenant, path, expected_index=written.modify_index - 1)
    await region.delete_variable(tenant, path, expected_index=written.modify_index)
    assert await region.read_variable(tenant, path) is None


async def test_a_namespace_is_created_once(
    region: RegionNomad, tenant: str, agent: NomadAgent
) -> None:
    await region.create_namespace(tenant, "another description")

    assert tenant in await region.list_namespaces()
    assert agent.call("GET", f"/v1/namespace/{tenant}")["Description"] == "a tenant of a test"


async def test_a_token_without_rights_is_refused_by_call(agent: NomadAgent) -> None:
    unknown = Credentials(endpoint=agent.address, token="11111111-2222-4333-8444-555555555555")
    client = NomadClientFactory().connect(unknown)
    hasty = NomadClientFactory(Limits(deadline=0.5)).connect(unknown)

    with pytest.raises(Refused, match="does not let this token list jobs: Permission denied"):
        await client.list_jobs()
    with pytest.raises(Refused, match="does not let this token register job"):
        await client.register_job(a_job("default"), expected_index=0, submission=NOTHING)
    with pytest.raises(Unreachable, match="may its token read all namespaces and nodes"):
        async with hasty.events(index=7):
            pass
    await client.close()
    await hasty.close()


async def test_events_come_in_order_and_name_their_job(region: RegionNomad, tenant: str) -> None:
    async with region.events(index=0) as events:
        first = await anext(events)
        job = await registered(region, a_job(tenant))
        batches = await heard(events, tenant, {"Job", "Allocation", "Deployment"})

    assert first == EventBatch(index=0, events=[], gap=True)
    ours = [event for batch in batches for event in batch.events if event.namespace == tenant]
    assert (ours[0].topic, ours[0].job_modify_index) == ("Job", job.job_modify_index)
    assert {event.job_id for event in ours} == {"shop"}
    indexes = [batch.index for batch in batches if batch.events]
    assert indexes == sorted(indexes)
    assert not any(batch.gap for batch in batches)


async def test_a_purge_shows_as_an_event_without_an_index(region: RegionNomad, tenant: str) -> None:
    await registered(region, a_job(tenant))
    async with region.events(index=0) as events:
        await anext(events)
        await region.purge_job(tenant, "shop")
        batches = await heard(events, tenant, {"JobDeregistered"})

    purged = [event for event in batches[-1].events if event.type == "JobDeregistered"]
    assert [(event.job_id, event.job_modify_index) for event in purged] == [("shop", None)]


async def test_a_namespace_created_while_the_stream_is_open_is_in_it(region: RegionNomad) -> None:
    name = f"orrery-tenant-{next(_numbers)}"
    async with region.events(index=0) as events:
        await anext(events)
        await region.create_namespace(name, "")
        await registered(region, a_job(name))
        batches = await heard(events, name, {"Job"})

    assert batches


async def test_a_resume_within_the_buffer_has_no_gap_and_beyond_it_has_one(
    region: RegionNomad, agent: NomadAgent, tenant: str
) -> None:
    async with region.events(index=0) as events:
        await anext(events)
        await registered(region, a_job(tenant))
        seen = (await heard(events, tenant, {"Job"}))[-1].index

    async with region.events(index=seen) as events:
        near = await anext(events)
    for number in range(110):  # the buffer of a development agent holds 100 batches
        path = f"/v1/var/filler-{number}?namespace={tenant}"
        await asyncio.to_thread(agent.call, "PUT", path, {"Items": {"k": "v"}})
    await registered(region, a_job(tenant, "later"))
    async with region.events(index=seen) as events:
        far = await anext(events)

    assert (near.index, near.gap) == (seen, False)
    assert far.gap


async def heard(
    events: AsyncIterator[EventBatch], namespace: str, wanted: set[str]
) -> list[EventBatch]:
    """Read batches until all *wanted* topics or types have shown up in *namespace*."""
    batches = []
    missing = set(wanted)
    async with asyncio.timeout(PATIENCE):
        while missing:
            batch = await anext(events)
            batches.append(batch)
            for event in batch.events:
                if event.namespace == namespace:
                    missing -= {event.topic, event.type}
    return batches
