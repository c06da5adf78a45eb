"""What one override for one region costs: counted exactly."""

import asyncio
from dataclasses import dataclass

from benchmarks.fanout.contenders import Contender, quiet, settle
from benchmarks.fanout.figures import api_writes, described
from benchmarks.fanout.lab import Lab
from benchmarks.fanout.workload import deployment

SETTLE_WITHIN = 60.0
QUIET_WITHIN = 60.0
LATE = 2.0
"""Seconds in which a late write would come."""


@dataclass(frozen=True, slots=True)
class Change:
    """The writes after one override was added to a deployment that runs everywhere."""

    region: str
    registers: dict[str, int]
    """By region; only those with any."""
    other_region_writes: int
    hub_writes: dict[str, int]

    @property
    def exact(self) -> bool:
        """Tell whether the one region got exactly one register, and no region anything else."""
        return self.registers == {self.region: 1} and not self.other_region_writes


async def change_one(lab: Lab, orrery: Contender) -> Change:
    """Create a deployment, let it settle, then have one region run two instances."""
    name, region = "override", lab.regions.names[-1]
    await lab.hub.apply(deployment(name))
    await settle(lab, orrery, name, regions=lab.scale.regions, within=SETTLE_WITHIN)
    await asyncio.sleep(LATE)
    await quiet(lab, within=QUIET_WITHIN)
    await lab.regions.forget_counts()
    before = await lab.hub.requests()

    await lab.hub.apply(deployment(name, counts={region: 2}))
    await settle(lab, orrery, name, regions=lab.scale.regions, within=SETTLE_WITHIN)
    await asyncio.sleep(LATE)
    await quiet(lab, within=QUIET_WITHIN)

    requests = await lab.regions.requests()
    registers = {each: counts["PUT /v1/job/:id"] for each, counts in requests.items()}
    hub_writes = api_writes(await lab.hub.requests() - before)
    return Change(
        region=region,
        registers={each: number for each, number in registers.items() if number},
        other_region_writes=(await lab.regions.writes()).total() - sum(registers.values()),
        hub_writes=described(hub_writes),
    )
