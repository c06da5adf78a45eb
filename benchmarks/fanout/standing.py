"""What deployments cost that nobody touches: at a restart, at rest, and in memory."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.fanout.contenders import Contender, running_orrery, settle, starting_orrery
from benchmarks.fanout.figures import api_writes, described
from benchmarks.fanout.lab import Lab, until
from benchmarks.fanout.process import Ended
from benchmarks.fanout.workload import deployment, register_call, settled_status

STEADY_WITHIN = 1800.0
CHANGE_WITHIN = 120.0
CALM = 5.0
"""Seconds between the end of the work and the idle window."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A start with everything as it was left."""

    deployments: int
    ready: float
    """Seconds from the start of the process to its readiness."""
    steady: float
    """Seconds until nothing is queued any more."""
    cpu: float
    regions_cpu: float
    passes: int
    """How often a deployment was looked at."""
    region_writes: int
    hub_writes: dict[str, int]
    ended: str = ""
    """Its last words, if it ended by itself; it was started again without a lease then."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A while in which nobody does anything."""

    deployments: int
    seconds: float
    requests: float
    """Per second and region."""
    busiest: float
    """Per second, of the region that was asked most."""
    hub_requests: float
    """Per second, the API server's own lease included."""
    hub_asked: dict[str, int]
    region_writes: int
    hub_writes: dict[str, int]
    cpu: float
    """Part of a core that the operator uses."""
    resident: float
    """Bytes that it holds in memory at the end."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A user's changes while the operator starts."""

    deployments: int
    changes: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the process began, and seconds until the region's answer was back."""
    registers: int = 0

    @property
    def worst(self) -> float:
        """Seconds that the slowest change took."""
        return max((took for _, took in self.changes), default=0.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """All of it."""

    restarts: list[Restart]
    rests: list[Rest]
    meanwhile: Meanwhile
    empty: float = 0.0
    """Bytes that the operator holds in memory with all regions open, and no deployment."""


async def standing(lab: Lab) -> Standing:
    """Restart over a growing number of deployments, and let them rest."""
    await lab.clear()
    await lab.regions.distant()
    async with running_orrery(lab) as orrery:
        lab.say("the regions are open")
        await asyncio.sleep(CALM)
        empty = orrery.process.resident
    restarts: list[Restart] = []
    rests: list[Rest] = []
    numbers = sorted({*lab.scale.idle, lab.scale.restart})
    for before, number in zip([0, *numbers], numbers, strict=False):
        lab.say(f"seeding {number} deployments x {lab.scale.regions} regions")
        await _seed(lab, range(before, number))
        ended = ""
        try:
            await _start_and_rest(lab, number, restarts, rests)
        except Ended as error:
            ended = str(error)
            lab.say(f"{ended}\nonce more, without leader election")
            await _start_and_rest(lab, number, restarts, rests, alone=True)
        restarts[-1] = replace(restarts[-1], ended=ended)
    alone = bool(restarts[-1].ended)
    async with starting_orrery(lab, alone=alone) as orrery:
        begins = "probes on" if alone else "this operator leads"
        meanwhile = await _change_meanwhile(lab, orrery, numbers[-1], begins)
    return Standing(restarts, rests, meanwhile, empty)


async def profile_restart(lab: Lab, stats: Path) -> None:
    """Write where Orrery's time goes when it starts over unchanged deployments."""
    await lab.clear()
    await lab.regions.distant()
    async with running_orrery(lab):
        lab.say("the regions are open")
    await _seed(lab, range(lab.scale.restart))
    async with starting_orrery(lab, profile=stats, alone=True) as orrery:
        await _restart(lab, orrery, lab.scale.restart)


async def _start_and_rest(
    lab: Lab, number: int, restarts: list[Restart], rests: list[Rest], *, alone: bool = False
) -> None:
    async with starting_orrery(lab, alone=alone) as orrery:
        restart = await _restart(lab, orrery, number)
        lab.say(f"steady after {restart.steady:.1f} s and {restart.passes:,} passes")
        if number in lab.scale.idle:
            await asyncio.sleep(CALM)
            rests.append(await _rest(lab, orrery, number))
            lab.say(f"at rest: {rests[-1].requests:.3f} requests/s per region")
    restarts.append(restart)


def _name(number: int) -> str:
    return f"standing-{number:05}"


async def _seed(lab: Lab, numbers: range) -> None:
    documents = {_name(number): deployment(_name(number)) for number in numbers}
    indexes = await lab.regions.seed([register_call(each) for each in documents.values()])
    statuses = {
        name: settled_status(document, indexes[name], lab.regions.continents)
        for name, document in documents.items()
    }
    await lab.hub.seed(documents, statuses)


async def _restart(lab: Lab, orrery: Contender, number: int) -> Restart:
    began, regions_cpu = time.monotonic(), lab.regions.process.cpu
    await lab.regions.forget_counts()
    before = await lab.hub.requests()
    await _ready(lab, orrery)
    ready = time.monotonic() - began
    await _steady(lab, orrery)
    steady = time.monotonic() - began
    cpu, regions_cpu = orrery.process.cpu, lab.regions.process.cpu - regions_cpu
    await asyncio.sleep(CALM)  # What comes late counts too.
    return Restart(
        deployments=number,
        ready=ready,
        steady=steady,
        cpu=cpu,
        regions_cpu=regions_cpu,
        passes=await orrery.passes(lab.regions.session),
        region_writes=(await lab.regions.writes()).total(),
        hub_writes=described(api_writes(await lab.hub.requests() - before)),
    )


async def _rest(lab: Lab, orrery: Contender, number: int) -> Rest:
    before, cpu = await lab.hub.requests(), orrery.process.cpu
    await lab.regions.forget_counts()
    began = time.monotonic()
    await asyncio.sleep(lab.scale.idle_seconds)
    counts, asked = await lab.regions.requests(), await lab.hub.requests() - before
    seconds = time.monotonic() - began
    each = [counter.total() / seconds for counter in counts.values()]
    return Rest(
        deployments=number,
        seconds=seconds,
        requests=sum(each) / len(each),
        busiest=max(each),
        hub_requests=asked.total() / seconds,
        hub_asked=described(asked),
        region_writes=(await lab.regions.writes()).total(),
        hub_writes=described(api_writes(asked)),
        cpu=(orrery.process.cpu - cpu) / seconds,
        resident=orrery.process.resident,
    )


async def _change_meanwhile(lab: Lab, orrery: Contender, number: int, begins: str) -> Meanwhile:
    """Change deployments, for one region each, from when the operator says that it *begins*."""
    began = time.monotonic()
    await lab.regions.forget_counts()
    changes: list[tuple[float, float]] = []

    async def has_begun() -> bool:
        return orrery.has_said(begins)

    await until(has_begun, what="Orrery begins", seconds=STEADY_WITHIN, pause=0.02)
    for turn in range(lab.scale.changes):
        offset = time.monotonic() - began
        name = _name(number - 1 - turn)
        took = await _change(lab, name, lab.regions.names[turn % lab.scale.regions])
        changes.append((offset, took))
        lab.say(f"a change {offset:.1f} s after the start took {took:.2f} s")
        await asyncio.sleep(0.5)
    await _ready(lab, orrery)
    await _steady(lab, orrery)
    for turn in range(lab.scale.changes):
        await settle(
            lab,
            orrery,
            _name(number - 1 - turn),
            regions=lab.scale.regions,
            within=CHANGE_WITHIN,
        )
    counts: Counter[str] = await lab.regions.writes()
    return Meanwhile(number, changes, counts.total())


async def _change(lab: Lab, name: str, region: str) -> float:
    before = (await lab.regions.registered(name))[region]
    began = time.time()
    await lab.hub.apply(deployment(name, counts={region: 2}))
    moment = before

    async def registered() -> bool:
        nonlocal moment
        moment = (await lab.regions.registered(name))[region]
        return moment != before

    what = f"{name} is changed in {region}"
    await until(registered, what=what, seconds=CHANGE_WITHIN, pause=0.05)
    return moment + lab.regions.rtt[region] / 2 - began


async def _ready(lab: Lab, orrery: Contender) -> None:
    async def ready() -> bool:
        return await orrery.says_ready(lab.regions.session)

    await until(ready, what="Orrery is ready", seconds=STEADY_WITHIN, pause=0.05)


async def _steady(lab: Lab, orrery: Contender) -> None:
    async def steady() -> bool:
        return await orrery.queued(lab.regions.session) == 0

    await until(steady, what="nothing is queued", seconds=STEADY_WITHIN, pause=1.0)
