"""How soon a region's event becomes a look, and what has its turn meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from tests.fakes.clock import LoopClock
from tests.fakes.world import INSTALL, TENANT

from orrery.adapters.memory import MemoryNomad
from orrery.engine.lag import LONGEST, PATIENCE, Lag
from orrery.engine.lane import Lane
from orrery.engine.result import Done, Result
from orrery.ports import Key, Kind, RegionEvent
from orrery.reconcile.actor import AT_ONCE, Pace, RegionActor

pytestmark = pytest.mark.looptime(noop_cycles=0)

PACE = Pace()
SHOP = Key(Kind.GLOBAL_DEPLOYMENT, "team-a", "shop")

EDITED = RegionEvent("Job", "JobRegistered", TENANT, "shop", 7)
STARTED = RegionEvent("Allocation", "AllocationUpdated", TENANT, "shop", None, is_progress=True)
FAILED = RegionEvent("Allocation", "AllocationUpdated", TENANT, "shop", None)


class Nobody:
    """Listens, and does nothing."""

    def region_changed(self, region: str) -> None:
        pass

    def machines_changed(self, region: str) -> None:
        pass

    def region_listed(self, region: str) -> None:
        pass

    def crashed(self, error: BaseException) -> None:
        raise error


@dataclass
class Watched:
    """A region with its actor, whose lane writes down when it looks at what."""

    nomad: MemoryNomad
    actor: RegionActor
    lag: Lag
    looks: list[tuple[str, float]] = field(default_factory=list)

    async def waits(self, event: RegionEvent) -> float:
        """Publish *event*; return the seconds until the look at its job."""
        began = asyncio.get_running_loop().time()
        self.looks.clear()
        self.nomad.announce(event)
        await asyncio.sleep(60)
        ((_, at),) = self.looks
        return at - began


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    clock, nomad, looks = LoopClock(), MemoryNomad("fra"), list[tuple[str, float]]()

    async def look(key: Key) -> Result:
        looks.append((key.name, clock.monotonic()))
        return Done()

    lag = Lag(clock)
    actor = RegionActor(
        "fra",
        nomad,
        install=INSTALL,
        lane=Lane("fra", look, clock=clock),
        listener=Nobody(),
        clock=clock,
        pace=PACE,
        random=Random(1),
        lag=lag,
    )
    actor.start()
    await asyncio.sleep(1)
    yield Watched(nomad, actor, lag, looks)
    await actor.stop()


async def test_a_failure_is_looked_at_soon_and_mere_progress_later() -> None:
    async with watched() as region:
        assert await region.waits(EDITED) == pytest.approx(PACE.settle)
        assert await region.waits(FAILED) == pytest.approx(PACE.settle)
        assert await region.waits(STARTED) == pytest.approx(PACE.patience)


async def test_a_job_that_is_being_registered_is_looked_at_later() -> None:
    async with watched() as region:
        region.actor.view.tried.add(SHOP)

        assert await region.waits(EDITED) == pytest.approx(PACE.patience)
        assert await region.waits(FAILED) == pytest.approx(PACE.patience)


async def test_a_late_loop_delays_all_but_what_may_be_an_edit() -> None:
    async with watched() as region:
        region.lag.seconds = 0.1

        assert await region.waits(EDITED) == pytest.approx(PACE.settle)
        assert await region.waits(FAILED) == pytest.approx(PACE.settle + 0.1 * PATIENCE)
        assert await region.waits(STARTED) == pytest.approx(PACE.patience + 0.1 * PATIENCE)

        region.lag.seconds = 100
        assert await region.waits(FAILED) == pytest.approx(PACE.settle + LONGEST)


async def test_a_flood_of_events_leaves_the_others_their_turns() -> None:
    async with watched() as region:
        last = replace(EDITED, job_id="last")
        region.nomad.announce(*[EDITED] * (AT_ONCE * 20), last)

        turns = 0
        while replace(SHOP, name="last") not in region.actor.lane:
            turns += 1
            await asyncio.sleep(0)
        await asyncio.sleep(60)

        assert turns >= 20
        assert [name for name, _ in region.looks] == ["shop", "last"]
