"""A simulated region's state on disk: what is read is what was written, and jobs stay the same."""

from typing import Any

from orrery.playground.simulator import dump, load
from orrery.sim.region import SimulatedRegion

JOB: dict[str, Any] = {
    "ID": "shop",
    "Name": "shop",
    "Datacenters": ["*"],
    "TaskGroups": [
        {
            "Name": "instances",
            "Count": 2,
            "Tasks": [{"Name": "app", "Driver": "docker", "Config": {"image": "shop:1"}}],
        }
    ],
}


def test_a_region_goes_on_where_it_was() -> None:
    before = SimulatedRegion("fra", token="secret")
    before.register(JOB)
    before.run_due()
    after = SimulatedRegion("fra", token="secret")

    after.resume(load(dump(before.core.tables)))

    assert after.index == before.index
    assert after.list_jobs() == before.list_jobs()
    assert after.core.tables.allocations == before.core.tables.allocations


def test_the_same_job_is_still_the_same_after_a_restart() -> None:
    before = SimulatedRegion("fra")
    first = before.register(JOB)
    after = SimulatedRegion("fra")
    after.resume(load(dump(before.core.tables)))

    again = after.register(JOB)

    assert again.version == first.version
