"""The simulator's pure parts: reconcile, stream buffer, reschedule delays, images, diffs."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sim.planet import Planet, a_job

from orrery.sim import Machine
from orrery.sim.access import Access
from orrery.sim.canonical import canonical_job
from orrery.sim.diff import diff_jobs
from orrery.sim.faults import Faults
from orrery.sim.records import Policy, Token
from orrery.sim.reschedule import delay_of
from orrery.sim.routes import route
from orrery.sim.stream import Broker
from orrery.sim.workload import image_tag, seconds

COUNTS = st.integers(min_value=0, max_value=6)
SECOND = 1_000_000_000
SOON = {"Unlimited": True, "Delay": 100 * SECOND, "DelayFunction": "constant"}
VERSIONS = st.lists(
    st.tuples(COUNTS, st.sampled_from(["1", "2", "bad", "flaky"]), st.integers(0, 3)),
    min_size=1,
    max_size=5,
)
REGISTERS = st.tuples(
    st.integers(1, 4),
    st.sampled_from("12"),
    st.sampled_from([None, "best_score", "keep_replacement"]),
)
"""Count, tag, and how an instance that was away is reconciled."""
OUTAGES = st.tuples(st.sampled_from(["one", "two"]), st.booleans(), st.floats(0.01, 2.0))
"""Machine, whether it is heard, and for how many seconds."""


@given(VERSIONS)
def test_any_history_ends_with_the_wanted_instances(history: list[tuple[int, str, int]]) -> None:
    """Whatever was registered in between, a good version ends as it says."""
    planet = Planet()
    for count, tag, canaries in history:
        update = {"Canary": canaries, "AutoPromote": True, "MaxParallel": 2}
        planet.region.register(a_job(image=f"shop/web:{tag}", count=count, Update=update))
        planet.live(0.05)

    planet.region.register(a_job(image="shop/web:3", count=3, Update={"MaxParallel": 2}))
    planet.live(30)

    alive = [row for row in planet.instances() if not row.client_terminal]
    assert sorted(row.position for row in alive) == [0, 1, 2]
    assert {(row.client_status, row.spec is planet.job().spec) for row in alive} == {
        ("running", True)
    }


@given(VERSIONS)
def test_index_only_grows_and_events_follow_it(history: list[tuple[int, str, int]]) -> None:
    planet = Planet()
    seen = [planet.region.index]
    for count, tag, _ in history:
        planet.region.register(a_job(image=f"shop/web:{tag}", count=count))
        planet.live(0.3)
        seen.append(planet.region.index)

    batches = planet.region.broker.after(0)
    indexes = [batch.index for batch in batches]
    assert seen == sorted(seen)
    assert indexes == sorted(indexes)
    assert all(event.index == batch.index for batch in batches for event in batch.events)
    assert max(indexes) <= planet.region.index


@given(VERSIONS)
def test_what_machines_hold_is_what_runs_on_them(history: list[tuple[int, str, int]]) -> None:
    planet = Planet()
    for count, tag, _ in history:
        planet.region.register(a_job(image=f"shop/web:{tag}", count=count))
        planet.live(0.1)
    held = {node: (u.cpu, u.memory) for node, u in planet.region.core.usage.items() if u.cpu}

    planet.region.core.count_usage()

    counted = {node: (u.cpu, u.memory) for node, u in planet.region.core.usage.items() if u.cpu}
    assert held == counted


@given(st.lists(st.one_of(REGISTERS, OUTAGES), min_size=1, max_size=10))
def test_whatever_happened_the_wanted_instances_run_in_the_end(history: list[Any]) -> None:
    planet = Planet(*map(Machine, ("one", "two", "three")))
    for first, second, third in history:
        if isinstance(first, str):
            planet.region.set_node(first, status="ready" if second else "down")
            planet.live(third)
        else:
            disconnect = third and {"LostAfter": 100 * SECOND, "Reconcile": third}
            planet.region.register(
                a_job(
                    image=f"shop/web:{second}",
                    count=first,
                    Disconnect=disconnect,
                    ReschedulePolicy=SOON,
                )
            )
            planet.live(0.05)

    for name in ("one", "two"):
        planet.region.set_node(name)
    planet.region.register(a_job(image="shop/web:3", count=3))
    planet.live(60)

    alive = [a for a in planet.instances() if not a.client_terminal]
    assert sorted((a.position, a.client_status) for a in alive) == [
        (position, "running") for position in range(3)
    ]
    assert {a.spec is planet.job().spec for a in alive} == {True}
    held = {node: (u.cpu, u.memory) for node, u in planet.region.core.usage.items() if u.cpu}
    planet.region.core.count_usage()
    counted = {node: (u.cpu, u.memory) for node, u in planet.region.core.usage.items() if u.cpu}
    assert held == counted


@given(st.lists(st.integers(1, 3), max_size=40), st.integers(1, 20), st.integers(0, 130))
def test_stream_begins_at_the_first_batch_that_is_left(
    steps: list[int], size: int, wanted: int
) -> None:
    broker = Broker(size)
    indexes = [sum(steps[: i + 1]) for i in range(len(steps))]
    for index in indexes:
        broker.publish(index, ())

    shown = [batch.index for batch in broker.after(broker.start(wanted))]

    assert shown == [index for index in indexes[-size:] if index >= wanted]


def test_stream_of_the_future_shows_what_comes_next() -> None:
    broker = Broker(10)
    broker.publish(5, ())
    position = broker.start(1000)

    broker.publish(6, ())

    assert [batch.index for batch in broker.after(position)] == [6]


@pytest.mark.parametrize(
    ("function", "delays"),
    [
        ("constant", [5, 5, 5, 5]),
        ("exponential", [5, 10, 20, 25]),
        ("fibonacci", [5, 5, 10, 15]),
    ],
)
def test_delays_before_a_successor(function: str, delays: list[int]) -> None:
    policy = {"Delay": 5, "DelayFunction": function, "MaxDelay": 25}

    assert [delay_of(policy, attempt) for attempt in range(4)] == delays


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("web", ""),
        ("web:1", "1"),
        ("host:5000/web", ""),
        ("host:5000/a/web:bad", "bad"),
        ("web:flaky@sha256:0", "flaky"),
    ],
)
def test_tag_of_an_image(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_durations_are_read() -> None:
    assert [seconds(text) for text in ("50ms", "1h", "1m30s", "1.5s", "")] == [
        0.05,
        3600,
        90,
        1.5,
        0,
    ]


def test_equal_jobs_do_not_differ() -> None:
    job = canonical_job(a_job())

    diff = diff_jobs(job, deepcopy(job))

    assert diff["Type"] == "None"
    assert (diff["Fields"], diff["Objects"]) == (None, None)


def test_canonical_job_is_its_own_canonical_form() -> None:
    job = canonical_job(a_job(Services=[{"Provider": "nomad", "Name": "web"}]))

    assert canonical_job(job) == job


@pytest.mark.parametrize(
    ("path", "template", "parts"),
    [
        ("/v1/jobs", "/v1/jobs", ()),
        ("/v1/job/shop", "/v1/job/:id", ("shop",)),
        ("/v1/job/shop/plan", "/v1/job/:id/plan", ("shop",)),
        ("/v1/job/a/b/allocations", "/v1/job/:id/allocations", ("a/b",)),
        ("/v1/var/nomad/jobs/shop", "/v1/var/:path", ("nomad/jobs/shop",)),
    ],
)
def test_paths_find_their_templates(path: str, template: str, parts: tuple[str, ...]) -> None:
    found = route(path)

    assert found is not None
    assert found[:2] == (template, parts)


def test_unknown_path_finds_nothing() -> None:
    assert route("/v1/nothing") is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nap": True}, "there is no fault 'nap'"),
        ({"dark": 1}, "fault 'dark' is bool"),
        ({"latency": "long"}, "fault 'latency' is float"),
    ],
)
def test_unknown_faults_are_refused_and_nothing_is_set(values: dict[str, Any], words: str) -> None:
    faults = Faults()

    with pytest.raises(ValueError, match=words):
        faults.change({"hang": True} | values)

    assert faults == Faults()


def test_best_fitting_rule_of_a_policy_decides() -> None:
    rules = {"namespace": {"*": {"policy": "read"}, "team-*": {"capabilities": ["list-jobs"]}}}
    token = Token("a", "s", "t", management=False, policies=("p",), create_index=1, create_time=0)

    access = Access(token, [Policy("p", rules, 1)])

    assert access.may("other", "read-job")
    assert not access.may("team-a", "read-job")
    assert access.may("team-a", "list-jobs")
