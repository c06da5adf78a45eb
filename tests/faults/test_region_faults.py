"""Fourteen faults in as many regions, six operations: others are not held up, nothing is doubled.

All faults of one operation hold at the same time, each in a region of its own. Every deployment
runs in one of these and in a region that is well, whose updates are the measure.
"""

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from tests.faults.faults import FAULTS, Begun, Fault
from tests.faults.planet import FULL, FaultPlanet, a_shop, fault_planet
from tests.faults.process import OperatorProcess
from tests.lab.faultproxy_journal import Entry, Match
from tests.lab.planet import is_ready
from tests.lab.polling import until

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

WELL = ("well-1", "well-2")
SLACK = 4.0
"""Seconds that others may take longer than without faults: a machine is busy at times.

Whoever waits in series behind a region that hangs takes 15 seconds longer, behind a slow one 16."""

TEN = ("hang", *WELL, "slow", "drip", "reset", "empty", "refused", "no-leader", "truncated")
"""Ten regions without faults of their own; the first one gets one."""

RTT = 0.2
ROUNDS = 2
AT_ONCE = 5
BUSY = 0.3
"""Seconds that the best of rounds may take longer than another; a call that hangs takes 15."""

RECOVERY = 45.0
LASTS = 3.0
"""Seconds that a fault lasts at least: time for three probes, after which a region is dark."""

IMAGE = {"image": "registry.example/shop:2"}

Act = Callable[[FaultPlanet, "Case"], Awaitable[None]]


@dataclass
class Case:
    """One fault during one operation."""

    operation: str
    fault: Fault
    well: str
    """The region that is measured against."""
    usual: float = 0
    """Seconds that the region that is well took without faults."""
    seconds: float = 0
    """Seconds that it took while others had faults."""
    converged: bool = False
    updates: dict[str, Counter[str]] = field(default_factory=dict)
    blind_writes: list[str] = field(default_factory=list)
    """Writes that were decided on without a read after an unknown outcome."""

    @property
    def region(self) -> str:
        return self.fault.name

    @property
    def name(self) -> str:
        return f"{self.operation}-{self.fault.name}"

    def shop(self, **spec: Any) -> dict[str, Any]:
        return a_shop(self.name, [self.region, self.well], **spec)


async def create(planet: FaultPlanet, case: Case) -> None:
    await planet.apply(case.shop())


async def update(planet: FaultPlanet, case: Case) -> None:
    await planet.apply(case.shop(docker=IMAGE))


async def scale(planet: FaultPlanet, case: Case) -> None:
    await planet.apply(case.shop(scaling={"count": 3}))


async def delete(planet: FaultPlanet, case: Case) -> None:
    await planet.delete(case.name)


async def edit(planet: FaultPlanet, case: Case) -> None:
    for region in (case.region, case.well):
        planet.edit(region, case.name, Count=7)


