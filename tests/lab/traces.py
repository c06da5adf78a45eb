"""What an operator and a real region said to each other, written down, and said again to another.

Requests of a region pass one at a time, so a trace has one order. What a region does by itself is
in it only as far as reads show it, so a write waits until all that was written before is evaluated:
else it would be chance, and in no trace, whether a job was evaluated before it was replaced.

The event stream is left out: it is told by its own contract (``tests/contract/test_stream.py``),
and says nothing that a read that follows it does not show.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from tests.lab.faultproxy import Exchange, FaultProxy
from tests.lab.faultproxy_journal import Match
from tests.lab.polling import until
from tests.lab.replies import Names, differences, known

from orrery.sim import Machine, SimulatedRegion, Timing, serve

FAITHFUL: Final = Timing(healthy=None, scale=1.0)
HORIZON: Final = 300.0
"""Seconds of a region's own time after which a reply will not come any more."""

_EVALUATIONS: Final = "/v1/evaluations?namespace=*"


@dataclass(frozen=True)
class Step:
    """One request and what was answered."""

    method: str
    target: str
    """Path and query."""
    body: Any
    status: int
    text: str = field(repr=False)
    at_rest: bool = False
    """Whether nothing was under way in the region before."""

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def __str__(self) -> str:
        return f"{self.method} {self.target} -> {self.status}"


@dataclass
class Recorder:
    """Writes down what passes to one region through the proxy, and what people say past it."""

    proxy: FaultProxy
    region: str
    token: str
    steps: list[Step] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self) -> None:
        self.proxy.add(Match(target=self.region, streams=False), self._act)

    async def ask(self, method: str, target: str, body: Any = None) -> Any:
        """Speak to a region at rest as a person does, and return what it answers."""
        url = self.proxy.targets[self.region].upstream + target
        async with self._turn, aiohttp.ClientSession() as session:
            status, text = await call(session, method, url, body, self.token)
            self.steps.append(Step(method, target, body, status, text, at_rest=True))
        assert status == 200, text
        return json.loads(text)

    async def _act(self, exchange: Exchange) -> None:
        request = exchange.request
        async with self._turn:
            if request.method != "GET":
                await until(self._has_evaluated)
            reply = await exchange.forward()
            content = await reply.whole()
            text = content.decode()
            step = Step(request.method, request.target, request.document, reply.status, text)
            self.steps.append(step)
        await exchange.answer(reply.status, reply.headers, content)

    async def _has_evaluated(self) -> bool:
        """Tell whether nothing that was written is still to be evaluated."""
        url = self.proxy.targets[self.region].upstream + _EVALUATIONS
        async with aiohttp.ClientSession() as session:
            status, text = await call(session, "GET", url, None, self.token)
        assert status == 200, text
        return all(row["Status"] != "pending" for row in json.loads(text))


@dataclass
class Moment:
    """A clock that only goes on when told."""

    now: float = 0.0


@dataclass
class Replay:
    """Asks a simulated region what a real one was asked, at the pace of its own clock.

    A write comes when all before it is evaluated, and has to be answered at once as it was. A read
    may show what had not come about yet, so time goes on, from one event of the region to the
    next, until it is answered as it was; it never goes back, so what a read has shown is a lower
    limit for all that follow. Nobody else may do what is due: what came about between a reply and
    the next event would be passed over.
    """

    steps: list[Step]
    region: SimulatedRegion
    token: str
    moment: Moment
    names: Names = field(default_factory=Names)

    @classmethod
    def of(cls, recorder: Recorder) -> "Replay":
        """Prepare a region that has the machines of the recorded one."""
        nodes = next(s for s in recorder.steps if s.path == "/v1/nodes")
        machines = [_machine(row) for row in json.loads(nodes.text)]
        moment = Moment()
        region = SimulatedRegion(
            recorder.region,
            nodes=machines,
            token=recorder.token,
            timing=FAITHFUL,
            clock=lambda: moment.now,
        )
        return cls(recorder.steps, region, recorder.token, moment)

    async def run(self) -> list[str]:
        """Replay everything; return how the replies differ, from the first one that does."""
        async with (
            serve([self.region], keep_time=False) as served,
            aiohttp.ClientSession() as session,
        ):
            address = served.address(self.region.name)
            for number, step in enumerate(self.steps):
                unlike = await self._step(session, address, step)
                if unlike:
                    before = [str(s) for s in self.steps[max(0, number - 5) : number]]
                    return [*before, f"step {number}: {step}", *unlike]
        return self.names.disorder()

    async def _step(self, session: aiohttp.ClientSession, address: str, step: Step) -> list[str]:
        """Ask until the reply is as it was; return the differences of the last one that was not."""
        url = address + self._target(step)
        body = self.names.translated(step.body)
        end = self.moment.now + HORIZON
        while (step.at_rest or (step.writes and not self._has_evaluated())) and self._go_on(end):
            pass
        first: list[str] = []
        while True:
            status, text = await call(session, step.method, url, body, self.token)
            unlike = differences(step.path, (step.status, step.text), (status, text), self.names)
            first = first or unlike
            if not unlike or step.writes or not self._go_on(end):
                return first if unlike else []

    def _has_evaluated(self) -> bool:
        """Tell whether nothing that was written is still to be evaluated."""
        evaluations = self.region.core.tables.evaluations.values()
        return all(evaluation.status != "pending" for evaluation in evaluations)

    def _go_on(self, end: float) -> bool:
        """Let the next thing happen in the region; False when there is none before *end*."""
        timers = self.region.core.timers
        due = timers.due()
        if due is None or due > end:
            return False
        self.moment.now = max(self.moment.now, due)
        timers.run(limit=1)
        return True

    def _target(self, step: Step) -> str:
        """Name in a request what the simulated region calls otherwise."""
        parts = urlsplit(step.target)
        query = [
            (key, str(self.names.index(int(value))) if key == "cas" else value)
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
        return f"{parts.path}?{urlencode(query)}" if query else parts.path


async def call(
    session: aiohttp.ClientSession, method: str, url: str, body: Any, token: str
) -> tuple[int, str]:
    """Send one request; return status and text of the reply."""
    headers = {"X-Nomad-Token": token}
    async with session.request(method, url, json=body, headers=headers) as reply:
        return reply.status, await reply.text()


def unknown(steps: list[Step]) -> list[str]:
    """List the requests whose replies nobody knows how to compare."""
    return sorted({f"{step.method} {step.path}" for step in steps if not known(step.path)})


def _machine(row: dict[str, Any]) -> Machine:
    has = row["NodeResources"]
    drivers = row["Drivers"].items()
    return Machine(
        row["Name"],
        datacenter=row["Datacenter"],
        cpu_mhz=has["Cpu"]["CpuShares"],
        memory_mb=has["Memory"]["MemoryMB"],
        drivers=frozenset(name for name, driver in drivers if driver["Healthy"]),
    )
