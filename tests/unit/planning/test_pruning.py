"""Pruning: what is not wanted goes, but never so much that it must be a mistake."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.manifests import a_manifest

from orrery.planning.pruning import KEPT, PRUNED, prune
from orrery.ports import ObjectRef


def live(count: int, kind: str = "ConfigMap") -> list[dict[str, Any]]:
    bodies = [a_manifest(kind, f"object-{number:03}") for number in range(count)]
    for number, body in enumerate(bodies):
        body["metadata"]["uid"] = f"uid-{number}"
    return bodies


def refs(bodies: list[dict[str, Any]]) -> list[ObjectRef]:
    return [ObjectRef.of(body) for body in bodies]


@given(count=st.integers(0, 60), unwanted=st.sets(st.integers(0, 59)))
def test_a_namespace_is_never_emptied(count: int, unwanted: set[int]) -> None:
    bodies = live(count)
    wanted = [ref for number, ref in enumerate(refs(bodies)) if number not in unwanted]

    found = prune(bodies, wanted)

    gone = {ref for ref in refs(bodies) if ref not in wanted}
    assert len(found.going) <= max(3, count // 5)
    assert found.going.keys() | set(found.held) == gone
    assert not (found.going and found.held)
    assert count == 0 or len(found.going) < count


def test_what_is_not_wanted_goes_by_its_uid() -> None:
    bodies = live(10)

    found = prune(bodies, refs(bodies)[1:])

    assert found.going == {ObjectRef.of(bodies[0]): "uid-0"}
    assert not found.held


@pytest.mark.parametrize(("count", "gone"), [(10, 3), (20, 4), (100, 20)])
def test_a_fifth_may_go_at_once_and_three_in_any_case(count: int, gone: int) -> None:
    bodies = live(count)

    assert len(prune(bodies, refs(bodies)[gone:]).going) == gone
    assert len(prune(bodies, refs(bodies)[gone + 1 :]).held) == gone + 1


def test_another_limit_may_be_given() -> None:
    bodies = live(10)

    assert len(prune(bodies, refs(bodies)[5:], limit=5).going) == 5
    assert len(prune(bodies, refs(bodies)[1:], limit=0).held) == 1


@pytest.mark.parametrize("kind", ["Secret", "Namespace"])
def test_what_cannot_be_made_anew_is_never_deleted(kind: str) -> None:
    found = prune([*live(5), *live(2, kind)], refs(live(5)))

    assert not found.going
    assert not found.held


@pytest.mark.parametrize(
    "metadata",
    [{"ownerReferences": [{"uid": "owner"}]}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}],
)
def test_what_goes_by_itself_is_left_alone(metadata: dict[str, Any]) -> None:
    bodies = live(5)
    bodies[0]["metadata"] |= metadata

    found = prune(bodies, refs(bodies)[1:])

    assert not found.going
    assert not found.held


def test_no_kind_that_is_kept_is_looked_through() -> None:
    assert not {kind for _, kind in PRUNED} & (KEPT | {"Pod"})
    assert ("apps/v1", "StatefulSet") in PRUNED


def test_what_is_of_a_retired_component_does_not_count() -> None:
    bodies = live(20)
    for body in bodies[:12]:
        body["metadata"]["labels"] = {"app.kubernetes.io/name": "kuma"}

    found = prune(bodies, refs(bodies[12:]), retired={"kuma"})

    assert sorted(found.going) == sorted(refs(bodies[:12]))
    assert found.held == ()


def test_a_retired_component_takes_nothing_else_along() -> None:
    bodies = live(20)
    bodies[0]["metadata"]["labels"] = {"app.kubernetes.io/name": "kuma"}

    found = prune(bodies, refs(bodies[12:]), retired={"kuma"})

    assert found.going == {}
    assert len(found.held) == 12
