"""Reads: lists and their rows, what is not there, blocking queries, pages."""

import asyncio

import pytest
from tests.contract.api import Nomad, Reply
from tests.contract.jobs import a_job
from tests.contract.recorded import hold
from tests.lab.polling import until

NOBODY = "e0000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/job/{job}", "job not found"),
        ("/v1/job/{job}/versions", "job versions not found"),
        ("/v1/job/{job}/summary", "job not found"),
        ("/v1/job/{job}/submission?version=0", "job source not found"),
        (f"/v1/evaluation/{NOBODY}", "eval not found"),
        (f"/v1/allocation/{NOBODY}", "alloc not found"),
        (f"/v1/deployment/{NOBODY}", "deployment not found"),
        ("/v1/namespace/{job}", "Namespace not found"),
        ("/v1/var/nomad/jobs/{job}", "variable not found"),
    ],
)
async def test_what_is_not_there_is_a_404_in_words(nomad: Nomad, path: str, words: str) -> None:
    reply = await nomad.get(path.format(job=nomad.name()))

    assert reply.said == (404, words)
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "X-Nomad-Index" in reply.headers


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/job/{job}/allocations", "[]"),
        ("/v1/job/{job}/deployments", "[]"),
        ("/v1/job/{job}/evaluations", "[]"),
        ("/v1/job/{job}/deployment", "null"),
        ("/v1/jobs?namespace={job}", "[]"),
        ("/v1/service/{job}", "[]"),
    ],
)
async def test_lists_of_what_is_not_there_are_empty(nomad: Nomad, path: str, body: str) -> None:
    reply = await nomad.get(path.format(job=nomad.name()))

    assert reply.said == (200, body)


async def test_bad_id_of_an_evaluation_is_a_500(nomad: Nomad) -> None:
    reply = await nomad.get("/v1/evaluation/xyz")

    assert reply.said == (
        500,
        "failed to lookup eval: eval lookup failed: index error: UUID must be 36 characters",
    )


async def test_unknown_path_is_an_empty_404(nomad: Nomad) -> None:
    assert (await nomad.get("/v1/nothing")).said == (404, "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/v1/jobs"),
        ("PATCH", "/v1/job/x"),
        ("GET", "/v1/job/x/plan"),
        ("DELETE", "/v1/nodes"),
        ("POST", "/v1/status/leader"),
    ],
)
async def test_wrong_method_is_a_405(nomad: Nomad, method: str, path: str) -> None:
    assert (await nomad.call(method, path)).said == (405, "Invalid method")


async def test_leader_is_an_address_for_everybody(nomad: Nomad) -> None:
    reply = await nomad.get("/v1/status/leader", token=None)

    host, _, port = reply.json.partition(":")
    assert (reply.status, host, port.isdigit()) == (200, "127.0.0.1", True)
    assert reply.headers["Content-Type"] == "application/json"


async def test_agent_tells_version_and_region(nomad: Nomad) -> None:
    agent = (await nomad.get("/v1/agent/self")).json

    version = agent["config"]["Version"]
    assert agent["config"]["Region"] == agent["member"]["Tags"]["region"] == "global"
    assert version["Version"][0].isdigit()
    assert agent["member"]["Tags"]["build"] == (
        f"{version['Version']}-{version['VersionPrerelease']}"
    )


async def test_nodes_show_what_they_have(nomad: Nomad) -> None:
    rows = (await nomad.get("/v1/nodes?resources=true")).json
    plain = (await nomad.get("/v1/nodes")).json

    node = rows[0]
    assert node["Status"] == "ready"
    assert node["SchedulingEligibility"] == "eligible"
    assert node["Drivers"]["mock_driver"]["Healthy"] is True
    assert node["NodeResources"]["Cpu"]["CpuShares"] > 0
    assert node["NodeResources"]["Memory"]["MemoryMB"] > 0
    assert node["ReservedResources"]["Cpu"]["CpuShares"] == 0
    assert node.keys() - plain[0].keys() == {"NodeResources", "ReservedResources"}
    hold(nomad, "node-fields", sorted(plain[0]))


async def test_job_rows_have_these_fields_and_meta_only_if_asked(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id, count=0, Meta={"k": "v"}))
    await nomad.dead(job_id)

    plain = (await nomad.get(f"/v1/jobs?prefix={job_id}")).json[0]
    asked = (await nomad.get(f"/v1/jobs?prefix={job_id}&meta=true")).json[0]

    assert asked == plain | {"Meta": {"k": "v"}}
    hold(nomad, "job-row-fields", {name: type(value).__name__ for name, value in asked.items()})


@pytest.mark.begins_with(make=a_job)
async def test_job_row_carries_the_index_of_its_job(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]

    row = (await nomad.get(f"/v1/jobs?prefix={job_id}")).json[0]

    job = await nomad.job(job_id)
    same = ("JobModifyIndex", "ModifyIndex", "CreateIndex", "Status", "Stop", "SubmitTime")
    assert {name: row[name] for name in same} == {name: job[name] for name in same}
    assert row["JobSummary"]["Summary"]["instances"] == {
        "Complete": 0,
        "Failed": 0,
        "Lost": 0,
        "Queued": 0,
        "Running": 1,
        "Starting": 0,
        "Unknown": 0,
    }


