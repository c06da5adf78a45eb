"""A recording says in which order all went on, and a region that is as the recorded one repeats it.

Here a simulated region is recorded, which does one thing at a time, when it is told to.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from tests.contract.jobs import a_job
from tests.lab.faultproxy import FaultProxy
from tests.lab.polling import until
from tests.lab.traces import FAITHFUL, Moment, Recorder, Replay, call

from orrery.sim import SimulatedRegion, Timing, serve

TOKEN = "c0ffee00-0000-4000-8000-00000000beef"
JOB = "/v1/job/shop"
STATES = ("", "/allocations", "/deployments")


@dataclass
class Recorded:
    """A region behind a recorder. What it does by itself, it does when told."""

    region: SimulatedRegion
    moment: Moment
    recorder: Recorder
    session: aiohttp.ClientSession
    address: str

    async def ask(self, method: str, target: str, body: Any = None) -> Any:
        """Ask as an operator does, through the recorder."""
        status, text = await call(self.session, method, self.address + target, body, TOKEN)
        assert status == 200, text
        return json.loads(text)

    async def register(self, count: int) -> None:
        await self.ask("POST", JOB, {"Job": a_job("shop", count=count)})

    async def look(self) -> None:
        for state in STATES:
            await self.ask("GET", JOB + state)

    def go_on(self) -> bool:
        """Do the next thing that is due within a minute; tell whether there was one."""
        timers = self.region.core.timers
        due = timers.due()
        if due is None or due > self.moment.now + 60:
            return False
        self.moment.now = max(self.moment.now, due)
        timers.run(limit=1)
        return True

    def statuses(self) -> list[str]:
        """List what has become of all evaluations."""
        return [one.status for one in self.region.core.tables.evaluations.values()]


@pytest.fixture
async def recorded() -> AsyncIterator[Recorded]:
    moment = Moment()
    region = SimulatedRegion("fra", token=TOKEN, timing=FAITHFUL, clock=lambda: moment.now)
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serve([region], keep_time=False))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        proxy = FaultProxy()
        stack.push_async_callback(proxy.close)
        target = await proxy.open(region.name, served.address(region.name))
        recorder = Recorder(proxy, region.name, TOKEN)
        recorder.begin()
        made = Recorded(region, moment, recorder, session, target.address)
        await made.ask("GET", "/v1/nodes?resources=true")
        yield made


async def test_a_region_whose_time_others_keep_does_nothing_by_itself() -> None:
    at_once = Timing(evaluate=0)
    region = SimulatedRegion(token=TOKEN, timing=at_once, clock=lambda: 0.0)
    async with serve([region], keep_time=False) as served, aiohttp.ClientSession() as session:
        address = served.address(region.name)
        body = {"Job": a_job("shop")}

        await call(session, "PUT", f"{address}/v1/jobs", body, TOKEN)
        _, text = await call(session, "GET", f"{address}{JOB}/evaluations", None, TOKEN)

    assert [row["Status"] for row in json.loads(text)] == ["pending"]


async def test_every_state_that_a_region_goes_through_is_found_again(recorded: Recorded) -> None:
    for count in (3, 1, 4):
        await recorded.register(count)
        await recorded.look()
        while recorded.go_on():
            await recorded.look()

    assert await Replay.of(recorded.recorder).run() == []


async def test_a_state_that_a_region_does_not_go_through_is_not_found(recorded: Recorded) -> None:
    await recorded.register(1)
    while recorded.go_on():
        pass
    await recorded.look()
    steps = recorded.recorder.steps
    steps[-2] = replace(steps[-2], text=steps[-2].text.replace('"running"', '"failed"', 1))

    found = await Replay.of(recorded.recorder).run()

    assert found[-1].endswith("client_status: 'failed' -> 'running'")


async def test_a_write_waits_until_those_before_are_evaluated(recorded: Recorded) -> None:
    await recorded.register(1)
    second = asyncio.ensure_future(recorded.register(2))
    asked = recorded.region.counters.requests

    await until(lambda: asked["GET", "/v1/evaluations"] >= 2, told=lambda: asked)
    held = recorded.statuses()
    while recorded.go_on():
        pass
    await second

    assert held == ["pending"]
    written = [step.body["Job"]["TaskGroups"][0]["Count"] for step in recorded.recorder.steps[1:]]
    assert written == [1, 2]


async def test_a_write_is_repeated_after_those_before_are_evaluated(recorded: Recorded) -> None:
    """No read tells that version 1 was evaluated before there was version 2."""
    for count in (1, 2, 3):
        await recorded.register(count)
        while "pending" in recorded.statuses():
            assert recorded.go_on()
    await recorded.look()

    assert await Replay.of(recorded.recorder).run() == []
    last = json.loads(recorded.recorder.steps[-1].text)
    assert sorted(row["Status"] for row in last) == ["cancelled", "cancelled", "running"]
