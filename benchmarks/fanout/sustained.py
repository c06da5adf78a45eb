"""How many registers a second come through when many deployments are applied at once."""

import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.fanout.contenders import Contender, quiet, settle
from benchmarks.fanout.lab import Lab, until
from benchmarks.fanout.workload import raw_body

WITHIN = 1800.0
QUIET_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What it took to register many deployments in all regions, without distance."""

    registers: int
    seconds: float
    """From the first apply to the last register."""
    cpu: float
    """Seconds of CPU time of the client, or the operator, in this time."""
    regions_cpu: float
    """The same of the process that simulates the regions."""
    requests: dict[str, int]
    """To all regions, until all was quiet."""
    hub_requests: dict[str, int]
    slowest_probe: float = 0.0
    """Seconds that the slowest liveness probe took meanwhile."""

    @property
    def rate(self) -> float:
        """Registers per second."""
        return self.registers / self.seconds

    @property
    def cpu_each(self) -> float:
        """Seconds of CPU time per register."""
        return self.cpu / self.registers


async def raw_load(lab: Lab) -> Load:
    """Have the raw client register everything; no operator may be running."""
    await lab.regions.near()
    await lab.regions.make_room_for_raw()
    await lab.raw.warm()
    await lab.regions.forget_counts()
    bodies = [raw_body(f"raw-{number:05}") for number in range(lab.scale.sustained)]
    regions_cpu = lab.regions.process.cpu
    began, cpu = await lab.raw.sustain(bodies)
    last = await lab.regions.registers()
    return Load(
        registers=last.jobs,
        seconds=last.moment - began,
        cpu=cpu,
        regions_cpu=lab.regions.process.cpu - regions_cpu,
        requests=await _requests(lab),
        hub_requests={},
    )


async def load(lab: Lab, contender: Contender) -> Load:
    """Apply many deployments to a contender that has nothing else to do."""
    await lab.regions.near()
    before = await lab.regions.registers()
    await lab.regions.forget_counts()
    hub_before = await lab.hub.requests()
    names = [f"load-{number:05}" for number in range(lab.scale.sustained)]
    documents = [contender.describe(name) for name in names]
    wanted = before.jobs + len(names) * lab.scale.regions
    cpu, regions_cpu = contender.process.cpu, lab.regions.process.cpu
    began = time.time()
    slowest = 0.0
    await lab.hub.create_all(documents)

    async def registered() -> bool:
        nonlocal slowest
        contender.process.require()
        if contender.health:
            slowest = max(slowest, await contender.answers_in(lab.regions.session))
        return (await lab.regions.registers()).jobs >= wanted

    what = f"{contender.name} registered {len(names)} deployments"
    await until(registered, what=what, seconds=WITHIN, pause=0.25)
    cpu, regions_cpu = contender.process.cpu - cpu, lab.regions.process.cpu - regions_cpu
    last = await lab.regions.registers()
    for name in names:
        await settle(lab, contender, name, regions=lab.scale.regions, within=WITHIN)
    await quiet(lab, within=QUIET_WITHIN)
    hub = await lab.hub.requests() - hub_before
    return Load(
        registers=wanted - before.jobs,
        seconds=last.moment - began,
        cpu=cpu,
        regions_cpu=regions_cpu,
        requests=await _requests(lab),
        hub_requests={f"{a.verb} {a.resource}": n for a, n in sorted(hub.items())},
        slowest_probe=slowest,
    )


async def _requests(lab: Lab) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in (await lab.regions.requests()).values():
        total += counts
    return dict(total.most_common())
