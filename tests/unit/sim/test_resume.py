"""A region that a new process takes up goes on as the old one would have."""

from typing import Any

from orrery.sim.region import SimulatedRegion


def a_job(name: str) -> dict[str, Any]:
    task = {"Name": "app", "Driver": "docker", "Config": {"image": "demo:1"}}
    group = {"Name": "instances", "Count": 2, "Tasks": [task]}
    return {"ID": name, "Name": name, "Type": "service", "TaskGroups": [group]}


def test_ids_drawn_after_a_restart_meet_no_older_record() -> None:
    first = SimulatedRegion("fra")
    first.register(a_job("shop"))
    tables = first.core.tables.copy()
    known = set(tables.evaluations) | set(tables.allocations)

    second = SimulatedRegion("fra")
    second.resume(tables)
    second.register(a_job("other"))

    drawn = set(second.core.tables.evaluations) | set(second.core.tables.allocations)
    assert known < drawn
    assert {e.job_id for e in second.core.tables.evaluations.values()} == {"shop", "other"}
