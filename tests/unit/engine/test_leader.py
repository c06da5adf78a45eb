"""Leader election: one leader at a time, whatever clocks, networks and processes do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.leader import Elector
from orrery.errors import Conflict, Unreachable
from orrery.ports import Lease

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


@dataclass
class SharedLease:
    """A lease as an API server keeps it: every write needs the current version."""

    lease: Lease | None = None
    writes: int = 0
    dark_for: set[str] = field(default_factory=set)
    answers_lost: int = 0

    def view_of(self, candidate: str) -> "View":
        return View(self, candidate)


@dataclass
class View:
    """The lease as one candidate reaches it."""

    shared: SharedLease
    candidate: str

    async def read(self) -> Lease | None:
        self._reach()
        return self.shared.lease

    async def create(self, lease: Lease) -> Lease:
        self._reach()
        if self.shared.lease is not None:
            raise Conflict("Conflict", "exists")
        return self._store(lease)

    async def update(self, lease: Lease) -> Lease:
        self._reach()
        assert self.shared.lease is not None
        if lease.version != self.shared.lease.version:
            raise Conflict("Conflict", "changed")
        return self._store(lease)

    def _reach(self) -> None:
        if self.candidate in self.shared.dark_for:
            raise Unreachable("HubUnreachable", "dark")

    def _store(self, lease: Lease) -> Lease:
        self.shared.writes += 1
        self.shared.lease = replace(lease, version=str(self.shared.writes))
        if self.shared.answers_lost:
            self.shared.answers_lost -= 1
            raise Unreachable("HubUnreachable", "the answer was lost")
        return self.shared.lease


def a_candidate(shared: SharedLease, name: str, clock: LoopClock | None = None) -> Elector:
    return Elector(shared.view_of(name), name, clock=clock or LoopClock(), random=Random(name))


@asynccontextmanager
async def leading(elector: Elector) -> AsyncIterator[asyncio.Event]:
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        lost = await stack.enter_async_context(elector.lead())
        yield lost


async def test_the_first_candidate_leads_at_once() -> None:
    shared = SharedLease()

    async with leading(a_candidate(shared, "a")):
        assert asyncio.get_running_loop().time() == 0
        assert shared.lease is not None
        assert shared.lease.holder == "a"


async def test_a_second_candidate_waits_while_the_first_renews() -> None:
    shared = SharedLease()
    second = asyncio.create_task(a_candidate(shared, "b").lead().__aenter__())

    async with leading(a_candidate(shared, "a")) as lost, asyncio.timeout(None):
        await asyncio.sleep(50)
        assert not lost.is_set()
        assert not second.done()

    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


async def test_a_clean_end_hands_over_within_a_retry() -> None:
    shared = SharedLease()
    async with leading(a_candidate(shared, "a")):
        second = asyncio.create_task(until_leading(a_candidate(shared, "b")))
        await asyncio.sleep(20)
    ended_at = asyncio.get_running_loop().time()

    leading_at = await second

    assert leading_at - ended_at <= 2.4
    assert shared.lease is not None
    assert shared.lease.transitions == 1


async def test_a_dead_leader_is_followed_after_its_lease_has_run_out() -> None:
    shared = SharedLease()
    view = shared.view_of("dead")
    await view.create(Lease("dead", 15, acquired=0, renewed=0))

    leading_at = await until_leading(a_candidate(shared, "b"))

    assert 15 <= leading_at <= 18


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0, 10.0])
async def test_a_wrong_wall_clock_takes_no_lease_from_anybody(skew: float) -> None:
    shared = SharedLease()
    second = asyncio.create_task(until_leading(a_candidate(shared, "b", LoopClock(skew))))

    async with leading(a_candidate(shared, "a")) as lost:
        await asyncio.sleep(50)
        assert not lost.is_set()
        assert not second.done()

    assert await second > 50


async def test_a_leader_that_is_cut_off_steps_down_before_another_can_lead() -> None:
    shared = SharedLease()
    loop = asyncio.get_running_loop()
    async with leading(a_candidate(shared, "a")) as lost:
        second = asyncio.create_task(until_leading(a_candidate(shared, "b")))
        await asyncio.sleep(21)

        shared.dark_for.add("a")
        await lost.wait()
        lost_at = loop.time()

        assert await second > lost_at


async def test_a_short_cut_is_survived() -> None:
    shared = SharedLease()
    async with leading(a_candidate(shared, "a")) as lost:
        for _ in range(3):
            shared.dark_for.add("a")
            await asyncio.sleep(6)
            shared.dark_for.clear()
            await asyncio.sleep(6)

        assert not lost.is_set()


async def test_a_lost_answer_to_a_renewal_is_no_lost_lease() -> None:
    shared = SharedLease()
    async with leading(a_candidate(shared, "a")) as lost:
        shared.answers_lost = 1
        await asyncio.sleep(30)

        assert not lost.is_set()


async def test_a_frozen_leader_knows_on_waking_that_it_leads_no_longer() -> None:
    shared = SharedLease()
    clock = LoopClock()
    async with leading(a_candidate(shared, "a", clock)) as lost:
        second = asyncio.create_task(until_leading(a_candidate(shared, "b")))
        await asyncio.sleep(5)

        clock.frozen_for = 30
        await second
        await lost.wait()

        assert shared.lease is not None
        assert shared.lease.holder != "a"


async def test_a_lost_lease_is_not_released_into_the_hands_of_a_third() -> None:
    shared = SharedLease()
    async with leading(a_candidate(shared, "a")) as lost:
        assert shared.lease is not None
        taken = replace(shared.lease, holder="b", version="b-1")
        shared.lease = taken
        await lost.wait()

    assert shared.lease == taken


async def test_of_two_candidates_for_a_free_lease_one_leads() -> None:
    shared = SharedLease()
    candidates = [
        asyncio.create_task(until_leading(a_candidate(shared, name), stay=20)) for name in "ab"
    ]

    times = sorted(await asyncio.gather(*candidates))

    assert times[0] == 0
    assert times[1] >= 20


async def until_leading(elector: Elector, stay: float = 0.0) -> float:
    """Lead once, for a while, and return since when."""
    async with elector.lead():
        since = asyncio.get_running_loop().time()
        await asyncio.sleep(stay)
    return since
