"""Opening: step by step, never past a check that does not pass, never back."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.api.base import LabelSelector
from orrery.api.regionopening import (
    CheckName,
    CheckStatus,
    CheckStatusWord,
    Opening,
    OpeningStage,
    OpeningStatus,
)
from orrery.planning.checks import Check, settle
from orrery.planning.opening import Admission, OpeningFacts, admission, advance, share

BEGIN = 1_767_225_600

words: st.SearchStrategy[CheckStatusWord] = st.sampled_from(["Pass", "Fail", "Unknown", "Skipped"])


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(BEGIN + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stage(
    name: str, *, soak: str = "0s", percent: int = 10, approved: bool = False
) -> OpeningStage:
    approval = "Required" if approved else None
    return OpeningStage.model_validate(
        {"name": name, "percent": percent, "soak": soak, "approval": approval}
    )


@st.composite
def openings(draw: st.DrawFn) -> Opening:
    count = draw(st.integers(0, 4))
    stages = [
        stage(
            f"s{number}",
            soak=draw(st.sampled_from(["0s", "1m", "1h"])),
            percent=draw(st.integers(1, 100)),
            approved=draw(st.booleans()),
        )
        for number in range(count)
    ]
    return Opening(mode=draw(st.sampled_from([None, "Automatic", "Manual"])), stages=stages)


def facts(
    opening: Opening,
    status: CheckStatusWord = "Pass",
    *,
    at: float = 0,
    told: Sequence[CheckStatus] = (),
    approved: str = "",
    at_once: bool = False,
    usable: bool = True,
    cordoned: bool = False,
) -> OpeningFacts:
    made = [Check(CheckName.MACHINES_JOINED, status, "none")]
    before = {check.name: check for check in told}
    return OpeningFacts(
        now=moment(at),
        opening=opening,
        checks=made,
        told={check.name: check for check in settle(made, before=before, now=moment(at))},
        usable=usable,
        cordoned=cordoned,
        approved=approved,
        at_once=at_once,
    )


def position(opening: Opening, status: OpeningStatus) -> int:
    if status.opened:
        return len(opening.stages) + 1
    names = [each.name for each in opening.stages]
    return names.index(status.stage) + 1 if status.stage else 0


@given(openings(), st.lists(st.tuples(words, st.sampled_from(["", "s0", "s1", "s2", "everyone"]))))
def test_it_never_goes_back_and_never_past_a_check_that_does_not_pass(
    opening: Opening, looks: list[tuple[CheckStatusWord, str]]
) -> None:
    status, told = OpeningStatus(), list[CheckStatus]()
    for number, (word, approved) in enumerate(looks):
        seen = facts(opening, word, at=number * 1800, told=told, approved=approved)
        told = list(seen.told.values())
        after = advance(status, seen).status

        assert position(opening, after) >= position(opening, status)
        if word in {"Fail", "Unknown"}:
            assert position(opening, after) == position(opening, status)
        status = after


@given(openings())
def test_it_ends_open_when_all_is_well_and_approved(opening: Opening) -> None:
    status, told = OpeningStatus(), list[CheckStatus]()
    for number in range(2 * len(opening.stages) + 2):
        approved = status.waits_for_approval or ""
        seen = facts(opening, at=number * 4000, told=told, approved=approved)
        told = list(seen.told.values())
        status = advance(status, seen).status

    assert status.opened


@given(openings())
def test_the_same_look_again_changes_nothing(opening: Opening) -> None:
    seen = facts(opening)
    once = advance(OpeningStatus(), seen)

    assert advance(once.status, seen).status == once.status


@given(openings(), words)
def test_what_is_open_stays_open(opening: Opening, word: CheckStatusWord) -> None:
    opened = OpeningStatus(opened=moment(0))

    assert advance(opened, facts(opening, word, at=9, usable=False)).status == opened


@given(openings())
def test_open_at_once_skips_everything_but_checks(opening: Opening) -> None:
    assert advance(OpeningStatus(), facts(opening, at_once=True)).status.opened
    assert not advance(OpeningStatus(), facts(opening, "Fail", at_once=True)).status.opened


@pytest.mark.parametrize(
    ("seen", "words_"),
    [
        pytest.param(
            facts(Opening(), "Fail"), "MachinesJoined: none", id="a-check-that-does-not-pass"
        ),
        pytest.param(facts(Opening(), usable=False), "the region to answer", id="a-silent-region"),
        pytest.param(
            facts(Opening(), cordoned=True), "the region to be uncordoned", id="a-cordoned-region"
        ),
        pytest.param(
            facts(Opening(mode="Manual")),
            '"everyone" to be approved: `orrery region approve REGION`',
            id="an-approval",
        ),
        pytest.param(
            facts(Opening(stages=[stage("few", soak="10m")])),
            "stage few to soak until 2026-01-01T00:10:00Z",
            id="a-soak",
        ),
    ],
)
def test_it_says_what_it_waits_for(seen: OpeningFacts, words_: str) -> None:
    assert advance(OpeningStatus(), seen).waits_for == words_


def test_a_check_that_failed_in_between_starts_the_soak_over() -> None:
    opening = Opening(stages=[stage("few", soak="10m")])
    begun = advance(OpeningStatus(), facts(opening)).status
    told = [
        CheckStatus(name=CheckName.MACHINES_JOINED, status="Pass", last_transition_time=moment(500))
    ]

    assert not advance(begun, facts(opening, at=700, told=told)).status.opened
    assert advance(begun, facts(opening, at=1100, told=told)).status.opened


def test_an_approval_of_another_step_counts_for_nothing() -> None:
    opening = Opening(stages=[stage("one"), stage("two", approved=True)])

    after = advance(OpeningStatus(), facts(opening, approved="one"))

    assert after.status.stage == "one"
    assert after.status.waits_for_approval == "two"


@given(st.text(max_size=63), openings())
def test_each_step_admits_whom_those_before_did(namespace: str, opening: Opening) -> None:
    admitted = [
        admission(OpeningStatus(stage=each.name), opening, cordoned=False, namespaces={}).admits(
            namespace
        )
        for each in opening.stages
    ]

    assert admitted == sorted(admitted)


@given(st.text(max_size=63))
def test_a_share_is_the_same_for_ever_and_within_bounds(namespace: str) -> None:
    assert 0 <= share(namespace) <= 99
    assert share(namespace) == share(namespace)


def test_shares_are_spread_evenly_and_pinned() -> None:
    shares = [share(f"team-{number}") for number in range(2000)]

    assert 400 < sum(each < 25 for each in shares) < 600
    assert (share("team-a"), share("default")) == (56, 49)


def test_a_selector_admits_by_the_labels_of_the_namespace() -> None:
    selector = LabelSelector(match_labels={"cohort": "internal"})
    opening = Opening(stages=[OpeningStage(name="internal", namespace_selector=selector)])

    seen = admission(
        OpeningStatus(stage="internal"),
        opening,
        cordoned=False,
        namespaces={"ours": {"cohort": "internal"}, "theirs": {}},
    )

    assert seen.admits("ours")
    assert not seen.admits("theirs")
    assert not seen.admits("unheard-of")


@pytest.mark.parametrize(
    ("status", "cordoned", "everyone"),
    [
        (None, False, True),
        (OpeningStatus(opened=moment(0)), False, True),
        (OpeningStatus(), False, False),
        (None, True, False),
        (OpeningStatus(opened=moment(0)), True, False),
    ],
)
def test_who_is_admitted(status: OpeningStatus | None, *, cordoned: bool, everyone: bool) -> None:
    found: Admission = admission(status, None, cordoned=cordoned, namespaces={})

    assert found.admits("team-a") is everyone
