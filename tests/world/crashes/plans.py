"""Which writes go wrong: every single one in every way, and two of them in one run."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

from tests.fakes.mortal import Fate
from tests.world.crashes.runner import Scenario, Trace, trace
from tests.world.crashes.scenarios import SCENARIOS

Plan = Mapping[int, Fate]

FULL = os.environ.get("ORRERY_SWEEP") == "full"
"""Whether to try all pairs, instead of a sample of them."""

LATER = 4
"""Writes after those of a run without faults that may go wrong: a restart makes its own."""

tried: dict[str, int] = {}
"""Plans tried so far, by scenario, for the last lines of a test run."""


def singles(writes: int) -> Iterator[Plan]:
    """Let each of *writes* go wrong in each way."""
    for k, fate in itertools.product(range(1, writes + 1), Fate):
        yield {k: fate}


def pairs(writes: int) -> Iterator[Plan]:
    """Let each two writes go wrong in each way, the second one after a restart perhaps."""
    for first, second in itertools.combinations(range(1, writes + LATER + 1), 2):
        if first <= writes:
            for fates in itertools.product(Fate, Fate):
                yield dict(zip((first, second), fates, strict=True))


def sample(plans: Sequence[Plan], size: int, name: str) -> Sequence[Plan]:
    """Take *size* of *plans*, the same ones in every run."""
    return plans if len(plans) <= size else Random(name).sample(plans, size)


@dataclass(frozen=True)
class Difference:
    """A plan that ends elsewhere than the run without faults, or on another way."""

    plan: Plan
    write: str
    """The first write that went wrong."""
    found: str

    def __str__(self) -> str:
        fates = ", ".join(f"write {k} {fate}" for k, fate in self.plan.items())
        return f"{fates} (first: {self.write})\n    {self.found}"


def differences(scenario: Scenario, plans: Sequence[Plan]) -> list[Difference]:
    """Try *plans* on all cores and tell which do not end as the run without faults does."""
    reference = trace(scenario)
    assert not reference.problems
    tried[scenario.name] = tried.get(scenario.name, 0) + len(plans)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        jobs = [(scenario.name, plan, reference) for plan in plans]
        return [d for d in pool.map(_difference, jobs, chunksize=16) if d is not None]


def _difference(job: tuple[str, Plan, Trace]) -> Difference | None:
    name, plan, reference = job
    (scenario,) = (s for s in SCENARIOS if s.name == name)
    first = min(plan)
    write = reference.writes[first - 1] if first <= len(reference.writes) else "a later one"
    try:
        found = reference.compare(trace(scenario, plan))
    except AssertionError as error:
        found = [str(error)]
    return Difference(plan, write, "\n    ".join(found)) if found else None
