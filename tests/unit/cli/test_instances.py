"""What becomes of instances in all, where Nomad's plan shows the first step (seen on 2.0.6)."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.cli.diffs import a_diff, a_field, an_object

from orrery.cli.instances import at_a_time, count_instances
from orrery.ports import Document, PlanResult

NOTHING: Mapping[str, Any] = {"Type": "Edited"}
COUNT = a_diff(group=[a_field("Count", "3", "5")])
NETWORK = a_diff(group=[an_object("Network", a_field("Label", "", "p2", "Added"))])
META = a_diff(job=[a_field("Meta[owner]", "", "somebody", "Added")])
SERVICE = a_diff(group=[an_object("Service", a_field("Tags", "a", "b"))])


def forces(diff: dict[str, Any], what: str = "forces create/destroy update") -> dict[str, Any]:
    """Annotate the task of *diff*, as Nomad does."""
    diff["TaskGroups"][0]["Tasks"][0]["Annotations"] = [what]
    return diff


ENV = forces(a_diff(task=[a_field("Env[A]", "1", "2")]))


def a_job(count: int = 3, *, kind: str = "service", parallel: int | None = 1) -> Document:
    update = {} if parallel is None else {"Update": {"MaxParallel": parallel}}
    return {"Type": kind, "TaskGroups": [{"Name": "instances", "Count": count, **update}]}


def a_plan(diff: Mapping[str, Any] = NOTHING, **updates: int) -> PlanResult:
    return PlanResult(7, diff, updates, {}, "")


@pytest.mark.parametrize(
    ("plan", "job", "expected"),
    [
        pytest.param(
            a_plan(ENV, destructive=1, ignore=2), a_job(), {"destructive": 3}, id="one-by-one"
        ),
        pytest.param(
            a_plan(ENV, destructive=2, ignore=1, stop=1),
            a_job(),
            {"destructive": 3, "stop": 1},
            id="fewer-of-them",
        ),
        pytest.param(
            a_plan(ENV, place=2, ignore=3),
            a_job(5),
            {"place": 2, "destructive": 3},
            id="more-of-them",
        ),
        pytest.param(
            a_plan(NETWORK, place=2, ignore=3),
            a_job(5),
            {"place": 2, "destructive": 3},
            id="another-port-and-more-of-them",
        ),
        pytest.param(
            a_plan(META, place=2, ignore=3),
            a_job(5),
            {"place": 2, "destructive": 3},
            id="a-repaired-stamp-and-more-of-them",
        ),
        pytest.param(
            a_plan(NETWORK, canary=1, ignore=3),
            a_job(),
            {"destructive": 3, "canary": 1},
            id="canary",
        ),
        pytest.param(
            a_plan(ENV, canary=1, ignore=3),
            a_job(5),
            {"place": 2, "destructive": 3, "canary": 1},
            id="canary-and-more-of-them",
        ),
        pytest.param(
            a_plan(ENV, canary=3, ignore=2, place=2, stop=1),
            a_job(2),
            {"stop": 1, "destructive": 2, "canary": 3},
            id="more-canaries-than-instances",
        ),
        pytest.param(
            a_plan(COUNT, place=2, ignore=3), a_job(5), {"place": 2}, id="failed-ones-wait-anyway"
        ),
        pytest.param(
            a_plan(SERVICE, in_place=3), a_job(), {"in_place": 3}, id="nothing-is-replaced"
        ),
        pytest.param(
            a_plan(ENV, in_place=2, destructive=1),
            a_job(),
            {"in_place": 2, "destructive": 1},
            id="back-in-the-middle-of-an-update",
        ),
        pytest.param(
            a_plan(ENV, place=3, ignore=3),
            a_job(kind="batch", parallel=None),
            {"place": 3},
            id="batch-that-ran-to-its-end",
        ),
        pytest.param(
            a_plan(ENV, place=4, destructive=3),
            a_job(1, kind="system"),
            {"place": 1, "destructive": 3},
            id="system-and-a-new-machine",
        ),
        pytest.param(
            a_plan(SERVICE, place=3, in_place=3),
            a_job(1, kind="system"),
            {"in_place": 3},
            id="system-in-place",
        ),
        pytest.param(a_plan(stop=3), a_job(), {"stop": 3}, id="stop"),
        pytest.param(a_plan({"Type": "Added"}, place=3), a_job(), {"place": 3}, id="create"),
    ],
)
def test_instances_are_counted_in_all(
    plan: PlanResult, job: Document, expected: dict[str, int]
) -> None:
    assert dict(count_instances(plan, job)) == expected


@pytest.mark.parametrize(
    ("parallel", "replaced", "expected"),
    [
        pytest.param(1, 3, 1, id="fewer-than-all"),
        pytest.param(3, 3, 0, id="all"),
        pytest.param(0, 3, 0, id="no-limit"),
        pytest.param(None, 3, 0, id="no-updates-in-steps"),
        pytest.param(1, 0, 0, id="none-is-replaced"),
    ],
)
def test_so_many_are_replaced_at_a_time(parallel: int | None, replaced: int, expected: int) -> None:
    assert at_a_time({"destructive": replaced}, a_job(parallel=parallel)) == expected
