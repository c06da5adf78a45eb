"""Hold everything together: what the hub tells comes in, queues and lanes do the rest.

`observe` may be called at any time and only takes notes. Work is done between `start` and `stop`,
that is, while this process leads.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from orrery.config import Config
from orrery.engine.lag import Lag
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.engine.sweep import every
from orrery.errors import NotYet, OrreryError, Unreachable
from orrery.ports import (
    Clock,
    ClusterFactory,
    Credentials,
    Hub,
    Key,
    Kind,
    NomadFactory,
    Pki,
)
from orrery.reconcile.actor import Pace, RegionActor
from orrery.reconcile.announcer import Announcer
from orrery.reconcile.continents import Continents
from orrery.reconcile.controlplane import ControlPlaneBuilder
from orrery.reconcile.deletion import Deletion
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.globaldeployment import DeploymentReconciler
from orrery.reconcile.inventory import Inventory, key_of, pack
from orrery.reconcile.lanework import LaneWork
from orrery.reconcile.loop import guarded
from orrery.reconcile.metered import metered
from orrery.reconcile.region import RegionReconciler
from orrery.reconcile.report import StatusWriter
from orrery.reconcile.secrets import SecretReader
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

_DEPLOYMENT_WORKERS = 8
_REGION_WORKERS = 16
_CONTINENT_WORKERS = 4
SURVEY_WITHIN = 15.0
"""Seconds after the start at which deployments are looked at, though a region is still silent."""

WATCH_LAG = 60.0
"""Seconds after which the watch has told of a write, if it ever will."""

_CALLS_PER_REGION = 8
"""The knee of a Nomad server's throughput (measured): more only makes a queue there."""


