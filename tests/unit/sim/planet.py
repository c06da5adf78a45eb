"""A simulated region whose time a test moves on, and jobs for it."""

from typing import Any

from orrery.sim import Machine, SimulatedRegion, Timing
from orrery.sim.records import Allocation, Deployment, Job

Document = dict[str, Any]

NEW_YEAR = 1_767_225_600.0


class Planet:
    """One region and its clock."""

    def __init__(self, *machines: Machine, timing: Timing | None = None) -> None:
        self.time = NEW_YEAR
        self.region = SimulatedRegion(
            "fra",
            nodes=machines or [Machine("one"), Machine("two")],
            timing=timing,
            clock=lambda: self.time,
        )

    def live(self, seconds: float) -> None:
        """Let time go by."""
        end = self.time + seconds
        timers = self.region.core.timers
        while (due := timers.due()) is not None and due <= end:
            self.time = max(self.time, due)
            self.region.run_due()
        self.time = end

    def job(self, job_id: str = "shop") -> Job:
        return self.region.core.tables.jobs["default", job_id]

    def instances(self, job_id: str = "shop") -> list[Allocation]:
        rows = self.region.core.tables.allocations.values()
        return [row for row in rows if row.job_id == job_id]

    def running(self, job_id: str = "shop") -> list[Allocation]:
        return [row for row in self.instances(job_id) if row.client_status == "running"]

    def deployments(self, job_id: str = "shop") -> list[Deployment]:
        rows = self.region.core.tables.deployments.values()
        return [row for row in rows if row.job_id == job_id]


def a_job(
    job_id: str = "shop", *, image: str = "shop/web:1", count: int = 1, **fields: Any
) -> Document:
    """A service on docker; *fields* are of its only group."""
    task = {"Name": "app", "Driver": "docker", "Config": {"image": image}}
    group = {"Name": "instances", "Count": count, "Tasks": [task], **fields}
    return {"ID": job_id, "Name": job_id, "TaskGroups": [group]}
