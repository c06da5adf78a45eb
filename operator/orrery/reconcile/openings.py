"""Keep checks and opening of every region: gather, judge, and tell the fleet who may come."""

from collections.abc import Mapping

from orrery import names
from orrery.api.base import seconds
from orrery.api.conditions import Reason
from orrery.api.region import ControlPlaneStatus, Region, RegionStatus
from orrery.api.regionclass import RegionClassSpec
from orrery.api.regionopening import EVERYONE, Opening, OpeningStatus
from orrery.api.validation import ValidationFailure, validate_region_class
from orrery.errors import OrreryError
from orrery.moments import seconds_of
from orrery.planning import checks, opening
from orrery.planning.checkfacts import CheckFacts, Snapshots, Vitals
from orrery.ports import Clock, Hub, Key, Kind
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.report import timestamp

NAMESPACES_LAST = 60.0
"""Seconds between two lists of the hub's namespaces, made only while a stage selects by labels."""

Labels = Mapping[str, Mapping[str, str]]


class Openings:
    """Checks and opens regions. What it must remember is in their statuses."""

    def __init__(self, *, hub: Hub, fleet: Fleet, inventory: Inventory, clock: Clock) -> None:
        self._hub = hub
        self._fleet = fleet
        self._inventory = inventory
        self._clock = clock
        self._namespaces: Labels = {}
        self._listed_at: float | None = None
        self._unlisted = ""
        """Why the last list failed, as the end of a sentence."""

    def recall(self, member: Member, told: RegionStatus) -> None:
        """Take over what the Region's status says, so that nobody is let in or kept out anew."""
        member.checks = told.checks
        member.opening = _begun(member.region, told, now=timestamp(self._clock))
        self._admit(member)

    async def look(
        self, member: Member, problem: OrreryError | None, told: RegionStatus
    ) -> float | None:
        """Judge the region, and go on with its opening; return the seconds until the next look.

        *problem* is what kept this pass from going through, *told* the status as last written.
        """
        if self._selects(member):
            await self._list_namespaces()
        # Nothing is awaited from here on: what is judged and what is told is one moment.
        before = {check.name: check for check in member.checks}
        facts = self._facts(member, problem)
        found = checks.judge(facts, before=before)
        now = timestamp(self._clock)
        member.checks = checks.settle(found, before=before, now=now)
        member.tally = checks.tally(found, has_address=bool(facts.address))
        if member.opening is None or not gated(member.region):
            member.opening = _begun(member.region, told, now=now)
        due: list[float] = []
        if member.opening is not None:
            step = opening.advance(member.opening, self._opening_facts(member, problem, found, now))
            member.opening, member.waits_for = step.status, step.waits_for
            if self._selects(member):
                member.waits_for += self._unlisted
            if step.wake_at is not None:
                due.append(max(step.wake_at - self._clock.now(), 1.0))
        if member.actor is not None:
            is_waited_for = _waits(member) and not is_cordoned(member.region)
            member.actor.checkup.urgent = is_waited_for or _is_updated(member)
        if self._selects(member):
            due.append(1.0 if self._is_stale() else NAMESPACES_LAST)
        self._admit(member)
        return min(due, default=None)

    def _admit(self, member: Member) -> None:
        admission = opening.admission(
            member.opening,
            member.region.spec.opening,
            cordoned=is_cordoned(member.region),
            namespaces=self._namespaces,
        )
        self._fleet.admit(member, admission)

    def _selects(self, member: Member) -> bool:
        """Tell whether a stage that has begun selects namespaces by their labels."""
        if member.opening is None or member.opening.opened:
            return False
        begun = opening.stages_begun(member.opening, member.region.spec.opening)
        return any(stage.namespace_selector is not None for stage in begun)

    def _is_stale(self) -> bool:
        """Tell whether the list of the hub's namespaces is old; a second early is in time."""
        now = self._clock.monotonic()
        return self._listed_at is None or now - self._listed_at >= NAMESPACES_LAST - 1

    async def _list_namespaces(self) -> None:
        """List the hub's namespaces, unless another region just did."""
        if not self._is_stale():
            return
        self._listed_at = self._clock.monotonic()
        try:
            self._namespaces = await self._hub.list_namespaces()
        except OrreryError as error:  # Those listed before stand.
            self._unlisted = f"; namespaces cannot be listed: {error.message}"
        else:
            self._unlisted = ""

    def _opening_facts(
        self,
        member: Member,
        problem: OrreryError | None,
        found: list[checks.Check],
        now: str,
    ) -> opening.OpeningFacts:
        annotations = member.region.metadata.annotations
        return opening.OpeningFacts(
            now=now,
            opening=member.region.spec.opening or Opening(),
            checks=found,
            told={check.name: check for check in member.checks},
            usable=member.is_open and problem is None,
            cordoned=is_cordoned(member.region),
            approved=annotations.get(names.ANNOTATION_APPROVE_OPENING, ""),
            at_once=annotations.get(names.ANNOTATION_OPEN) == EVERYONE,
        )

    def _facts(self, member: Member, problem: OrreryError | None) -> CheckFacts:
        actor, control_plane = member.actor, member.control_plane
        class_ = self._class(member.region) if member.region.spec.is_managed else None
        failure = problem or (actor.problem if actor and actor.reachable is False else None)
        expires = control_plane.expires if control_plane else None
        lifetime = class_.pki.certificate_lifetime if class_ else ""
        return CheckFacts(
            now=self._clock.now(),
            spec=member.region.spec,
            reachable=actor.reachable if actor else None,
            problem=failure.message if failure else "",
            address=member.known.nomad_address,
            agent=actor.view.agent if actor else None,
            vitals=actor.checkup.vitals if actor else Vitals(),
            nodes=actor.view.nodes if actor else (),
            drivers=member.drivers,
            servers_wanted=class_.nomad.servers if class_ else None,
            expires=seconds_of(expires) if expires else None,
            certificate_lifetime=seconds(lifetime),
            # A probe that is ordered and has told nothing yet holds the opening.
            probes=() if member.probes is None and member.probe is not None else member.probes,
            probed_at=member.probed_at,
            snapshots=_snapshots(control_plane, class_),
        )

    def _class(self, region: Region) -> RegionClassSpec | None:
        body = self._inventory.get(Key(Kind.REGION_CLASS, "", region.spec.class_))
        try:
            return validate_region_class(body).spec if body is not None else None
        except ValidationFailure:
            return None


