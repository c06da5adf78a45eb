"""Teardown: only what is ours goes, workloads first and the namespace last."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.names import ANNOTATION_OWNER, FIELD_MANAGER, region_labels
from orrery.planning.teardown import WORKLOADS, is_younger, next_step, running, tell_jobs
from orrery.ports import JobStub, ObjectRef

LABELS = region_labels("orrery", "fra")
OURS = [{"manager": FIELD_MANAGER, "operation": "Apply"}]
KINDS = ["StatefulSet", "Deployment", "Job", "CronJob", "Service", "ConfigMap", "NetworkPolicy"]


def an_object(kind: str, name: str, *, ours: bool = True, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "orrery-fra",
            "uid": f"uid-{name}",
            "labels": LABELS if ours else {},
            "managedFields": OURS if ours else [],
            **metadata,
        },
    }


def a_namespace(**metadata: Any) -> dict[str, Any]:
    body = an_object("Namespace", "orrery-fra", **metadata)
    del body["metadata"]["namespace"]
    return body


@given(kinds=st.lists(st.sampled_from(KINDS), max_size=12))
def test_all_goes_in_the_end_and_nothing_before_what_uses_it(kinds: list[str]) -> None:
    content = [an_object(kind, f"o{number}") for number, kind in enumerate(kinds)]
    namespace: dict[str, Any] | None = a_namespace()
    order: list[str] = []
    for _ in range(4):
        step = next_step(namespace, content, LABELS, "")
        assert not step.blocked
        order += [ref.kind for ref in step.going]
        content = [body for body in content if ObjectRef.of(body) not in step.going]
        if ObjectRef("v1", "Namespace", "", "orrery-fra") in step.going:
            namespace = None

    assert namespace is None
    assert order[-1] == "Namespace"
    ranks = [kind not in WORKLOADS for kind in order]
    assert ranks == sorted(ranks)


@given(
    mine=st.lists(st.sampled_from(KINDS), max_size=6),
    theirs=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
)
def test_nothing_goes_while_something_is_somebody_elses(mine: list[str], theirs: list[str]) -> None:
    content = [an_object(kind, f"o{number}") for number, kind in enumerate(mine)]
    content += [an_object(kind, f"x{n}", ours=False) for n, kind in enumerate(theirs)]

    step = next_step(a_namespace(), content, LABELS, "")

    assert not step.going
    assert "not Orrery's" in step.blocked


def test_copied_labels_make_nothing_ours() -> None:
    copied = an_object("ConfigMap", "copy", managedFields=[])

    assert "ConfigMap copy" in next_step(a_namespace(), [copied], LABELS, "").blocked


def test_what_is_in_every_namespace_or_goes_with_its_owner_holds_nothing() -> None:
    content = [
        an_object("ConfigMap", "kube-root-ca.crt", ours=False),
        an_object("ServiceAccount", "default", ours=False),
        an_object("Job", "snapshot-1", ours=False, ownerReferences=[{"uid": "x"}]),
    ]

    assert [ref.kind for ref in next_step(a_namespace(), content, LABELS, "").going] == [
        "Namespace"
    ]


def test_what_is_being_deleted_is_waited_for_and_not_deleted_twice() -> None:
    going = an_object("StatefulSet", "fra-nomad", deletionTimestamp="2026-01-01T00:00:00Z")
    service = an_object("Service", "fra-front-door")

    step = next_step(a_namespace(), [going, service], LABELS, "")

    assert step.waiting == "being deleted: StatefulSet fra-nomad in namespace orrery-fra"
    assert next_step(
        a_namespace(deletionTimestamp="2026-01-01T00:00:00Z"), [service], LABELS, ""
    ).waiting


def test_a_namespace_of_another_owner_is_left_alone() -> None:
    namespace = a_namespace(annotations={ANNOTATION_OWNER: "uid-of-another"})

    assert (
        "belongs to another owner, uid-of-another"
        in next_step(namespace, [], LABELS, "uid-of-ours").blocked
    )
    assert next_step(namespace, [], LABELS, "uid-of-another").going


@pytest.mark.parametrize(
    ("created", "region", "younger"),
    [
        pytest.param("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", True, id="made-for-it"),
        pytest.param("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True, id="same-second"),
        pytest.param("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", False, id="inherited"),
        pytest.param("", "2026-01-02T00:00:00Z", False, id="unknown"),
    ],
)
def test_an_older_namespace_may_hold_jobs(created: str, region: str, *, younger: bool) -> None:
    assert is_younger(a_namespace(creationTimestamp=created), region) is younger
    assert is_younger(None, region)


def a_job(namespace: str, job_id: str, *, status: str = "running", stop: bool = False) -> JobStub:
    return JobStub(namespace, job_id, 1, status, stop, {}, 0, 0, 0)


def test_jobs_that_ended_or_are_stopped_do_not_run() -> None:
    jobs = [
        a_job("b", "two"),
        a_job("a", "batch", status="dead"),
        a_job("a", "left", stop=True),
        a_job("a", "one", status="pending"),
    ]

    assert [job.id for job in running(jobs, install="orrery")] == ["one", "two"]


def test_the_sentence_names_the_first_job_as_its_tenant_does() -> None:
    told = tell_jobs([a_job("orrery-team-a", "shop"), a_job("x", "y")], install="orrery")

    assert "2 jobs run in the region, the first is team-a/shop" in told
