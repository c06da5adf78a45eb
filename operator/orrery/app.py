"""The composition root: the only place where adapters are made and handed to reconcilers."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any, Protocol
from uuid import uuid4

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import (
    HubConnection,
    HubSource,
    KubeClusterFactory,
    KubeHub,
    KubeHubRights,
    KubeLeases,
)
from orrery.adapters.nomad import NomadClientFactory
from orrery.adapters.pki import CryptographyPki
from orrery.config import Config
from orrery.engine.leader import Elector
from orrery.engine.watchdog import Watchdog
from orrery.errors import InvalidSpec, OrreryError
from orrery.handlers.watch import Watch, WatchEnded
from orrery.ownrights import OwnRights
from orrery.ports import Clock, Hub, Kind, LeaseStore
from orrery.probes import serve_metrics, serve_probes
from orrery.reconcile.controller import Controller
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

WATCH_SILENCE = 600.0
"""Seconds without a sign of life of a watch after which this process is to be replaced."""

RESTART_PAUSE = 1.0
LONGEST_RESTART_PAUSE = 30.0
"""Between two starts of the watches; doubles up to the second."""

STOP_WITHIN = 20.0
"""Seconds for a clean end; below the 30 that Kubernetes gives."""

OK = 0
FAILED = 1


class Reconciling(Protocol):
    """What the operator runs: `orrery.reconcile.controller.Controller`, or less in a test."""

    failed: asyncio.Future[None]
    """Gets the exception of a bug that ended a part of it."""

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Take note of what the hub's watch tells; may come at any time."""

    async def start(self) -> None:
        """Begin to work."""

    async def stop(self) -> None:
        """Stop working; let the calls in flight end."""

    @property
    def ready(self) -> bool:
        """Whether everything was looked at once."""


async def run(config: Config) -> int:
    """Run an operator until it is told to stop; returns the exit status of the process."""
    clock, telemetry = SystemClock(), Telemetry()
    identity = f"{socket.gethostname()}_{uuid4().hex[:8]}"
    source = HubSource(config.kubeconfig, config.context)
    try:
        await source.load()
    except InvalidSpec as error:
        log.critical("cannot start: %s", error.message, extra={"reason": error.reason})
        return FAILED
    async with HubConnection(source) as connection:
        hub = KubeHub(connection, clock=clock, telemetry=telemetry, instance=identity)
        leases = KubeLeases(connection, config.namespace, config.lease, telemetry=telemetry)
        controller = Controller(
            hub=hub,
            nomad=NomadClientFactory(),
            clusters=KubeClusterFactory(source),
            pki=CryptographyPki(),
            clock=clock,
            config=config,
            telemetry=telemetry,
        )
        operator = Operator(
            config,
            source=source,
            hub=hub,
            leases=leases,
            rights=OwnRights(KubeHubRights(connection, config.namespace), clock),
            controller=controller,
            clock=clock,
            telemetry=telemetry,
            identity=identity,
        )
        return await operator.run()


class ServedHub(Hub, Protocol):
    """A hub that can be asked whether it serves our kinds."""

    async def require_kinds(self) -> None:
        """Look whether all kinds can be listed. Raises when they cannot."""


