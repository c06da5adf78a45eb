"""One actor per region: it watches one Nomad, and its lane does the work there.

One event stream, one full list at connect and every ten minutes or so, one light leader probe
every few seconds, and at most eight calls at a time. A dead or slow region delays nobody else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Protocol

from orrery.engine.lag import Lag
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.errors import OrreryError, Unreachable
from orrery.ports import Clock, EventBatch, Key, RegionEvent, RegionNomad
from orrery.reconcile.checkup import Checkup
from orrery.reconcile.view import RegionView

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Events that are taken before everything else in the process has its turn."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an actor asks, in seconds."""

    probe: float = 5
    """Between two leader probes."""
    misses: int = 3
    """Probes that fail in a row before the region counts as unreachable."""
    relist: float = 600
    """Between two full lists, jittered by a fifth."""
    reconnect: float = 1
    """Before the first attempt to connect again; doubles up to *probe* times two."""
    nodes: float = 5
    """Between two lists of the machines, at least."""
    settle: float = 0.2
    """Wait after an event, so that a burst of them costs one look."""
    patience: float = 2
    """The same after one that tells of mere progress: many more of its kind are to come."""


class Listener(Protocol):
    """Who wants to know what an actor sees."""

    def region_changed(self, region: str) -> None:
        """Hear that the region can be used, no longer can, or cannot for another reason."""

    def machines_changed(self, region: str) -> None:
        """Hear that the region has other machines than before."""

    def region_listed(self, region: str) -> None:
        """Hear that the region's jobs were listed in full."""

    def crashed(self, error: BaseException) -> None:
        """Hear of a bug that ended an actor: the process must not go on half alive."""