async def test_all_namespaces_are_listed_by_namespace_then_id(nomad: Nomad) -> None:
    one, other = nomad.name("ns-a"), nomad.name("ns-b")
    for namespace, job_id in [(other, "a"), (one, "c"), (one, "b")]:
        await nomad.put("/v1/namespace", {"Name": namespace})
        await nomad.register(a_job(job_id, count=0, Namespace=namespace))

    rows = (await nomad.get("/v1/jobs?namespace=*")).json

    mine = [(r["Namespace"], r["ID"]) for r in rows if r["Namespace"] in {one, other}]
    assert mine == [(one, "b"), (one, "c"), (other, "a")]


async def test_pages_follow_the_next_token(nomad: Nomad) -> None:
    namespace = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": namespace})
    for job_id in ("a", "b", "c"):
        await nomad.register(a_job(job_id, count=0, Namespace=namespace))

    first = await nomad.get(f"/v1/jobs?namespace={namespace}&per_page=2")
    token = first.headers["X-Nomad-Nexttoken"]
    second = await nomad.get(f"/v1/jobs?namespace={namespace}&per_page=2&next_token={token}")

    assert token == f"{namespace}.c"
    assert [row["ID"] for row in first.json] == ["a", "b"]
    assert [row["ID"] for row in second.json] == ["c"]
    assert "X-Nomad-Nexttoken" not in second.headers


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("index=x", "Invalid index"),
        ("wait=x", "Invalid wait time"),
        ("per_page=x", "Expect a number for `per_page` query string parameter"),
    ],
)
async def test_bad_query_parameters_are_named(nomad: Nomad, query: str, words: str) -> None:
    assert (await nomad.get(f"/v1/jobs?{query}")).said == (400, words)


async def test_reads_carry_headers_about_the_server(nomad: Nomad) -> None:
    reply = await nomad.get("/v1/jobs")

    assert reply.headers["X-Nomad-Knownleader"] == "true"
    assert reply.headers["X-Nomad-Lastcontact"] == "0"
    assert reply.headers["Content-Type"] == "application/json"


async def test_index_never_goes_back(nomad: Nomad) -> None:
    seen = []
    for number in range(4):
        await nomad.register(a_job(nomad.name(), count=0, Meta={"n": str(number)}))
        seen.append((await nomad.get("/v1/jobs?namespace=*")).index)

    assert seen == sorted(set(seen))


async def _blocked(nomad: Nomad, path: str) -> tuple[int, "asyncio.Task[Reply]"]:
    """Start a query that blocks at the present index; return both.

    It is asked again when what earlier tests left behind wakes it.
    """

    async def ask() -> tuple[int, "asyncio.Task[Reply]"] | None:
        index = (await nomad.get(path)).index
        joint = "&" if "?" in path else "?"
        task = asyncio.create_task(nomad.get(f"{path}{joint}index={index}&wait=60s"))
        done, _ = await asyncio.wait([task], timeout=0.2)
        return None if done else (index, task)

    return await until(ask)


async def test_blocking_list_wakes_on_a_change(nomad: Nomad) -> None:
    index, waiting = await _blocked(nomad, "/v1/jobs?namespace=*")

    await nomad.register(a_job(nomad.name(), count=0))

    reply = await waiting
    assert reply.index > index
    assert nomad.name() in {row["ID"] for row in reply.json}


async def test_blocking_read_wakes_when_its_job_appears(nomad: Nomad) -> None:
    index, waiting = await _blocked(nomad, f"/v1/job/{nomad.name()}")

    await nomad.register(a_job(nomad.name(), count=0))

    assert (await waiting).index > index


async def test_blocking_read_ignores_other_jobs(nomad: Nomad) -> None:
    job_id, other = nomad.name(), nomad.name("other")
    await nomad.register(a_job(job_id, count=0))
    await nomad.dead(job_id)
    _, waiting = await _blocked(nomad, f"/v1/job/{job_id}")

    await nomad.register(a_job(other, count=0))
    await nomad.dead(other)

    assert not waiting.done()
    waiting.cancel()


async def test_blocking_query_gives_up_after_its_wait(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id, count=0))
    await nomad.dead(job_id)
    index = (await nomad.get(f"/v1/job/{job_id}")).index

    reply = await nomad.get(f"/v1/job/{job_id}?index={index}&wait=10ms")

    assert reply.index == index


async def test_blocking_query_of_an_old_index_answers_at_once(nomad: Nomad) -> None:
    await nomad.register(a_job(nomad.name(), count=0))

    async with asyncio.timeout(30):
        reply = await nomad.get("/v1/jobs?index=1&wait=60s")

    assert reply.index > 1


async def test_running_services_are_registered(nomad: Nomad) -> None:
    name = nomad.name("web")
    job = a_job(nomad.name())
    group = job["TaskGroups"][0]
    group["Networks"] = [{"DynamicPorts": [{"Label": "http"}]}]
    service = {"Name": name, "Provider": "nomad", "PortLabel": "http", "Tags": ["b", "a"]}
    group["Services"] = [service]
    await nomad.register(job)
    rows = await nomad.running(nomad.name(), 0, 1)
    await nomad.settled(nomad.name(), 0)

    instances = (await nomad.get(f"/v1/service/{name}")).json
    listed = (await nomad.get("/v1/services?namespace=*")).json

    tags = {one["ServiceName"]: sorted(one["Tags"]) for one in listed[0]["Services"]}
    assert tags[name] == ["a", "b"]
    assert [one["AllocID"] for one in instances] == [rows[0]["ID"]]
    assert 20000 <= instances[0]["Port"] <= 32000
    assert instances[0]["JobID"] == nomad.name()