class Controller:
    """Reconciles all kinds. The handlers' sink, and the listener of the actors.

    It starts once: whoever loses the lead ends the process.
    """

    def __init__(
        self,
        *,
        hub: Hub,
        nomad: NomadFactory,
        clusters: ClusterFactory,
        pki: Pki,
        clock: Clock,
        config: Config,
        telemetry: Telemetry,
        random: Random | None = None,
    ) -> None:
        self._hub = hub
        self._nomad = nomad
        self._clock = clock
        self._config = config
        self._telemetry = telemetry
        self._random = random or Random()  # noqa: S311 - jitter, nothing secret
        self._inventory = Inventory()
        self._fleet = Fleet()
        self._writer = StatusWriter(hub, clock)
        self._announcer = Announcer(hub, self._inventory)
        self._secrets = SecretReader(hub, clock)
        self._lag = Lag(clock)
        self._running = False
        self._urgent: set[Key] = set()
        self._heard: set[str] = set()
        """Regions that have been found open, or not, since the start."""
        self._timers: list[asyncio.Task[None]] = []
        self._surveyed = False
        """Whether all deployments have been looked at, or are about to be."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception of a bug that ended a part of the controller."""
        self._deployments = DeploymentReconciler(
            hub=hub,
            fleet=self._fleet,
            inventory=self._inventory,
            writer=self._writer,
            secrets=self._secrets,
            clock=clock,
            install=config.install,
            deletion=Deletion(
                hub=hub,
                fleet=self._fleet,
                clock=clock,
                wait=config.deletion_wait_seconds,
                look_at_region=self.machines_changed,
            ),
        )
        self._regions = RegionReconciler(
            hub=hub,
            fleet=self._fleet,
            inventory=self._inventory,
            writer=self._writer,
            make_actor=self._make_actor,
            fleet_changed=self._fleet_changed,
            deployment_changed=self._deployment_changed,
            consider_control_plane=self._consider_control_plane,
            install=config.install,
            clock=clock,
            telemetry=telemetry,
            namespace=config.namespace,
        )
        self._continents = Continents(
            hub=hub,
            fleet=self._fleet,
            inventory=self._inventory,
            writer=self._writer,
            clusters=clusters,
            builder=ControlPlaneBuilder(hub=hub, nomad=nomad, pki=pki, clock=clock, config=config),
            make_lane=lambda name, work: self._lane(name, work, _CONTINENT_WORKERS),
            region_changed=self.machines_changed,
            clock=clock,
            telemetry=telemetry,
            install=config.install,
            namespace=config.namespace,
        )
        self._jobs = LaneWork(
            fleet=self._fleet,
            clock=clock,
            lag=self._lag,
            telemetry=telemetry,
            install=config.install,
            changed=self._deployment_changed,
            emit=self._announcer.announce,
            tell_region=self.machines_changed,
            is_current=self._is_current,
        )
        self._deployment_lane = self._lane(
            "deployments", self._reconcile_deployment, _DEPLOYMENT_WORKERS
        )
        self._region_lane = self._lane("regions", self._reconcile_region, _REGION_WORKERS)

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Take note of what the hub's watch tells; a user's change goes before any sweep.

        What is only listed, without an *event_type*, is nobody's change.
        """
        priority = Priority.RESYNC if event_type is None else Priority.USER
        if event_type == "DELETED":
            self._consider(self._inventory.remove(kind, body), priority)
            return
        self._writer.seen(key_of(kind, body), body)
        key = self._inventory.put(kind, body)
        if key is not None:
            self._consider(key, priority)

    async def start(self) -> None:
        """Begin to work: list everything once, connect to the regions, then follow."""
        self._writer.forget_all()
        for kind in Kind:
            await self._list(kind)
        self._running = True
        self._regions.take_stock()
        self._region_lane.start()
        self._deployment_lane.start()
        self._continents.classes.start()
        for key in self._inventory.keys(Kind.CONTINENT):
            self._continents.consider(key, Priority.RESYNC)
        self._consider_all(Kind.REGION)
        for key in self._inventory.keys(Kind.GLOBAL_DEPLOYMENT):
            if not self._inventory.is_settled(key):
                self._deployment_lane.add(key, priority=Priority.RESYNC)
        self._survey_when_ready()
        sweep = every(
            self._config.resync_seconds, self.resync, clock=self._clock, random=self._random
        )
        self._timers = [
            asyncio.create_task(self._survey_at_last(), name="survey"),
            asyncio.create_task(sweep, name="sweep"),
            asyncio.create_task(self._lag.keep_measuring(), name="lag"),
        ]

    async def stop(self) -> None:
        """Stop working: let the calls in flight end, keep the notes."""
        self._running = False
        for task in self._timers:
            task.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        await asyncio.gather(self._deployment_lane.stop(), self._region_lane.stop())
        await self._continents.stop()
        actors = [member.actor for _, member in self._fleet.members() if member.actor]
        await asyncio.gather(*(actor.stop() for actor in actors))
        await self._announcer.settle()

    async def resync(self) -> None:
        """List everything afresh: a watch may lose events, and makes up none after a re-list.

        Every deployment is looked at: its Secrets may have changed, or its status.
        """
        try:
            for kind in Kind:
                for key in await self._list(kind):
                    self._consider(key, Priority.RESYNC)
            self._writer.forget_older(WATCH_LAG)
            self._secrets.forget_old()
        except OrreryError as error:
            log.warning("the sweep is put off: %s", error, extra={"reason": error.reason})
            return
        self._consider_all(Kind.GLOBAL_DEPLOYMENT)

    @property
    def ready(self) -> bool:
        """Whether every region has been heard of once, for better or worse."""
        return self._running and all(
            member.problem is not None
            or (member.actor is not None and member.actor.reachable is not None)
            for _, member in self._fleet.members()
        )

    def region_changed(self, region: str) -> None:
        """Look at a region again, and at the deployments whose status shows it."""
        member = self._fleet.member(region)
        if member is not None:
            self._telemetry.region(region, reachable=member.is_open)
            if (expire := member.certificates_expire) is not None:
                self._telemetry.certificates(region, expire=expire)
        self.machines_changed(region)
        keys = set(self._fleet.unsettled(region))
        if member is None or not member.is_open or region in self._heard:
            keys.update(self._fleet.deployments_in(region))  # Else all is as was told before.
        self._heard.add(region)
        self._survey_when_ready()
        for key in sorted(keys):
            self._deployment_lane.add(key, priority=Priority.RESYNC)

    def machines_changed(self, region: str) -> None:
        """Look at a region again: deployments hear of machines by their own instances."""
        self._region_lane.add(Key(Kind.REGION, "", region), priority=Priority.NEWS)

    def region_listed(self, region: str) -> None:
        """Compare every deployment with what a region was just seen to run."""
        member = self._fleet.member(region)
        if member is not None and member.actor is not None:
            for key in member.assignments:
                member.actor.lane.add(key, priority=Priority.RESYNC)
        self.machines_changed(region)
        for key in self._fleet.unsettled(region):
            self._deployment_lane.add(key, priority=Priority.RESYNC)

    def crashed(self, error: BaseException) -> None:
        """Make `failed` tell of a bug that ended a part of the controller."""
        log.critical("a part of the controller ended: this is a bug", exc_info=error)
        if not self.failed.done():
            self.failed.set_exception(error)

    def _fleet_changed(self) -> None:
        """Look at all deployments again: others may be placed now."""
        if self._surveyed:
            self._consider_all(Kind.GLOBAL_DEPLOYMENT)
        else:
            self._survey_when_ready()

    def _survey_when_ready(self) -> None:
        """Look at every deployment once all regions are heard of, not once for each of them."""
        if self.ready:
            self._survey_once()

    async def _survey_at_last(self) -> None:
        await self._clock.sleep(SURVEY_WITHIN)
        self._survey_once()

    def _survey_once(self) -> None:
        if not self._surveyed:
            self._surveyed = True
            self._consider_all(Kind.GLOBAL_DEPLOYMENT)

    async def _list(self, kind: Kind) -> list[Key]:
        """Take a full list as the truth; return the keys that changed or are gone."""
        mark = self._inventory.mark()
        listed = await self._hub.list(kind, lambda body: pack(kind, body))
        return self._inventory.replace_all(kind, listed, since=mark)

    def _consider(self, key: Key, priority: Priority) -> None:
        """Queue what a changed object concerns; a continent or class concerns its regions."""
        match key.kind:
            case Kind.GLOBAL_DEPLOYMENT:
                if priority is Priority.USER:
                    self._urgent.add(key)
                elif not self._surveyed and self._inventory.is_settled(key):
                    return  # The survey looks at all of them, when there is something to see.
                self._deployment_lane.add(key, priority=priority)
            case Kind.REGION:
                self._region_lane.add(key, priority=priority)
            case Kind.CONTINENT:
                self._continents.consider(key, priority)
                self._consider_all(Kind.REGION)
            case Kind.REGION_CLASS:
                self._continents.classes.consider(key, priority)
                self._consider_all(Kind.REGION)

    def _consider_all(self, kind: Kind) -> None:
        lane = self._region_lane if kind is Kind.REGION else self._deployment_lane
        for key in self._inventory.keys(kind):
            lane.add(key, priority=Priority.RESYNC)

    def _consider_control_plane(self, member: Member) -> None:
        self._continents.consider_region(member, Priority.NEWS)

    def _owner_found(self, key: Key) -> None:
        """Look again at the regions that report the jobs of *key* as orphans."""
        for region in self._fleet.regions_orphaning(key):
            self._region_lane.add(Key(Kind.REGION, "", region), priority=Priority.RESYNC)

    async def _is_current(self, key: Key, generation: int) -> bool:
        """Ask the hub itself whether it holds *generation*; take note of what it does hold."""
        try:
            body = await self._hub.read(key)
        except Unreachable as error:
            raise NotYet(error.reason, error.message) from error
        if body is not None:
            self.observe(key.kind, "MODIFIED", body)
        return body is not None and body["metadata"].get("generation") == generation

    def _deployment_changed(self, key: Key) -> None:
        self._deployment_lane.add(key, priority=Priority.NEWS)

    async def _reconcile_deployment(self, key: Key) -> Result:
        priority = Priority.USER if key in self._urgent else Priority.RESYNC
        self._urgent.discard(key)
        if not self._fleet.knows(key):
            self._owner_found(key)
        result = await guarded(
            lambda: self._deployments.reconcile(key, priority),
            kind=key.kind,
            name=str(key),
            clock=self._clock,
            telemetry=self._telemetry,
            on_bug=lambda: self._deployments.report_bug(key),
        )
        if priority is Priority.USER and not isinstance(result, Done | Again):
            self._urgent.add(key)  # The user still waits.
        return result

    async def _reconcile_region(self, key: Key) -> Result:
        return await guarded(
            lambda: self._regions.reconcile(key),
            kind=key.kind,
            name=str(key),
            clock=self._clock,
            telemetry=self._telemetry,
            on_bug=lambda: self._regions.report_bug(key),
        )

    def _make_actor(self, name: str, credentials: Credentials) -> RegionActor:
        return RegionActor(
            name,
            metered(
                self._nomad.connect(credentials),
                name,
                clock=self._clock,
                telemetry=self._telemetry,
            ),
            install=self._config.install,
            lane=self._lane(name, lambda key: self._jobs(name, key), _CALLS_PER_REGION),
            listener=self,
            clock=self._clock,
            pace=Pace(probe=self._config.probe_seconds, relist=self._config.resync_seconds),
            random=self._random,
            lag=self._lag,
        )

    def _lane(self, name: str, work: Callable[[Key], Awaitable[Result]], workers: int) -> Lane[Key]:
        return Lane(
            name,
            work,
            clock=self._clock,
            workers=workers,
            random=self._random,
            telemetry=self._telemetry,
            crashed=self.crashed,
        )
