"""Probing: when machines are probed again, and what a run has come to on each of them."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.probes import MachineProbe
from orrery.planning.probing import (
    GAP,
    PATIENCE,
    RETRY,
    Output,
    ProbeOrder,
    Run,
    is_readable,
    judge,
    machines_digest,
    medians,
    newer,
    newest,
    read_output,
    run_of,
    seconds_left,
    text_digest,
    to_probe,
)
from orrery.ports import Allocation, Node

HOUR = 3600.0
RUN = Run(begun=10_000.0, digest="d1", asked="", machines="m")
MOMENTS = st.floats(0, 1e9)


def an_order(**fields: Any) -> ProbeOrder:
    whole: dict[str, Any] = {
        "document": {},
        "digest": "d1",
        "nomad_driver": "docker",
        "interval": HOUR,
    }
    return ProbeOrder(**{**whole, **fields})


def a_node(name: str = "m1", **fields: Any) -> Node:
    whole: dict[str, Any] = {
        "id": f"id-{name}",
        "datacenter": "fra1",
        "status": "ready",
        "eligible": True,
        "drivers": frozenset({"docker"}),
        "cpu_mhz": 4000,
        "memory_mb": 8192,
    }
    return Node(name=name, **{**whole, **fields})


def an_allocation(status: str = "complete", **fields: Any) -> Allocation:
    whole: dict[str, Any] = {
        "id": "a1",
        "job_version": 3,
        "desired_status": "run",
        "healthy": None,
        "node": "m1",
        "node_id": "id-m1",
        "started": True,
    }
    return Allocation(client_status=status, **{**whole, **fields})


def left(
    order: ProbeOrder | None = None,
    run: Run | None = RUN,
    *,
    joined: bool = False,
    failed: bool = False,
    after: float = 0.0,
) -> float:
    now = RUN.begun + after
    return seconds_left(order or an_order(), run, joined=joined, failed=failed, now=now)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(left(run=None), 0, id="never-probed"),
        pytest.param(left(), HOUR, id="just-begun"),
        pytest.param(left(after=HOUR - 1), 1, id="nearly-an-interval-ago"),
        pytest.param(left(after=HOUR), 0, id="an-interval-ago"),
        pytest.param(left(an_order(digest="d2")), 0, id="another-image"),
        pytest.param(left(an_order(asked="a")), 0, id="somebody-asks"),
        pytest.param(left(failed=True, after=10), RETRY - 10, id="a-machine-failed"),
        pytest.param(left(joined=True, after=10), GAP - 10, id="a-machine-joined"),
        pytest.param(
            left(an_order(interval=60.0), failed=True), 60, id="the-interval-is-the-longest-pause"
        ),
        pytest.param(left(after=-10), HOUR + 10, id="a-clock-that-lags-a-little"),
        pytest.param(left(after=-100), 0, id="a-clock-that-was-put-back"),
    ],
)
def test_when_machines_are_probed_again(seconds: float, expected: float) -> None:
    assert seconds == expected


def test_a_wish_is_granted_once() -> None:
    order = an_order(asked="a")

    assert left(order, Run(RUN.begun, "d1", "a", "m")) == HOUR


def test_a_wish_that_is_taken_back_asks_for_nothing() -> None:
    assert left(an_order(asked=""), Run(RUN.begun, "d1", "a", "m")) == HOUR


@given(
    begun=MOMENTS,
    now=MOMENTS,
    interval=st.floats(300, 1e6),
    joined=st.booleans(),
    failed=st.booleans(),
)
def test_a_run_that_was_just_begun_is_never_begun_at_once_again(
    *, begun: float, now: float, interval: float, joined: bool, failed: bool
) -> None:
    order, run = an_order(interval=interval), Run(begun, "d1", "", "m")

    wait = seconds_left(order, run, joined=joined, failed=failed, now=now)

    assert 0 <= wait <= interval + 60
    assert seconds_left(order, run, joined=joined, failed=failed, now=begun) >= GAP
    if wait > 0:
        assert seconds_left(order, run, joined=joined, failed=failed, now=now + wait + 1) == 0


@given(st.text(), MOMENTS, st.text(string.hexdigits))
def test_a_run_is_read_back_from_its_job(asked: str, begun: float, digest: str) -> None:
    run = Run(float(int(begun)), digest, text_digest(asked), machines_digest([a_node()]))

    meta = run.meta("orrery")

    assert run_of("orrery", meta) == run
    assert all("${" not in value for value in meta.values())
    assert run_of("other", meta) is None


@pytest.mark.parametrize(
    "meta",
    [{}, {"orrery_install": "orrery"}, {"orrery_install": "orrery", "orrery_probe_begun": "x"}],
)
def test_a_job_without_our_stamp_is_not_ours(meta: dict[str, str]) -> None:
    assert run_of("orrery", meta) is None


def test_machines_that_can_run_it_are_probed() -> None:
    nodes = [
        a_node("m1"),
        a_node("m2", status="down"),
        a_node("m3", eligible=False),
        a_node("m4", drivers=frozenset({"exec"})),
    ]

    assert [node.name for node in to_probe(nodes, "docker")] == ["m1"]


@given(st.permutations(["m1", "m2", "m3"]))
def test_the_same_machines_in_another_order_are_the_same(order: list[str]) -> None:
    assert machines_digest([a_node(n) for n in order]) == machines_digest(
        [a_node("m1"), a_node("m2"), a_node("m3")]
    )


PULL = "Failed to pull `registry.example/orrery:1`: no such host"


@pytest.mark.parametrize(
    ("allocation", "output", "waited", "expected"),
    [
        pytest.param(None, None, 0, ("Pending", "", None), id="not-placed-yet"),
        pytest.param(
            None,
            None,
            PATIENCE + 1,
            ("Failed", "Nomad has not placed the probe on it within 3 minutes", None),
            id="not-placed-for-long",
        ),
        pytest.param(
            an_allocation("pending", started=False), None, 5, ("Pending", "", None), id="pulling"
        ),
        pytest.param(an_allocation("running"), None, 5, ("Pending", "", True), id="running"),
        pytest.param(
            an_allocation("running"),
            None,
            PATIENCE + 1,
            ("Failed", "the probe has not ended within 3 minutes", True),
            id="running-for-long",
        ),
        pytest.param(
            an_allocation("pending", started=False, message=PULL),
            None,
            PATIENCE + 1,
            ("Failed", PULL, False),
            id="pulling-for-long",
        ),
        pytest.param(an_allocation(), Output((0.01,)), 5, ("Passed", "", True), id="complete"),
        pytest.param(
            an_allocation("running"), Output((0.01,)), 5, ("Passed", "", True), id="lingers"
        ),
        pytest.param(
            an_allocation("running"),
            Output((0.01,), "19 of 20 connects to a:1 failed: no answer in time"),
            5,
            ("Pending", "", True),
            id="failed-and-may-be-tried-again",
        ),
        pytest.param(
            an_allocation(),
            Output(error="the probe printed something else than times"),
            5,
            ("Passed", "the probe printed something else than times", True),
            id="complete-without-times",
        ),
        pytest.param(
            an_allocation("failed", started=False, message=PULL),
            None,
            5,
            ("Failed", PULL, False),
            id="not-pulled",
        ),
        pytest.param(
            an_allocation("failed", started=False, message="cgroup: permission denied"),
            None,
            5,
            ("Failed", "cgroup: permission denied", None),
            id="not-started",
        ),
        pytest.param(
            an_allocation("failed", message="Exit Code: 1"),
            Output((), "20 of 20 connects to a:1 failed: connection refused"),
            5,
            ("Failed", "20 of 20 connects to a:1 failed: connection refused", True),
            id="cannot-connect",
        ),
        pytest.param(
            an_allocation("failed", message="Exit Code: 137"),
            Output(),
            5,
            ("Failed", "Exit Code: 137", True),
            id="killed",
        ),
    ],
)
def test_what_a_run_has_come_to(
    allocation: Allocation | None,
    output: Output | None,
    waited: float,
    expected: tuple[str, str, bool | None],
) -> None:
    probe = judge(a_node(), allocation, output, waited=waited)

    assert (probe.outcome, probe.message, probe.pulled) == expected
    assert (probe.node, probe.data_center) == ("m1", "fra1")


@given(st.floats(0, 1e6))
def test_a_machine_without_room_never_fails(waited: float) -> None:
    probe = judge(a_node(), None, None, waited=waited, no_room="1 machine looked at, 1 full")

    assert probe.outcome == "Pending"
    assert probe.message == "the probe finds no place: 1 machine looked at, 1 full"


@given(
    status=st.sampled_from(["pending", "running", "complete", "failed", "lost", "unknown"]),
    started=st.booleans(),
    message=st.text(),
    waited=st.floats(0, 1e6),
    seconds=st.lists(st.floats(0, 10)),
    error=st.text(),
)
def test_only_what_ran_to_its_end_or_printed_times_has_passed_and_every_failure_says_why(
    *, status: str, started: bool, message: str, waited: float, seconds: list[float], error: str
) -> None:
    allocation = an_allocation(status, started=started, message=message)
    output = Output(seconds, error) if is_readable(allocation) else None

    probe = judge(a_node(), allocation, output, waited=waited)

    printed = status == "running" and output is not None and not error
    assert (probe.outcome == "Passed") == (status == "complete" or printed)
    assert probe.message or probe.outcome != "Failed"
    assert probe.outcome != "Pending" or not probe.latencies
    assert waited <= PATIENCE or probe.outcome != "Pending"


def test_the_run_that_counts_is_the_newest_and_a_complete_one() -> None:
    listed = [
        an_allocation("complete", id="old", job_version=2),
        an_allocation("complete", id="done"),
        an_allocation("lost", id="lost"),
    ]

    assert newest(listed, 3)["id-m1"].id == "done"
    assert newest(listed[::-1], 3)["id-m1"].id == "done"


@given(st.lists(st.floats(0, 60), max_size=50), st.text(alphabet=string.printable, max_size=40))
def test_what_the_probe_prints_is_read_back(seconds: list[float], before: str) -> None:
    line = json.dumps({"address": "a:1", "seconds": seconds})

    assert read_output(f"{before}\n{line}\n") == Output(seconds)


@given(st.one_of(st.none(), st.text(), st.binary().map(lambda b: b.decode(errors="replace"))))
def test_what_cannot_be_read_is_told_and_never_raised(text: str | None) -> None:
    output = read_output(text)

    assert output.error or output.seconds == []


@pytest.mark.parametrize(
    "printed",
    ["", "hello", "[]", "{}", '{"seconds": 1}', '{"seconds": ["x"]}', '{"seconds": [[]]}', "null"],
)
def test_something_else_than_times_is_told(printed: str) -> None:
    assert read_output(printed) == Output(error="the probe printed something else than times")


@pytest.mark.parametrize(
    ("before", "text", "over", "expected"),
    [
        pytest.param(None, None, False, None, id="no-log-yet"),
        pytest.param(None, "", False, None, id="nothing-yet"),
        pytest.param(None, '{"seconds": [0.1', False, None, id="half-a-line"),
        pytest.param(None, '{"seconds": [0.1]}\n', False, (0.1,), id="printed"),
        pytest.param((0.2,), '{"seconds": [0.1]}\n', True, (0.1,), id="printed-anew"),
        pytest.param((0.2,), None, True, (0.2,), id="dropped"),
        pytest.param(None, None, True, (), id="dropped-unread"),
        pytest.param((0.2,), "", False, (0.2,), id="not-anew-yet"),
    ],
)
def test_what_was_read_stands_until_there_is_something_newer(
    *,
    before: tuple[float, ...] | None,
    text: str | None,
    over: bool,
    expected: tuple[float, ...] | None,
) -> None:
    known = None if before is None else Output(before)

    found = newer(known, text, over=over)

    assert (None if found is None else tuple(found.seconds)) == expected


def test_times_that_cannot_be_are_left_out() -> None:
    assert read_output('{"seconds": [NaN, -1, Infinity, 0.5]}').seconds == [0.5]


def test_medians_are_told_by_data_center() -> None:
    probes = [
        MachineProbe("m1", "fra1", "Passed", latencies=(0.010, 0.030)),
        MachineProbe("m2", "fra1", "Passed", latencies=(0.020,)),
        MachineProbe("m3", "fra2", "Passed", latencies=(0.050,)),
        MachineProbe("m4", "fra3", "Pending"),
    ]

    assert medians(probes) == {"fra1": 0.020, "fra2": 0.050}
