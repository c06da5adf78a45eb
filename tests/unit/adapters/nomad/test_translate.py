"""Reading Nomad's JSON: documents as Nomad 2.0.6 writes them, and documents of any other shape."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.adapters.nomad import translate
from orrery.adapters.nomad.decoding import UnreadableDocument, readable
from orrery.ports import EventBatch, JobStub, Node, RegionEvent

TRANSLATORS: list[Callable[[Any], Any]] = [
    translate.agent,
    translate.allocations,
    translate.deployments,
    translate.event_batch,
    translate.job,
    translate.job_stubs,
    translate.leader,
    translate.namespace,
    translate.namespaces,
    translate.nodes,
    translate.plan,
    translate.submission,
    translate.variable,
    translate.written,
]


def a_task_event(kind: str, time: int, **fields: Any) -> dict[str, Any]:
    event = {"Type": kind, "Time": time, "DisplayMessage": "", "FailsTask": False, "ExitCode": 0}
    return event | fields


def an_allocation(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    row = {
        "ID": "a1",
        "JobVersion": 2,
        "ClientStatus": "running",
        "DesiredStatus": "run",
        "DeploymentStatus": None,
        "NodeName": "m1",
        "NodeID": "n1",
        "TaskStates": {"app": {"Events": list(events)}},
    }
    return row | fields


def test_job_stub_adds_up_its_groups() -> None:
    one = {"Queued": 1, "Complete": 9, "Failed": 2, "Running": 3, "Starting": 4, "Lost": 5}
    two = {"Queued": 10, "Complete": 0, "Failed": 20, "Running": 30, "Starting": 40, "Lost": 50}
    row = {
        "Namespace": "orrery-t",
        "ID": "shop",
        "JobModifyIndex": 7,
        "Status": "running",
        "Stop": False,
        "Meta": {"k": "v"},
        "JobSummary": {"Summary": {"a": one, "b": two}},
    }

    stubs = translate.job_stubs([row])

    assert stubs == [
        JobStub("orrery-t", "shop", 7, "running", False, {"k": "v"}, 33, 77, 55)  # noqa: FBT003 - order of the port
    ]


def test_job_stub_without_meta_and_summary_is_read() -> None:
    row = {"Namespace": "n", "ID": "x", "JobModifyIndex": 1, "Status": "dead", "Stop": True}

    stub = translate.job_stubs([row | {"JobSummary": None}])[0]

    assert (stub.meta, stub.running, stub.failed, stub.queued) == ({}, 0, 0, 0)


def test_allocation_tells_the_last_event_that_went_wrong() -> None:
    row = an_allocation(
        a_task_event("Driver Failure", 5, DisplayMessage="no such\n image"),
        a_task_event("Terminated", 3, ExitCode=1, DisplayMessage="Exit Code: 1"),
        a_task_event("Started", 9, DisplayMessage="Task started by client"),
        a_task_event("Terminated", 8, DisplayMessage="Exit Code: 0"),
    )

    allocation = translate.allocations([row])[0]

    assert allocation.message == "no such image"
    assert allocation.healthy is None


def test_allocation_tells_the_cause_and_not_what_nomad_made_of_it() -> None:
    failed = a_task_event("Terminated", 3, ExitCode=1, DisplayMessage="Exit Code: 1")
    over = a_task_event("Not Restarting", 4, FailsTask=True, DisplayMessage="no restarts")
    unhealthy = a_task_event("Alloc Unhealthy", 5, DisplayMessage="because of failed task")

    told = [
        translate.allocations([an_allocation(*events)])[0].message
        for events in ([failed], [failed, over], [failed, over, unhealthy], [unhealthy])
    ]

    assert told == ["Exit Code: 1", "Exit Code: 1", "Exit Code: 1", "because of failed task"]


def test_allocation_knows_nomads_verdict() -> None:
    rows = [
        an_allocation(DeploymentStatus={"Healthy": healthy}, TaskStates=None)
        for healthy in (True, False, None)
    ]

    assert [a.healthy for a in translate.allocations(rows)] == [True, False, None]


def test_deployments_come_newest_first() -> None:
    group = {"DesiredTotal": 2, "HealthyAllocs": 1, "UnhealthyAllocs": 1}
    rows = [
        {
            "ID": str(index),
            "JobVersion": index,
            "Status": "running",
            "StatusDescription": "Deployment is running",
            "CreateIndex": index,
            "TaskGroups": {"a": group, "b": group},
        }
        for index in (3, 9, 5)
    ]

    deployments = translate.deployments(rows)

    assert [d.id for d in deployments] == ["9", "5", "3"]
    assert (deployments[0].desired, deployments[0].healthy, deployments[0].unhealthy) == (4, 2, 2)


def test_node_offers_what_is_not_reserved() -> None:
    row = {
        "ID": "n1",
        "Name": "m1",
        "Datacenter": "fra1",
        "Status": "ready",
        "SchedulingEligibility": "eligible",
        "Drain": False,
        "Drivers": {"docker": {"Healthy": True}, "exec": {"Healthy": False}},
        "NodeResources": {"Cpu": {"CpuShares": 5000}, "Memory": {"MemoryMB": 8000}},
        "ReservedResources": {"Cpu": {"CpuShares": 100}, "Memory": {"MemoryMB": 500}},
    }

    draining = row | {"Drain": True, "NodeResources": None}
    node, empty = translate.nodes([row, draining])

    assert node == Node("n1", "m1", "fra1", "ready", True, frozenset({"docker"}), 4900, 7500)  # noqa: FBT003 - order of the port
    assert (empty.eligible, empty.cpu_mhz) == (False, 0)


def test_plan_adds_up_groups_and_keeps_failures_apart() -> None:
    document = {
        "JobModifyIndex": 14,
        "Diff": {"Type": "Edited"},
        "Warnings": "1 warning(s):\n\n* Group has no check",
        "Annotations": {
            "DesiredTGUpdates": {
                "a": {"Place": 1, "DestructiveUpdate": 2, "Ignore": 0, "Disconnect": 7},
                "b": {"Place": 3},
            }
        },
        "FailedTGAllocs": {
            "b": {
                "NodesEvaluated": 4,
                "NodesExhausted": 2,
                "DimensionExhausted": {"memory": 2},
                "ConstraintFiltered": None,
            }
        },
    }

    plan = translate.plan(document)

    assert plan.updates["place"] == 4
    assert plan.updates["destructive"] == 2
    assert plan.failures["b"].dimensions == {"memory": 2}
    assert plan.failures["b"].constraints == {}
    assert plan.warnings == "1 warning(s):; Group has no check"


def test_agent_version_keeps_its_suffixes() -> None:
    version = {"Version": "2.0.6", "VersionPrerelease": "dev", "VersionMetadata": "ent"}

    facts = translate.agent({"config": {"Version": version, "Region": "global"}})

    assert facts.version == "2.0.6-dev+ent"


def test_variable_keeps_its_values_out_of_sight() -> None:
    document = {"Path": "p", "ModifyIndex": 3, "Items": {"password": "hunter2"}}

    variable = translate.variable(document)

    assert variable.items == {"password": "hunter2"}
    assert "hunter2" not in repr(variable)


def test_events_name_their_job() -> None:
    def event(topic: str, kind: str, subject: dict[str, Any], **payload: Any) -> dict[str, Any]:
        return {
            "Topic": topic,
            "Type": kind,
            "Namespace": "t",
            "Payload": {topic: subject, **payload},
        }

    batch = translate.event_batch(
        {
            "Index": 42,
            "Events": [
                event("Job", "JobRegistered", {"ID": "shop", "JobModifyIndex": 42}),
                event("Allocation", "PlanResult", {"JobID": "shop"}),
                event("Deployment", "PlanResult", {"JobID": "shop"}),
                event("Job", "JobDeregistered", {"ID": "shop", "JobModifyIndex": 42}, Deleted=True),
                {"Topic": "Node", "Type": "NodeDrain", "Namespace": "", "Payload": {"Node": {}}},
            ],
        }
    )

    assert batch == EventBatch(
        index=42,
        events=[
            RegionEvent("Job", "JobRegistered", "t", "shop", 42),
            RegionEvent("Allocation", "PlanResult", "t", "shop"),
            RegionEvent("Deployment", "PlanResult", "t", "shop"),
            RegionEvent("Job", "JobDeregistered", "t", "shop"),
            RegionEvent("Node", "NodeDrain", "", ""),
        ],
    )


@pytest.mark.parametrize(
    ("topic", "subject", "is_progress"),
    [
        ("Allocation", {"ClientStatus": "pending", "DesiredStatus": "run"}, True),
        ("Allocation", {"ClientStatus": "running", "DesiredStatus": "run"}, True),
        ("Allocation", {"ClientStatus": "running", "DesiredStatus": "stop"}, False),
        ("Allocation", {"ClientStatus": "complete", "DesiredStatus": "run"}, False),
        ("Allocation", {"ClientStatus": "failed", "DesiredStatus": "run"}, False),
        ("Deployment", {"Status": "running"}, True),
        ("Deployment", {"Status": "successful"}, False),
        ("Deployment", {"Status": "failed"}, False),
        ("Deployment", {"Status": "paused"}, False),
        ("Job", {"Status": "running"}, False),
    ],
)
def test_events_tell_progress_from_ends(
    topic: str,
    subject: dict[str, Any],
    is_progress: bool,  # noqa: FBT001 - a parameter
) -> None:
    event = {"Topic": topic, "Type": "Any", "Payload": {topic: {"JobID": "shop", **subject}}}

    (read,) = translate.event_batch({"Index": 1, "Events": [event]}).events

    assert read.is_progress is is_progress


@pytest.mark.parametrize("healthy", [True, False])
def test_an_instance_whose_health_is_decided_is_no_progress(
    healthy: bool,  # noqa: FBT001 - a parameter
) -> None:
    told = {"DeploymentStatus": {"Healthy": healthy}}
    subject = {"JobID": "shop", "ClientStatus": "running", "DesiredStatus": "run", **told}
    event = {"Topic": "Allocation", "Type": "Any", "Payload": {"Allocation": subject}}

    (read,) = translate.event_batch({"Index": 1, "Events": [event]}).events

    assert not read.is_progress


def test_an_empty_object_is_a_heartbeat() -> None:
    assert translate.event_batch({}) == EventBatch(index=0, events=[])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ID", "Name", "Events", "Index", "Meta", "Items", "Diff", "config"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("translator", TRANSLATORS, ids=lambda t: t.__name__)
@settings(max_examples=40)
@given(document=json_values)
def test_a_document_of_another_shape_is_unreadable_and_nothing_worse(
    translator: Callable[[Any], Any], document: Any
) -> None:
    with suppress(UnreadableDocument):
        readable(orjson.dumps(document), translator)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html></html>", id="html"),
        pytest.param(b'{"Index": 1, "Eve', id="truncated"),
        pytest.param(b"[" * 100_000, id="deep-list"),
        pytest.param(b'{"a":' * 100_000, id="deep-object"),
        pytest.param(b"\xff\xfe", id="not-utf8"),
        pytest.param(b"NaN", id="nan"),
        pytest.param(b'{"Index": 1e999, "Events": [{}]}', id="infinity"),
    ],
)
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        readable(body, translate.event_batch)
