"""Tombstones: only the job that the deleted object left is theirs to stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.api.region import Tombstone
from orrery.planning.tombstones import names_job


def a_tombstone(uid: str = "u1", revision: str = "d1", index: int = 11) -> Tombstone:
    return Tombstone(
        namespace="team-a",
        name="shop",
        uid=uid,
        revision=revision,
        index=index,
        time="2026-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    ("uid", "digest", "index", "expected"),
    [
        pytest.param("u1", "d1", 11, True, id="as-it-was-left"),
        pytest.param("u1", "", 0, True, id="by-the-object"),
        pytest.param("u0", "d1", 99, True, id="adopted-and-equal"),
        pytest.param("u0", "d0", 11, True, id="adopted-and-untouched"),
        pytest.param("", "", 11, True, id="without-a-note-and-untouched"),
        pytest.param("u2", "d2", 12, False, id="of-a-later-object"),
        pytest.param("", "", 12, False, id="of-somebody-else"),
    ],
)
def test_names_job(uid: str, digest: str, index: int, expected: bool) -> None:  # noqa: FBT001 - a table
    assert names_job([a_tombstone()], uid=uid, digest=digest, index=index) is expected


def test_one_tombstone_of_several_is_enough_and_none_names_nothing() -> None:
    several = [a_tombstone("u1", "d1", 11), a_tombstone("u2", "d2", 12)]

    assert names_job(several, uid="u2", digest="", index=0)
    assert not names_job([], uid="u2", digest="d2", index=12)


def test_what_is_not_known_names_nothing() -> None:
    unknown = [a_tombstone(uid="", revision="", index=0)]

    assert not names_job(unknown, uid="", digest="", index=0)


@given(
    tombstones=st.lists(
        st.builds(
            a_tombstone,
            st.sampled_from(["u1", "u2"]),
            st.sampled_from(["", "d1"]),
            st.integers(0, 2),
        ),
        max_size=3,
    ),
    index=st.integers(3, 5),
)
def test_a_job_with_nothing_in_common_is_left_alone(
    tombstones: list[Tombstone], index: int
) -> None:
    assert not names_job(tombstones, uid="u3", digest="d3", index=index)
    assert not names_job(tombstones, uid="", digest="", index=index)
