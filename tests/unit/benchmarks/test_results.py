"""Results: targets are judged, and only counts fail a run."""

import json
from dataclasses import replace

from benchmarks.fanout.latency import Series
from benchmarks.fanout.override import Change
from benchmarks.fanout.results import MIB, Results, Row
from benchmarks.fanout.scale import SLOWEST_RTT, round_trips
from benchmarks.fanout.standing import Meanwhile, Rest, Restart, Standing
from benchmarks.fanout.sustained import Load
from benchmarks.fanout.table import render

LOAD = Load(registers=100, seconds=2.0, cpu=0.1, regions_cpu=1.0, requests={}, hub_requests={})
REST = Rest(
    deployments=1000,
    seconds=30.0,
    requests=0.2,
    busiest=0.3,
    hub_requests=0.6,
    hub_asked={},
    region_writes=0,
    hub_writes={},
    cpu=0.02,
    resident=140 * MIB,
)
RESTART = Restart(
    deployments=1000,
    ready=3.0,
    steady=8.0,
    cpu=7.0,
    regions_cpu=3.0,
    passes=1000,
    region_writes=0,
    hub_writes={},
)
CHANGE = Change(region="fra", registers={"fra": 1}, other_region_writes=0, hub_writes={})


def results() -> Results:
    """Make the results of a run in which every target held."""
    rounds = [{"fra": 0.020, "par": 0.300}, {"fra": 0.025, "par": 0.310}]
    return Results(
        latency=[Series("Orrery", rounds, rounds)],
        loads={"Orrery": (LOAD, LOAD)},
        change=CHANGE,
        standing=Standing([RESTART], [REST], Meanwhile(1000, [(0.5, 1.2)], registers=1)),
        rtt=round_trips(["fra", "par"]),
    )


def failing(found: Results) -> list[str]:
    return [row.what for row in found.rows if not row.holds]


def violations(found: Results) -> list[Row]:
    return [row for row in found.rows if row.gate and not row.holds]


def test_a_good_run_misses_nothing() -> None:
    assert failing(results()) == []


def test_a_slow_run_misses_targets_and_does_not_fail() -> None:
    found = results()
    late = [{"fra": 1.0, "par": SLOWEST_RTT * 3}]
    found.latency = [Series("Orrery", found.latency[0].raw, late)]
    found.loads = {"Orrery": (LOAD, replace(LOAD, seconds=20.0))}

    assert failing(found) == [
        "apply to registered in all regions, p50",
        "apply to registered in all regions, p99",
        "sustained registers",
    ]
    assert not found.violated


def test_a_part_that_came_to_no_end_fails_the_run() -> None:
    found = results()
    found.failed.append("standing: Orrery has ended")

    assert found.violated
    assert render(found).endswith("standing: Orrery has ended")


def test_a_write_at_rest_fails_the_run() -> None:
    found = results()
    rest = replace(REST, hub_writes={"PATCH regions/status": 1})
    found.standing = Standing([RESTART], [rest], Meanwhile(1000, [], registers=0))

    (row,) = violations(found)

    assert found.violated
    assert row.verdict == "VIOLATED"
    assert row.orrery == "0 to regions, 1 to the hub"


def test_a_second_register_fails_the_run() -> None:
    found = results()
    found.change = replace(CHANGE, registers={"fra": 1, "par": 1})

    (row,) = violations(found)

    assert row.what == "one override for one region, registers"


def test_parts_that_were_left_out_stand_in_no_table() -> None:
    assert Results().rows == []


def test_results_can_be_written_down() -> None:
    found = results()

    text = render(found)
    document = json.loads(json.dumps(found.document()))

    assert "| sustained registers " in text
    assert document["rows"][0]["verdict"] == "holds"
    assert document["standing"]["rests"][0]["requests"] == 0.2