class Operator:
    """One process: watches, endpoints, leadership, and the controller while it leads."""

    def __init__(
        self,
        config: Config,
        *,
        source: HubSource,
        hub: ServedHub,
        leases: LeaseStore,
        rights: OwnRights,
        controller: Reconciling,
        clock: Clock,
        telemetry: Telemetry,
        identity: str,
    ) -> None:
        self._config = config
        self._source = source
        self._hub = hub
        self._rights = rights
        self._controller = controller
        self._clock = clock
        self._telemetry = telemetry
        self._random = Random()  # noqa: S311 - jitter, nothing secret
        self._elector = Elector(leases, identity, clock=clock, random=self._random)
        self._watchdog = Watchdog(clock)
        self._stop = asyncio.Event()
        self._listed: set[Kind] = set()
        self._leading = False
        self.health_port = 0
        self.metrics_port = 0

    def stop(self) -> None:
        """Ask for a clean end."""
        self._stop.set()

    async def run(self) -> int:
        """Run until told to stop, or until something that is needed has failed."""
        async with AsyncExitStack() as stack:
            stack.enter_context(_signals_to(self.stop))
            await self._serve(stack)
            for kind in Kind:
                self._watchdog.expect(_watch_name(kind), within=WATCH_SILENCE)
            watching = asyncio.create_task(self._keep_watching(), name="watches")
            working = asyncio.create_task(self._work(), name="work")
            looking = asyncio.create_task(self._rights.keep_looking(), name="rights")
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            tasks: list[asyncio.Task[Any]] = [watching, working, looking, stopping]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping")
            return await _end(tasks, OK if stopping.done() else FAILED)

    async def _serve(self, stack: AsyncExitStack) -> None:
        config = self._config
        probes = serve_probes(
            config.health_address,
            config.health_port,
            alive=self._watchdog.problems,
            ready=self._missing,
        )
        metrics = serve_metrics(config.metrics_address, config.metrics_port, self._telemetry)
        self.health_port = await stack.enter_async_context(probes)
        self.metrics_port = await stack.enter_async_context(metrics)
        log.info("probes on port %s, metrics on port %s", self.health_port, self.metrics_port)

    async def _work(self) -> None:
        """Wait for the lease, then reconcile; returns when that cannot go on."""
        if not self._config.leader_election:
            await self._reconcile(asyncio.Event())
            return
        async with self._elector.lead() as lost:
            await self._reconcile(lost)

    async def _reconcile(self, lost: asyncio.Event) -> None:
        self._leading = True
        self._telemetry.leading(is_leader=True)
        losing = asyncio.create_task(lost.wait(), name="lease lost")
        controlling = asyncio.create_task(self._control(), name="controller")
        tasks: list[asyncio.Task[Any]] = [losing, controlling]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if controlling.done():
                controlling.result()
        finally:
            self._leading = False
            self._telemetry.leading(is_leader=False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._controller.stop()

    async def _control(self) -> None:
        """Start the controller; returns when a part of it has failed, which it has logged."""
        await self._start_controller()
        await asyncio.wait([self._controller.failed])

    async def _start_controller(self) -> None:
        """Start it when the hub answers; until then there is nothing to do."""
        pause = RESTART_PAUSE
        while True:
            try:
                await self._hub.require_kinds()
                await self._controller.start()
            except OrreryError as error:
                log.error("cannot start: %s", error.message, extra={"reason": error.reason})  # noqa: TRY400 - a sentence for users, no bug
                await self._clock.sleep(pause * self._random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_RESTART_PAUSE)
            else:
                log.info("reconciling")
                return

    async def _keep_watching(self) -> None:
        """Watch for ever, starting anew when the watches end."""
        pause = RESTART_PAUSE
        while True:
            began = self._clock.monotonic()
            try:
                await self._hub.require_kinds()
                await self._watch()
            except OrreryError as error:
                log.warning("not watching: %s", error.message, extra={"reason": error.reason})
            except WatchEnded as error:
                log.warning("the watches ended and are started anew: %s", error)
                self._telemetry.watch_restarted()
            if self._clock.monotonic() - began > LONGEST_RESTART_PAUSE:
                pause = RESTART_PAUSE
            await self._clock.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_RESTART_PAUSE)

    async def _watch(self) -> None:
        await Watch(
            self._source.load, self._controller, alive=self._saw, loop_factory=loop_factory()
        ).run()

    def _saw(self, kind: Kind) -> None:
        self._listed.add(kind)
        self._watchdog.saw(_watch_name(kind))
        self._telemetry.watch_seen(kind, self._clock.now())

    def _missing(self) -> list[str]:
        """Say what keeps this process from being ready. A candidate that does not lead is."""
        unlisted = sorted(set(Kind) - self._listed)
        missing = [f"{kind} is not listed yet" for kind in unlisted]
        if self._leading and not self._controller.ready:
            missing.append("not every region has been looked at yet")
        return missing + self._rights.problems


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the faster event loop, where it exists."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - does not exist on Windows

    return uvloop.new_event_loop


def _watch_name(kind: Kind) -> str:
    return f"the watch of {kind}"


async def _end(tasks: Sequence[asyncio.Task[Any]], status: int) -> int:
    """End *tasks* and return *status*, or that of a failure."""
    for task in tasks:
        task.cancel()
    done, pending = await asyncio.wait(tasks, timeout=STOP_WITHIN)
    for task in pending:
        log.error("%s did not end within %s s", task.get_name(), STOP_WITHIN)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s ended: this is a bug", task.get_name(), exc_info=error)
            status = FAILED
    return FAILED if pending else status


@contextlib.contextmanager
def _signals_to(stop: Callable[[], None]) -> Iterator[None]:
    """Call *stop* on SIGTERM and SIGINT; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def hear() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop()

    for number in signals:
        loop.add_signal_handler(number, hear)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