class RegionActor:
    """Watches one region's Nomad and keeps a view of it; its *lane* holds the work to do there."""

    def __init__(
        self,
        name: str,
        nomad: RegionNomad,
        *,
        install: str,
        lane: Lane[Key],
        listener: Listener,
        clock: Clock,
        pace: Pace,
        random: Random,
        lag: Lag,
    ) -> None:
        self.name = name
        self.nomad = nomad
        self.lane = lane
        self.view = RegionView(install)
        self.reachable: bool | None = None
        """None until the first answer, or the first verdict that there is none."""
        self.problem: OrreryError | None = None
        """Why the region is not open, when it is not."""
        self.last_seen: float | None = None
        """Wall-clock seconds of the last answer."""
        self.round_trip: float = 0.0
        """Seconds that the last leader probe took which got an answer."""
        self.checkup = Checkup(
            nomad,
            answers=lambda: self.reachable is True,
            changed=lambda: listener.machines_changed(name),
            clock=clock,
            random=random,
        )
        """What is asked for the region's checks alone."""
        self._listener = listener
        self._clock = clock
        self._pace = pace
        self._random = random
        self._lag = lag
        self._misses = 0
        self._missed: OrreryError | None = None
        """Why the last leader probe got no answer."""
        self._blind_since: float | None = None
        self._blind_for: OrreryError | None = None
        """Why the region cannot be watched, since when; None while it is."""
        self._reconnect = pace.reconnect
        self._nodes_stale = False
        self._nodes_listed = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch and to work."""
        self.lane.start()
        self._task = asyncio.create_task(self._run(), name=f"actor {self.name}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop watching, let the calls in flight end, close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.lane.stop()
        await self.nomad.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._listener.crashed(error)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_probing(), name=f"probe {self.name}")
            tasks.create_task(self._keep_watching(), name=f"watch {self.name}")
            tasks.create_task(self.checkup.run(), name=f"checkup {self.name}")

    async def _keep_probing(self) -> None:
        while True:
            asked = self._clock.monotonic()
            try:
                await self.nomad.leader()
            except OrreryError as error:
                self._misses += 1
                self._missed = error
            else:
                self._misses = 0
                self.last_seen = self._clock.now()
                self.round_trip = self._clock.monotonic() - asked
            self._judge()
            await self._clock.sleep(self._pace.probe * self._random.uniform(0.9, 1.1))

    async def _keep_watching(self) -> None:
        while True:
            try:
                await self._watch()
            except OrreryError as error:
                log.debug(error.message, extra={"region": self.name, "reason": error.reason})
                self._blind_since = self._blind_since or self._clock.monotonic()
                self._blind_for = error
                self._judge()
            await self._clock.sleep(self._reconnect * self._random.uniform(0.5, 1.0))
            self._reconnect = min(self._reconnect * 2, self._pace.probe * 2)

    async def _watch(self) -> None:
        """Subscribe first, list then: what happens in between arrives by the stream."""
        await self._greet()
        async with self.nomad.events(index=0) as stream:
            await self._list()
            relisting = asyncio.create_task(self._keep_listing(), name=f"list {self.name}")
            try:
                await self._follow(stream, relisting)
            finally:
                relisting.cancel()
                await asyncio.gather(relisting, return_exceptions=True)

    async def _greet(self) -> None:
        self.view.agent = await self.nomad.agent()

    async def _list(self) -> None:
        self.view.namespaces = set(await self.nomad.list_namespaces())
        self.view.replace(await self.nomad.list_jobs())
        # After the jobs: what the stream told of machines up to the jobs' index is in this list.
        self.view.nodes = await self.nomad.list_nodes()
        self._misses = 0
        self._blind_since = self._blind_for = None
        self._reconnect = self._pace.reconnect
        self.last_seen = self._clock.now()
        self._judge()
        self._listener.region_listed(self.name)

    async def _keep_listing(self) -> None:
        while True:
            await self._clock.sleep(self._pace.relist * self._random.uniform(0.8, 1.2))
            await self._list()

    async def _follow(
        self, stream: AsyncIterator[EventBatch], relisting: asyncio.Task[None]
    ) -> None:
        fresh = True
        async for batch in stream:
            if relisting.done():
                relisting.result()
            if batch.gap and not fresh:
                await self._list()
            fresh = False
            if batch.index and batch.index <= self.view.index:
                continue
            await self._take(batch)
            await self._refresh_nodes()

    async def _refresh_nodes(self) -> None:
        """List the machines after an event about one, though not after each: they come in bursts.

        A heartbeat of the stream brings the last burst home.
        """
        now = self._clock.monotonic()
        if not self._nodes_stale or now - self._nodes_listed < self._pace.nodes:
            return
        self._nodes_stale, self._nodes_listed = False, now
        before, self.view.nodes = self.view.nodes, await self.nomad.list_nodes()
        if tuple(before) != tuple(self.view.nodes):
            self._listener.machines_changed(self.name)

    async def _take(self, batch: EventBatch) -> None:
        for number, event in enumerate(batch.events, start=1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if event.topic == "Node":
                self._nodes_stale = True
                continue
            key = self.view.key(event.namespace, event.job_id)
            if key is None or self.view.knows(key, event):
                continue
            self.lane.add(key, priority=Priority.NEWS, delay=self._delay(key, event))

    def _delay(self, key: Key, event: RegionEvent) -> float:
        """Say how long to gather before a look. What may be somebody's edit is looked at soon."""
        under_way = key in self.view.tried
        if event.topic == "Job" and not under_way:
            return self._pace.settle
        patient = event.is_progress or under_way
        return self._lag.patience + (self._pace.patience if patient else self._pace.settle)

    def _judge(self) -> None:
        """Decide whether the region can be used, and tell when that, or the reason, changed.

        A server that names a leader may still refuse us, or answer nothing else: only a full list
        shows that it can be used.
        """
        before = self.reachable, self.problem
        verdict = self._verdict()
        if verdict is None or self.problem is None or verdict.reason != self.problem.reason:
            self.problem = verdict  # Else the first words stand: which call failed says little.
        if verdict is not None:
            self.reachable = False
        elif self._blind_for is None and self.view.listed:
            self.reachable = True
        if (self.reachable, self.problem) == before:
            return
        if self.reachable:
            self.lane.wake()
        self._listener.region_changed(self.name)

    def _verdict(self) -> OrreryError | None:
        """Say what keeps the region from being used; a short silence does not."""
        blind = self._blind_for
        if blind is not None and not isinstance(blind, Unreachable):
            return blind
        if self._misses >= self._pace.misses:
            return self._missed
        if blind is None:
            return None
        silent = self._clock.monotonic() - (self._blind_since or 0.0)
        first = not self.view.listed
        return blind if first or silent >= self._pace.misses * self._pace.probe else self.problem
