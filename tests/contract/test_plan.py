"""Plans: the structured diff, what would happen to instances, what finds no place."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import SECOND, Document, a_full_job, a_job, group_of, task_of
from tests.contract.recorded import hold

NO_UPDATES = {
    "Canary": 0,
    "DestructiveUpdate": 0,
    "Disconnect": 0,
    "Ignore": 0,
    "InPlaceUpdate": 0,
    "Migrate": 0,
    "Place": 0,
    "Preemptions": 0,
    "Reconnect": 0,
    "RescheduleLater": 0,
    "RescheduleNow": 0,
    "Stop": 0,
}

NAME = "the-job"


def _service(job: Document) -> Document:
    service: Document = group_of(job)["Services"][0]
    return service


def _ports(job: Document) -> list[Document]:
    ports: list[Document] = group_of(job)["Networks"][0]["DynamicPorts"]
    return ports


EDITS: dict[str, Callable[[Document], Any]] = {
    "nothing": lambda job: None,
    "tags": lambda job: _service(job).update(Tags=["protocol=http", "route=/shop"]),
    "check": lambda job: _service(job)["Checks"][0].update(Path="/healthz"),
    "check-restart": lambda job: _service(job)["Checks"][0]["CheckRestart"].update(Limit=9),
    "check-removed": lambda job: _service(job)["Checks"].pop(),
    "service-added": lambda job: group_of(job)["Services"].append(
        {"Name": "new", "Provider": "nomad", "PortLabel": "p3000", "Tags": ["x"]}
    ),
    "service-removed": lambda job: group_of(job)["Services"].pop(),
    "config": lambda job: task_of(job)["Config"].update(
        image="shop/web:2", args=["--port", "80"], extra={"k": 1, "b": True}
    ),
    "env": lambda job: task_of(job).update(Env={"B": "2"}),
    "meta": lambda job: job.update(Meta={"name": "other", "new": "1"}),
    "update": lambda job: group_of(job)["Update"].update(MaxParallel=2, Canary=1, AutoPromote=True),
    "count": lambda job: group_of(job).update(Count=3),
    "resources": lambda job: task_of(job)["Resources"].update(CPU=200),
    "affinity-removed": lambda job: job.update(Affinities=[]),
    "affinity": lambda job: job["Affinities"][0].update(RTarget="fra3"),
    "spread-removed": lambda job: job.update(Spreads=[]),
    "port-added": lambda job: _ports(job).append({"Label": "p9", "To": 9}),
    "port-removed": lambda job: _ports(job).pop(),
    "network-removed": lambda job: group_of(job).update(Networks=[], Services=[]),
    "template": lambda job: task_of(job)["Templates"][0].update(EmbeddedTmpl="KEY=other"),
    "template-removed": lambda job: task_of(job).update(Templates=[]),
    "interface": lambda job: job.update(UI={"Description": "Another text"}),
    "interface-removed": lambda job: job.update(UI=None),
    "restart": lambda job: group_of(job)["RestartPolicy"].update(Attempts=7),
    "reschedule": lambda job: group_of(job)["ReschedulePolicy"].update(Delay=31 * SECOND),
    "disconnect": lambda job: group_of(job)["Disconnect"].update(Replace=False),
    "disconnect-removed": lambda job: group_of(job).update(Disconnect=None),
    "data-centers": lambda job: job.update(Datacenters=["a", "b"]),
    "name-and-priority": lambda job: job.update(Priority=70, Name="renamed"),
    "driver": lambda job: task_of(job).update(Driver="exec", User="u", KillTimeout=9 * SECOND),
    "constraint": lambda job: job.update(
        Constraints=[{"LTarget": "a", "RTarget": "b", "Operand": "="}]
    ),
    "task-added": lambda job: group_of(job)["Tasks"].append(
        {
            "Name": "side",
            "Driver": "exec",
            "Config": {"command": "x"},
            "Resources": {"CPU": 1, "MemoryMB": 10},
        }
    ),
    "task-renamed": lambda job: task_of(job).update(Name="other"),
    "group-added": lambda job: job["TaskGroups"].append(
        {
            "Name": "more",
            "Tasks": [{"Name": "x", "Driver": "exec", "Config": {"command": "x"}}],
        }
    ),
    "stop": lambda job: job.update(Stop=True),
}


def _comparable(value: Any) -> Any:
    """Sort what Nomad shows in no particular order."""
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted(
            (_comparable(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True)
        )
    return value


@pytest.mark.parametrize("name", EDITS)
async def test_diff_of_an_edit(nomad: Nomad, name: str) -> None:
    """Without instances, so that only the texts count."""
    job = a_full_job(nomad.name(), count=0) | {"Name": NAME}
    await nomad.register(job)
    edited = deepcopy(job)
    EDITS[name](edited)

    plan = await nomad.plan(edited)

    diff = plan["Diff"]
    assert diff.pop("ID") == job["ID"]
    hold(nomad, f"diff-{name}", _comparable(diff))


async def test_diff_of_a_new_job(nomad: Nomad) -> None:
    plan = await nomad.plan(a_full_job(nomad.name()) | {"Name": NAME})

    diff = plan["Diff"]
    assert diff.pop("ID") == nomad.name()
    assert (plan["JobModifyIndex"], plan["Index"]) == (0, 0)
    hold(nomad, "diff-new-job", _comparable(diff))


@pytest.mark.begins_with(make=a_job)
async def test_plan_changes_nothing(nomad: Nomad) -> None:
    job_id = nomad.first["ID"]
    before = (await nomad.get("/v1/jobs?namespace=*")).index

    plan = await nomad.plan(a_job(job_id, count=5))

    job = await nomad.job(job_id)
    assert job["Version"] == 0
    assert plan["JobModifyIndex"] == plan["Index"] == job["JobModifyIndex"]
    assert (await nomad.get("/v1/jobs?namespace=*")).index == before


def _env(job: Document) -> None:
    task_of(job)["Env"] = {"A": "2"}


def _canary(job: Document) -> None:
    group_of(job)["Update"]["Canary"] = 1
    task_of(job)["Env"] = {"A": "2"}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(lambda job: None, {"InPlaceUpdate": 2}, id="nothing"),
        pytest.param(
            lambda job: job.update(UI={"Description": "x"}), {"InPlaceUpdate": 2}, id="interface"
        ),
        pytest.param(
            lambda job: group_of(job).update(Count=5), {"InPlaceUpdate": 2, "Place": 3}, id="grow"
        ),
        pytest.param(
            lambda job: group_of(job).update(Count=1), {"InPlaceUpdate": 1, "Stop": 1}, id="shrink"
        ),
        pytest.param(_env, {"DestructiveUpdate": 1, "Ignore": 1}, id="env"),
        pytest.param(_canary, {"Canary": 1, "Ignore": 2}, id="canary"),
        pytest.param(lambda job: job.update(Stop=True), {"Stop": 2}, id="stop"),
    ],
)
@pytest.mark.begins_with(make=a_job, count=2)
async def test_plan_counts_what_would_happen(
    nomad: Nomad, edit: Callable[[Document], Any], expected: dict[str, int]
) -> None:
    edited = deepcopy(nomad.first)
    edit(edited)

    plan = await nomad.plan(edited)

    assert plan["Annotations"]["DesiredTGUpdates"]["instances"] == NO_UPDATES | expected
    assert plan["FailedTGAllocs"] is None


def _greedy(job: Document) -> None:
    task_of(job)["Resources"] = {"CPU": 1_000_000, "MemoryMB": 10}


def _forgetful(job: Document) -> None:
    task_of(job)["Resources"] = {"CPU": 10, "MemoryMB": 10_000_000}


def _exotic(job: Document) -> None:
    job["Constraints"] = [{"LTarget": "${attr.cpu.arch}", "RTarget": "z80", "Operand": "="}]


def _driver(job: Document) -> None:
    task_of(job)["Driver"] = "no-such-driver"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(_greedy, ("exhausted", {"cpu"}), id="cpu"),
        pytest.param(_forgetful, ("exhausted", {"memory"}), id="memory"),
        pytest.param(_exotic, ("filtered", {"${attr.cpu.arch} = z80"}), id="constraint"),
        pytest.param(_driver, ("filtered", {"missing drivers"}), id="driver"),
        pytest.param(
            lambda job: job.update(Datacenters=["mars"]), ("unavailable", set()), id="data-center"
        ),
    ],
)
async def test_plan_tells_what_finds_no_place(
    nomad: Nomad, edit: Callable[[Document], Any], reason: tuple[str, set[str]]
) -> None:
    job = a_job(nomad.name(), count=2)
    edit(job)

    failure = (await nomad.plan(job))["FailedTGAllocs"]["instances"]

    nodes = failure["NodesEvaluated"]
    assert failure["CoalescedFailures"] == 1
    kind, names = reason
    exhausted = failure["DimensionExhausted"] or {}
    filtered = failure["ConstraintFiltered"] or {}
    if kind == "unavailable":
        assert (nodes, failure["NodesAvailable"]) == (0, {})
    else:
        assert nodes == failure["NodesInPool"] == sum(failure["NodesAvailable"].values()) > 0
    assert exhausted == (dict.fromkeys(names, nodes) if kind == "exhausted" else {})
    assert filtered == (dict.fromkeys(names, nodes) if kind == "filtered" else {})
    assert failure["NodesExhausted"] == sum(exhausted.values())
    assert failure["NodesFiltered"] == sum(filtered.values())
    hold(nomad, "placement-failure-fields", sorted(failure))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", (400, "Request body is empty"), id="nothing"),
        pytest.param(b"{", (400, "unexpected EOF"), id="half-of-it"),
        pytest.param({"Diff": True}, (400, "Job must be specified"), id="no-job"),
        pytest.param({"Job": a_job("other")}, (400, "Job ID does not match"), id="other-job"),
        pytest.param(
            {"Job": a_job("x", Namespace="nowhere")},
            (500, '1 error occurred:\n\t* job "x" is in nonexistent namespace "nowhere"\n\n'),
            id="namespace",
        ),
    ],
)
async def test_bad_plans_are_worded(nomad: Nomad, body: object, said: tuple[int, str]) -> None:
    assert (await nomad.put("/v1/job/x/plan", body)).said == said