OPERATIONS: Mapping[str, Act] = {
    "create": create,
    "update": update,
    "scale": scale,
    "delete": delete,
    "observe": edit,
    "stream": edit,
}
"""What is at fault: with create and update all calls from the first write on; with scale and delete
all writes; with observe all calls from the first one about an edit on; with stream the events."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    regions = [*(fault.name for fault in FAULTS), *WELL]
    async with fault_planet(tmp_path_factory.mktemp("planet"), regions) as planet:
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(planet: FaultPlanet) -> AsyncIterator[OperatorProcess]:
    options = ("--no-leader-election", "--probe-seconds", "1")
    async with planet.operator(*options) as operator:
        yield operator


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=OPERATIONS)
async def cases(
    request: pytest.FixtureRequest, planet: FaultPlanet, operator: OperatorProcess
) -> Mapping[str, Case]:
    """Carry out one operation with all faults at once; return what came of it, by fault."""
    name: str = request.param
    made = [Case(name, f, WELL[n % len(WELL)]) for n, f in enumerate(FAULTS)]
    await _rehearse(planet, made, keep=name != "create")
    planet.proxy.journal.begin()
    begun = [await _begin(planet, case) for case in made]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(OPERATIONS[name](planet, case) for case in made))
    await _measure(planet, made, began)
    await _endure(begun)
    await asyncio.gather(*(one.lift() for one in begun))
    await _recover(planet, made)
    return {case.fault.name: case for case in made}


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
async def test_a_fault_of_one_region_is_its_own(fault: str, cases: Mapping[str, Case]) -> None:
    case = cases[fault]

    assert case.seconds <= case.usual + SLACK
    assert case.converged
    assert case.updates[case.region] == case.updates[case.well]
    assert case.updates[case.well].total() == (2 if case.operation == "delete" else 1)
    assert case.blind_writes == []


@pytest.mark.skipif(
    not FULL, reason="it compares times, which a busy machine spoils: make test-faults"
)
async def test_one_bad_region_in_ten_costs_the_others_nothing(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """Rounds with and without it take turns, and the best of each count: a machine is busy."""
    bad, *others = TEN
    hanging = next(fault for fault in FAULTS if fault.name == "hang")
    await planet.until_open(*TEN)
    for region in others:
        planet.region(region).set_faults(latency=RTT)
    usual, beside = [], []

    for number in range(ROUNDS):
        usual.append(await _slowest(planet, f"usual-{number}", others))
        await _come_to_rest(planet, f"usual-{number}")
        begun = await Begun.begin(planet.proxy, hanging, Match(target=bad))
        beside.append(await _slowest(planet, f"beside-{number}", others))
        await begun.lift()
        await _come_to_rest(planet, f"beside-{number}")

    assert min(beside) <= 1.05 * min(usual) + BUSY


async def test_no_bug_was_met(cases: Mapping[str, Case], operator: OperatorProcess) -> None:
    assert operator.alive
    assert "Traceback" not in operator.said
    assert "this is a bug" not in operator.said


async def _slowest(planet: FaultPlanet, name: str, regions: Sequence[str]) -> float:
    """Have some deployments registered; return how long the last one of *regions* took."""
    planet.proxy.journal.begin()
    names = [f"{name}-{n}" for n in range(AT_ONCE)]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(planet.apply(a_shop(name, TEN)) for name in names))
    wanted = {f"{region} register {name}" for region in regions for name in names}
    await until(lambda: planet.proxy.journal.updates().keys() >= wanted, seconds=30)
    registers = [e for e in planet.proxy.journal.of(Match(writes=True)) if e.target in regions]
    return max(e.time for e in registers if e.job in names) - began


async def _come_to_rest(planet: FaultPlanet, name: str) -> None:
    await planet.until_open(*TEN)
    await planet.until_ready(*(f"{name}-{n}" for n in range(AT_ONCE)))
    await planet.until_quiet()


async def _rehearse(planet: FaultPlanet, cases: list[Case], *, keep: bool) -> None:
    """Create the deployments without faults, to know what is usual; others of the same kind."""
    began = asyncio.get_running_loop().time()
    planet.proxy.journal.begin()
    made = cases if keep else [Case("rehearsed", c.fault, c.well) for c in cases]
    await asyncio.gather(*(create(planet, case) for case in made))
    await planet.until_ready(*(case.name for case in made))
    await planet.until_open(*(case.region for case in made), *WELL)
    await planet.until_quiet()
    for case, rehearsed in zip(cases, made, strict=True):
        case.usual = _first(planet, rehearsed, rehearsed.well).time - began


async def _measure(planet: FaultPlanet, cases: list[Case], began: float) -> None:
    """Wait until the regions that are well are done."""
    await until(lambda: all(_updates(planet, case, case.well) for case in cases), seconds=60)
    for case in cases:
        case.seconds = _first(planet, case, case.well).time - began


async def _endure(begun: list[Begun]) -> None:
    """Let the faults last a while, and until each was met."""
    await asyncio.sleep(LASTS)
    await until(lambda: all(one.rule is None or one.rule.hits for one in begun))


async def _begin(planet: FaultPlanet, case: Case) -> Begun:
    begin = functools.partial(Begun.begin, planet.proxy, case.fault)
    job = Match(target=case.region, path=f"/v1/job/{case.name}")
    calls, first_write = replace(job, path="", streams=False), replace(job, writes=True)
    match case.operation:
        case "stream":
            return await begin(Match(target=case.region, streams=True))
        case "observe":
            return await begin(calls, since=job)
        case "scale" | "delete":
            return await begin(replace(calls, writes=True), since=first_write)
        case _:
            return await begin(calls, since=first_write)


async def _recover(planet: FaultPlanet, cases: list[Case]) -> None:
    """Wait until all that can converge has, and look at how."""
    end = asyncio.get_running_loop().time() + RECOVERY
    while not all(case.converged for case in cases) and asyncio.get_running_loop().time() < end:
        found = await planet.deployments()
        for case in cases:
            body = found.get(case.name, {})
            settled = not body if case.operation == "delete" else is_ready(body)
            case.converged = settled and bool(_updates(planet, case, case.region))
        await asyncio.sleep(0.1)
    await planet.until_quiet()
    for case in cases:
        case.updates = {r: _updates(planet, case, r) for r in (case.region, case.well)}
        case.blind_writes = _blind_writes(planet, case)


def _updates(planet: FaultPlanet, case: Case, region: str) -> Counter[str]:
    """Count what was done to the job in a region, by verb."""
    return Counter(e.verb for e in _writes(planet, case, region) if e.applied)


def _writes(planet: FaultPlanet, case: Case, region: str) -> list[Entry]:
    found = planet.proxy.journal.of(Match(target=region, writes=True))
    return [entry for entry in found if entry.job == case.name]


def _first(planet: FaultPlanet, case: Case, region: str) -> Entry:
    return next(entry for entry in _writes(planet, case, region) if entry.applied)


def _blind_writes(planet: FaultPlanet, case: Case) -> list[str]:
    """Find writes whose outcome their sender could not know, and that were not followed by a read.

    A status that says that nothing was done leaves nothing open.
    """
    calls = [e for e in planet.proxy.journal.of(Match(target=case.region)) if e.job == case.name]
    return [
        f"{first}, then {then}"
        for first, then in itertools.pairwise(calls)
        if first.request.writes and first.fault and first.told != 429 and then.request.writes
    ]
