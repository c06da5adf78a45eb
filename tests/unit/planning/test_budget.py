"""The budget: a few stops are nobody's concern, a mass stop is held as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.budget import FLOOR, allowance, is_allowed, may_stop
from orrery.ports import Key, Kind

NOW = 10_000.0


def keys(number: int, *, start: int = 0) -> list[Key]:
    return [
        Key(Kind.GLOBAL_DEPLOYMENT, "team-a", f"shop-{n:03}") for n in range(start, start + number)
    ]


def may_stop_one_of(
    wanted: list[Key], *, stopped: dict[Key, float] | None = None, jobs: int = 0
) -> bool:
    return may_stop(wanted[0], wanted=wanted, stopped=stopped or {}, jobs=jobs, now=NOW)


@pytest.mark.parametrize(
    ("jobs", "allowed"),
    [
        pytest.param(0, 10, id="none"),
        pytest.param(100, 10, id="the-floor"),
        pytest.param(101, 11, id="a-share-is-rounded-up"),
        pytest.param(200, 20, id="a-tenth"),
        pytest.param(1001, 101, id="of-many"),
    ],
)
def test_allowance(jobs: int, allowed: int) -> None:
    assert allowance(jobs) == allowed


@pytest.mark.parametrize(
    ("wanted", "jobs", "may"),
    [
        pytest.param(FLOOR, 0, True, id="as-many-as-in-any-case"),
        pytest.param(FLOOR + 1, 0, False, id="one-more"),
        pytest.param(FLOOR + 1, 101, True, id="one-more-of-many"),
        pytest.param(FLOOR + 2, 101, False, id="too-many-of-many"),
    ],
)
def test_may_stop(wanted: int, jobs: int, may: bool) -> None:  # noqa: FBT001 - a table
    assert may_stop_one_of(keys(wanted), jobs=jobs) is may


@pytest.mark.parametrize(
    ("age", "may"),
    [
        pytest.param(0.0, False, id="just-now"),
        pytest.param(599.0, False, id="within-the-window"),
        pytest.param(600.0, True, id="at-its-end"),
        pytest.param(601.0, True, id="long-ago"),
    ],
)
def test_a_stop_counts_for_a_while(age: float, may: bool) -> None:  # noqa: FBT001 - a table
    stopped = dict.fromkeys(keys(FLOOR, start=1), NOW - age)

    assert may_stop_one_of(keys(1), stopped=stopped) is may


def test_a_job_that_is_stopped_and_still_wanted_to_be_counts_once() -> None:
    wanted = keys(FLOOR)

    assert may_stop_one_of(wanted, stopped=dict.fromkeys(wanted, NOW))


def test_the_share_is_of_the_jobs_that_there_were_before_the_stops() -> None:
    stopped = dict.fromkeys(keys(10, start=1), NOW)

    assert may_stop_one_of(keys(1), stopped=stopped, jobs=91)
    assert not may_stop_one_of(keys(1), stopped=stopped, jobs=90)


@given(number=st.integers(1, 40), jobs=st.integers(0, 400))
def test_which_of_them_came_first_says_nothing(number: int, jobs: int) -> None:
    wanted = keys(number)

    said = {may_stop(key, wanted=wanted, stopped={}, jobs=jobs, now=NOW) for key in wanted}

    assert said == {number <= allowance(jobs)}


@pytest.mark.parametrize(
    ("annotation", "allowed"),
    [
        pytest.param("1970-01-01T02:46:41Z", True, id="ahead"),
        pytest.param("1970-01-01T02:46:40Z", False, id="now"),
        pytest.param("1970-01-01T02:46:39Z", False, id="past"),
        pytest.param("1970-01-01T04:46:41+02:00", True, id="ahead-elsewhere"),
        pytest.param("2999-01-01T00:00:00", False, id="nobody-knows-where"),
        pytest.param("yes", False, id="no-time"),
        pytest.param("", False, id="empty"),
    ],
)
def test_is_allowed(annotation: str, allowed: bool) -> None:  # noqa: FBT001 - a table
    assert is_allowed(annotation, now=NOW) is allowed
