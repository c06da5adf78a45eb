"""Updates of servers: no server that works is taken from a quorum that needs it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.serverupdate import Server, Unasked, UpdateFacts, plan_update, progress
from orrery.ports import AutopilotHealth, ServerHealth

server = st.builds(Server, name=st.just(""), updated=st.booleans(), ready=st.booleans())


@st.composite
def regions(draw: st.DrawFn) -> UpdateFacts:
    """Draw any state that a region's servers may be found in."""
    count = draw(st.sampled_from([1, 3, 5]))
    drawn = draw(st.lists(st.none() | server, min_size=count, max_size=count))
    named = [s and replace(s, name=f"fra-nomad-{number}") for number, s in enumerate(drawn)]
    return UpdateFacts("fra", draw(st.integers(0, count)), named, settled=draw(st.booleans()))


def health(facts: UpdateFacts, unwell: frozenset[int] = frozenset()) -> AutopilotHealth:
    servers = [
        ServerHealth(
            name=f"fra-nomad-{number}.fra",
            leader=number == 0,
            voter=number not in unwell,
            healthy=True,
            stable_since="",
        )
        for number in range(len(facts.servers))
    ]
    return AutopilotHealth(healthy=not unwell, failure_tolerance=1, servers=servers)


def three(*marks: str, partition: int = 3) -> UpdateFacts:
    """Describe three servers: `new`, `old`, `new-down`, `old-down`, `expired` or `none`."""
    servers = [
        None
        if mark == "none"
        else Server(
            f"fra-nomad-{number}",
            updated=mark.startswith("new"),
            ready=not mark.endswith("down"),
            expired=mark == "expired",
        )
        for number, mark in enumerate(marks)
    ]
    return UpdateFacts("fra", partition, servers)


@given(facts=regions(), unwell=st.frozensets(st.integers(0, 4)))
def test_a_working_server_starts_anew_only_while_all_others_are_healthy_voters(
    facts: UpdateFacts, unwell: frozenset[int]
) -> None:
    step = plan_update(facts, health(facts, unwell))

    if step.starts:
        number = int(step.starts.rpartition("-")[2])
        others = {n for n in range(len(facts.servers)) if n != number}
        assert not unwell & others
        assert None not in facts.servers
        assert facts.settled


@given(facts=regions())
def test_no_more_than_one_pending_server_is_let_go(facts: UpdateFacts) -> None:
    steps = [plan_update(facts, health(facts)), plan_update(facts, Unasked("it is dark"))]

    pending = [n for n, s in enumerate(facts.servers) if s is not None and not s.updated]
    for step in steps:
        assert sum(number >= step.partition for number in pending) <= 1


@given(facts=regions())
def test_autopilot_is_never_needed_for_what_is_decided_without_it(facts: UpdateFacts) -> None:
    step = plan_update(facts)

    if step.asks:
        assert plan_update(facts, Unasked("it is dark")).partition == step.partition
    else:
        assert plan_update(facts, health(facts)) == step


@given(count=st.sampled_from([1, 3, 5]), down=st.frozensets(st.integers(0, 4)))
def test_an_update_comes_to_its_end_from_wherever_it_begins(
    count: int, down: frozenset[int]
) -> None:
    servers: list[Server | None] = [
        Server(f"fra-nomad-{n}", updated=False, ready=n not in down or n < count - 1)
        for n in range(count)
    ]
    facts = UpdateFacts("fra", count, servers)

    for _ in range(3 * count):
        facts = replace(facts, partition=plan_update(facts, health(facts)).partition)
        servers = [
            replace(s, updated=True, ready=True) if s and n >= facts.partition else s
            for n, s in enumerate(facts.servers)
        ]
        facts = replace(facts, servers=servers)

    assert facts.partition == 0
    assert progress(facts) == f"updating servers: {count} of {count}"


@pytest.mark.parametrize(
    ("facts", "partition", "waits_for"),
    [
        pytest.param(three("old", "old", "old"), 2, "", id="from-the-highest"),
        pytest.param(three("old", "old", "old-down", partition=3), 2, "", id="mends"),
        pytest.param(three("old", "old", "new-down", partition=2), 2, "not ready", id="comes-back"),
        pytest.param(three("old", "old", "none", partition=2), 2, "no pod", id="is-away"),
        pytest.param(three("old", "old", "new", partition=2), 1, "", id="next"),
        pytest.param(three("old", "old", "new", partition=0), 1, "", id="lowered-by-hand"),
        pytest.param(three("new", "old", "new", partition=3), 1, "", id="goes-by-pods"),
        pytest.param(three("old", "old", "old", partition=2), 2, "starts anew", id="let-go"),
        pytest.param(three("new", "new", "new-down", partition=3), 0, "", id="all-updated"),
    ],
)
def test_where_the_partition_belongs(facts: UpdateFacts, partition: int, waits_for: str) -> None:
    step = plan_update(facts, health(facts))

    assert step.partition == partition
    assert waits_for in step.waits_for
    assert bool(waits_for) == bool(step.waits_for)


@pytest.mark.parametrize(
    ("facts", "partition"),
    [
        pytest.param(three("old", "old", "old"), 3, id="holds"),
        pytest.param(three("expired", "expired", "expired"), 2, id="expired"),
        pytest.param(replace(three("old", "old", "old"), unchecked=True), 2, id="allowed"),
    ],
)
def test_without_autopilot_only_what_has_nothing_to_lose_goes_on(
    facts: UpdateFacts, partition: int
) -> None:
    step = plan_update(facts, Unasked("the front door does not answer"))

    assert step.partition == partition
    assert ("the front door does not answer" in step.waits_for) == (partition == 3)


def test_those_that_autopilot_does_not_count_on_are_named() -> None:
    facts = three("old", "old", "old")

    step = plan_update(facts, health(facts, frozenset({0, 1})))

    assert step.waits_for == (
        "autopilot does not count fra-nomad-0.fra, fra-nomad-1.fra as a healthy voter"
    )
