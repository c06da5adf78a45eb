"""All regions together: their actors, what each should run, and what is known of each job there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.region import TOMBSTONES_MAX, ControlPlaneStatus, Region, RegionStatus, Tombstone
from orrery.api.regionclass import DOCKER, Driver, RegionClass
from orrery.api.regionopening import CheckStatus, OpeningStatus
from orrery.engine.queue import Priority
from orrery.errors import OrreryError
from orrery.moments import seconds_of
from orrery.planning.budget import WINDOW, is_allowed, may_stop
from orrery.planning.opening import ANYBODY, Admission
from orrery.planning.placement import RegionCandidate
from orrery.planning.probes import MachineProbe
from orrery.planning.probing import ProbeOrder
from orrery.planning.protocol import Seen
from orrery.planning.rollup import RegionalState
from orrery.ports import Clock, Key
from orrery.reconcile.actor import RegionActor
from orrery.reconcile.assignment import Assignment


@dataclass(slots=True)
class Member:
    """One region of the fleet: the object, and its actor while it can be used."""

    region: Region
    drivers: Sequence[Driver] = (DOCKER,)
    actor: RegionActor | None = None
    problem: str | None = None
    """Why there is no actor, as a sentence."""
    control_plane: ControlPlaneStatus | None = None
    """How far the control plane of a Managed region is."""
    build_problem: OrreryError | None = None
    """What keeps it from being complete, or as it should be."""
    teardown: Literal["", "asked", "done"] = ""
    """Whether its continent's lane is to tear the control plane down, or has done so."""
    is_unused: bool = False
    """Whether its control plane is known never to have been of use, before it was complete."""
    checks: Sequence[CheckStatus] = ()
    tally: str = ""
    """Checks that pass, of those that are made."""
    opening: OpeningStatus | None = None
    """How far its opening is; None when it needs none."""
    waits_for: str = ""
    """What the next step of the opening waits for."""
    admission: Admission = ANYBODY
    assignments: dict[Key, Assignment] = field(default_factory=dict)
    secrets: dict[Key, int] = field(default_factory=dict)
    """Fingerprint, of this process only, of the secrets last written for a job."""
    held: set[Key] = field(default_factory=set)
    """Deployments with work that waits until the region is open, and nothing is paused."""
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    """By uid: what must be stopped here when the region is back."""
    buried: set[str] = field(default_factory=set)
    """Of these tombstones, those that the Region's status is known to hold."""
    stopped: dict[Key, float] = field(default_factory=dict)
    """When this process last stopped a job here, in monotonic seconds."""
    held_stops: set[Key] = field(default_factory=set)
    """Jobs that are not stopped because they are too many."""
    orphans: frozenset[Key] = frozenset()
    """Jobs of ours without a GlobalDeployment, as the Region's status last said."""
    probe: ProbeOrder | None = None
    """What its machines are to be probed with."""
    probes: Sequence[MachineProbe] | None = None
    """What that has come to, by data center and machine; None: it is not done, or has not begun."""
    probed_at: float | None = None
    """When the last run began that has ended, in wall-clock seconds."""

    @property
    def known(self) -> Region:
        """The Region with what this process knows of its control plane, be it told or not."""
        told = RegionStatus(control_plane=self.control_plane)
        return self.region.model_copy(update={"status": told})

    def alike(self, other: "Member") -> bool:
        """Tell whether a deployment is rendered for *other* as it is for this region."""
        if self.region.spec.class_ != other.region.spec.class_:
            return False
        return self.drivers is other.drivers or self.drivers == other.drivers

    def allows_stops(self, clock: Clock) -> bool:
        """Tell whether somebody allowed any number of stops here, until later than now."""
        annotation = self.region.metadata.annotations.get(names.ANNOTATION_ALLOW_STOPS, "")
        return is_allowed(annotation, now=clock.now())

    def may_stop(self, key: Key, clock: Clock) -> bool:
        """Tell whether one more job may be stopped here; holds it otherwise."""
        allowed = self.allows_stops(clock) or may_stop(
            key,
            wanted={k for k, assignment in self.assignments.items() if assignment.removes},
            stopped=self.stopped,
            jobs=len(self.actor.view) if self.actor else 0,
            now=clock.monotonic(),
        )
        if allowed:
            now = clock.monotonic()
            self.held_stops.discard(key)
            self.stopped = {k: at for k, at in self.stopped.items() if now - at < WINDOW}
            self.stopped[key] = now
        else:
            self.held_stops.add(key)
        return allowed

    @property
    def certificates_expire(self) -> float | None:
        """Wall-clock time at which the first certificate of a Managed region expires."""
        expires = self.control_plane.expires if self.control_plane else None
        return None if expires is None else seconds_of(expires)

    @property
    def was_usable(self) -> bool:
        """Whether its control plane was complete once, so that jobs may run there."""
        return self.control_plane is not None and self.control_plane.bootstrapped

    @property
    def is_open(self) -> bool:
        """Whether the region answers and its jobs are known."""
        return self.actor is not None and self.actor.reachable is True and self.actor.view.listed

    @property
    def is_dark(self) -> bool:
        """Whether the region does not answer."""
        return self._failed and self._reason == Reason.REGION_UNREACHABLE

    @property
    def is_shut(self) -> bool:
        """Whether the region cannot be used for a reason other than silence."""
        if self.actor is None:
            return self.problem is not None
        return self._failed and not self.is_dark

    @property
    def shut_because(self) -> str:
        """Say why a region is shut."""
        if self.actor is not None and self.actor.problem is not None:
            return self.actor.problem.message
        return self.problem or "the region is not open yet"

    @property
    def _failed(self) -> bool:
        return self.actor is not None and self.actor.reachable is False

    @property
    def _reason(self) -> str:
        problem = self.actor.problem if self.actor else None
        return problem.reason if problem else ""