def _is_updated(member: Member) -> bool:
    """Tell whether its servers start anew: what is known of them has to be new at the end."""
    problem = member.build_problem
    return problem is not None and problem.reason == Reason.UPDATING_SERVERS


def _snapshots(
    control_plane: ControlPlaneStatus | None, class_: RegionClassSpec | None
) -> Snapshots | None:
    """Say how the snapshots do, where the class wants them and their schedule has begun."""
    wanted = class_.nomad.snapshots if class_ else None
    if wanted is None or control_plane is None or control_plane.snapshots_since is None:
        return None
    since, latest = (
        seconds_of(moment) if moment else None
        for moment in (control_plane.snapshots_since, control_plane.last_snapshot)
    )
    return Snapshots(seconds(wanted.interval), since or 0.0, latest)


def _waits(member: Member) -> bool:
    """Tell whether the region is not open to everyone yet."""
    return member.opening is not None and not member.opening.opened


def gated(region: Region) -> bool:
    """Tell whether the region has to be opened: an External one only when its spec says how."""
    return region.spec.is_managed or region.spec.opening is not None


def is_cordoned(region: Region) -> bool:
    """Tell whether somebody cordoned the region, by its spec or beside it."""
    annotation = region.metadata.annotations.get(names.ANNOTATION_CORDON, "")
    # Whoever wrote something else than "true" meant it all the same.
    return region.spec.lifecycle == "Cordoned" or annotation.lower() not in {"", "false"}


def _begun(region: Region, told: RegionStatus, *, now: str) -> OpeningStatus | None:
    """Say how far the opening is, by what was *told*; None when the region needs none.

    One that was in use before there was anything to open stays open to everyone.
    """
    if not gated(region):
        return None
    if told.opening is not None:
        return told.opening
    was_open = told.phase in {"Open", "Cordoned", "Unreachable"}
    return OpeningStatus(opened=now) if was_open else OpeningStatus()