class Fleet:
    """The regions by name, and the state of every deployment in every region."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._states: dict[Key, dict[str, RegionalState]] = {}
        self.revision = 0
        """Grows with whatever decides where a deployment runs, and as what."""
        self._candidates: tuple[RegionCandidate, ...] | None = None
        self._drivers: dict[str, Sequence[Driver]] = {}

    def put(self, region: Region) -> Member:
        """Take over the Region object; its actor and work stay."""
        member = self._members.get(region.metadata.name)
        if member is None:
            member = self._members[region.metadata.name] = Member(region)
            self._changed()
        elif _decisive(member.region) != _decisive(region):
            self._changed()
        member.region = region
        return member

    def equip(self, member: Member, drivers: Sequence[Driver]) -> None:
        """Take over the drivers of the member's class."""
        if member.drivers != drivers:
            self._changed()
        member.drivers = drivers

    def admit(self, member: Member, admission: Admission) -> None:
        """Take over who may come to the region for the first time."""
        if member.admission != admission:
            self._changed()
        member.admission = admission

    def closed_to(self, key: Key) -> dict[str, str]:
        """Say which regions do not take *key*, and why not; where it is already, it stays."""
        return {
            name: member.admission.because
            for name, member in self._members.items()
            if not member.admission.admits(key.namespace) and not self._is_there(name, member, key)
        }

    def _is_there(self, region: str, member: Member, key: Key) -> bool:
        """Tell whether the job of *key* is in *region*, or may be."""
        state, seen = self.state(region, key), self.seen(region, key)
        tried = member.actor is not None and key in member.actor.view.tried
        told = state is not None and (state.index > 0 or bool(state.digest))
        return tried or told or (seen is not None and seen.ours and not seen.stop)

    def drop(self, name: str) -> Member | None:
        """Forget a region whose object is gone. Its jobs are left as they are."""
        self._changed()
        return self._members.pop(name, None)

    def member(self, name: str) -> Member | None:
        """Return a region, None when there is no such object."""
        return self._members.get(name)

    def members(self) -> Iterator[tuple[str, Member]]:
        """Iterate over the regions, sorted by name."""
        return iter(sorted(self._members.items()))

    def farthest_first(self, regions: Iterable[str]) -> list[str]:
        """Sort regions by how long they take to answer: all are done earliest in this order."""

        def distance(region: str) -> float:
            member = self._members.get(region)
            return member.actor.round_trip if member and member.actor else 0.0

        return sorted(sorted(regions), key=distance, reverse=True)

    def candidates(self) -> Sequence[RegionCandidate]:
        """List what placement may choose from: every Region object, open or not."""
        if self._candidates is None:
            self._candidates = tuple(
                RegionCandidate(name, m.region.spec.continent, dict(m.region.metadata.labels))
                for name, m in self.members()
            )
        return self._candidates

    def share(self, region_class: str, drivers: Sequence[Driver]) -> Sequence[Driver]:
        """Return the equal drivers that another region of the class has: cheaper to compare."""
        if self._drivers.get(region_class) != drivers:
            self._drivers[region_class] = drivers
        return self._drivers[region_class]

    def continents(self) -> dict[str, str]:
        """Map each region to its continent."""
        return {name: m.region.spec.continent for name, m in self._members.items()}

    def seen(self, region: str, key: Key) -> Seen | None:
        """Return the job of *key* in *region* as last listed."""
        member = self._members.get(region)
        return member.actor.view.seen(key) if member and member.actor else None

    def has_moved(self, region: str, key: Key) -> bool:
        """Tell whether an event told of the job of *key* before the deployment was looked at."""
        member = self._members.get(region)
        return bool(member and member.actor and key in member.actor.view.moved)

    def regions_running(self, key: Key) -> list[str]:
        """List the open regions that hold a job of *key*, stopped ones included."""
        return [name for name, m in self.members() if m.is_open and self.seen(name, key)]

    def regions_orphaning(self, key: Key) -> list[str]:
        """List the regions that report a job of *key* as without an owner."""
        return [name for name, member in self.members() if key in member.orphans]

    def states(self, key: Key) -> dict[str, RegionalState]:
        """Return what is known of *key* by region: the very mapping, to be changed in place."""
        return self._states.setdefault(key, {})

    def state(self, region: str, key: Key) -> RegionalState | None:
        """Return what is known of *key* in one region."""
        return self._states.get(key, {}).get(region)

    def deployments_in(self, region: str) -> list[Key]:
        """List the deployments that have a state in *region*."""
        return [key for key, states in self._states.items() if region in states]

    def unsettled(self, region: str) -> list[Key]:
        """List the deployments that *region* runs otherwise than remembered, or has work for."""
        member = self._members.get(region)
        held = member.held if member else set()
        return [
            key
            for key, states in self._states.items()
            if key in held or _is_unsettled(states.get(region), self.seen(region, key))
        ]

    def knows(self, key: Key) -> bool:
        """Tell whether anything is known of *key* yet."""
        return key in self._states

    def remember(self, key: Key, states: dict[str, RegionalState]) -> None:
        """Take over what the hub's status says of *key*."""
        self._states[key] = states

    def forget(self, key: Key) -> None:
        """Forget a deployment that is gone, with all work on it."""
        self._states.pop(key, None)
        for member in self._members.values():
            held = member.assignments.get(key)
            if held is not None and not held.tombstones:
                del member.assignments[key]
            member.secrets.pop(key, None)
            member.held.discard(key)
            member.held_stops.discard(key)

    def assign(self, region: str, key: Key, assignment: Assignment, *, priority: Priority) -> bool:
        """Give a region's lane work; the same work again does not overtake its backoff."""
        member = self._members[region]
        if assignment.same_as(member.assignments.get(key)) or member.actor is None:
            return False
        member.held.discard(key)
        member.assignments[key] = assignment
        member.actor.lane.add(key, priority=priority)
        return True

    def look(self, region: str, key: Key, *, priority: Priority) -> None:
        """Ask a region's lane how a job does, unless it is about to look; a user does not wait."""
        member = self._members[region]
        if member.actor is None:
            return
        if priority is Priority.USER or key not in member.actor.lane:
            member.actor.lane.add(key, priority=priority)

    def hold(self, region: str, key: Key) -> None:
        """Take back work that is to be decided anew once it can be done."""
        self.withdraw(region, key)
        if region in self._members:
            self._members[region].held.add(key)

    def regions_remembering(self, key: Key) -> list[str]:
        """List the regions that remember a job of a deleted object of this name."""
        return [
            name
            for name, member in self.members()
            if any(
                (t.namespace, t.name) == (key.namespace, key.name)
                for t in member.tombstones.values()
            )
        ]

    def is_buried(self, region: str, uid: str) -> bool:
        """Tell whether the Region's status is known to remember the job of the object *uid*."""
        member = self._members.get(region)
        return member is not None and uid in member.buried

    def remember_job(self, region: str, tombstone: Tombstone) -> bool:
        """Have the Region remember a job; False when it has no room, or is not known itself."""
        member = self._members.get(region)
        if member is None or len(member.tombstones) >= TOMBSTONES_MAX:
            return False
        member.tombstones.setdefault(tombstone.uid, tombstone)
        return True

    def withdraw(self, region: str, key: Key) -> None:
        """Take back work that is no longer wanted."""
        member = self._members.get(region)
        if member is not None:
            member.assignments.pop(key, None)
            member.held.discard(key)
            member.held_stops.discard(key)

    def _changed(self) -> None:
        self.revision += 1
        self._candidates = None


def _decisive(region: Region) -> tuple[object, ...]:
    return region.metadata.labels, region.spec


def _is_unsettled(state: RegionalState | None, seen: Seen | None) -> bool:
    if state is None:
        return seen is not None
    if seen is None:
        return not state.finished
    moved = seen.stop or seen.index != state.index
    short = not state.batch and seen.running < state.desired
    return moved or state.phase not in {"Healthy", "Failed"} or (short and state.phase == "Healthy")


def drivers_of(region_class: RegionClass | None) -> Sequence[Driver]:
    """List the drivers that a class offers; the docker driver when it names none."""
    if region_class is None or not region_class.spec.nomad.drivers:
        return (DOCKER,)
    return tuple(region_class.spec.nomad.drivers)
