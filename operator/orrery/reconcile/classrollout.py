"""Have a change of a RegionClass reach its regions one after the other.

What each region was given is remembered beside it. A pass over a class only decides, from what is
in memory; the passes over control planes obey, and write what a region was given before anything
else, so that a restart in between finds the region in motion.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orrery import names
from orrery.api.base import Metadata
from orrery.api.classrollout import RegionClassStatus
from orrery.api.conditions import Condition, ConditionType, Reason
from orrery.api.regionclass import RegionClass
from orrery.api.validation import ValidationFailure, validate_region_class
from orrery.engine.lane import Lane
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import InvalidSpec, NotYet, OrreryError
from orrery.planning.classrecord import Edition, Record, class_of, decode, edition_of, encode
from orrery.planning.classrollout import Decision, plan_class_rollout
from orrery.planning.classstatus import ClassFacts, summarize_class
from orrery.planning.manifests import is_rolled_out
from orrery.ports import Clock, ContinentalCluster, Document, Hub, HubEvent, Key, Kind, ObjectRef
from orrery.reconcile.classviews import Note, Viewer
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.loop import guarded
from orrery.reconcile.report import BUG, StatusWriter, timestamp
from orrery.render.region.record import record_name, render_record
from orrery.telemetry import Telemetry

POLL: Final = 5.0
"""Seconds between two looks at a rollout under way; all it looks at is in memory."""
RECHECK: Final = 300.0
WATCHED: Final = 15.0
"""Seconds after which a control plane that a rollout waits for is looked at again."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one pass over a control plane builds from."""

    class_: RegionClass
    record: Document
    """The manifest that remembers it."""
    revision: str


@dataclass(slots=True)
class ClassRollouts:
    """The classes by name, and what each region has of them."""

    hub: Hub
    fleet: Fleet
    inventory: Inventory
    writer: StatusWriter
    clock: Clock
    telemetry: Telemetry
    install: str
    make_lane: Callable[[str, Callable[[Key], Awaitable[Result]]], Lane[Key]]
    consider_region: Callable[[Member, Priority], None]
    _lane: Lane[Key] | None = None
    _notes: dict[str, Note] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to work; all regions that there are have been counted in."""
        self._lane = self.make_lane("classes", self._work)
        self._lane.start()
        for key in self.inventory.keys(Kind.REGION_CLASS):
            self.consider(key, Priority.RESYNC)

    async def stop(self) -> None:
        """Let what is under way end."""
        if self._lane is not None:
            await self._lane.stop()

    def consider(self, key: Key, priority: Priority) -> None:
        """Look at a class again."""
        if self._lane is not None:
            self._lane.add(key, priority=priority)

    async def assign(
        self, member: Member, cluster: ContinentalCluster, namespace: str
    ) -> Assignment:
        """Tell what the control plane of *member* is built from now.

        A class that is missing or not valid stops nothing that was built before. Raises what keeps
        a new region from being built.
        """
        name = member.region.metadata.name
        note = self._note(member)
        if note.record is None and not note.lost:
            body = await cluster.read(ObjectRef("v1", "ConfigMap", namespace, record_name(name)))
            note.record = decode(body.get("data") or {}) if body is not None else None
        problem: OrreryError | None = None
        newest: RegionClass | None = None
        try:
            newest = self.newest(member.region.spec.class_)
        except (InvalidSpec, NotYet) as error:
            problem = error
        target = self._edition(newest) if newest is not None else None
        before = note.record
        note.record = self._next(note, member, target)
        if note.record != before:
            note.rolled_out = None
        if note.record is None:
            raise problem or _lost(name, namespace)
        if target is not None and note.record.current != target:
            self.consider(Key(Kind.REGION_CLASS, "", target.class_name), Priority.NEWS)
        return Assignment(
            class_of(note.record.current, newest),
            render_record(self.install, name, namespace, encode(note.record)),
            note.record.current.revision,
        )

    def built(self, member: Member, live: Mapping[ObjectRef, Document] | None) -> float | None:
        """Take note of how a pass ended, *live* when it went through.

        Returns the seconds after which a rollout wants it looked at again.
        """
        note = self._notes.get(member.region.metadata.name)
        if note is None or note.record is None:
            return None
        before = note.rolled_out, note.record
        note.rolled_out = live is not None and all(map(is_rolled_out, live.values()))
        if live is not None and note.record.state == "Building":
            note.record = replace(note.record, state="Settled")
            self.consider_region(member, Priority.NEWS)
        if (note.rolled_out, note.record) != before:
            key = Key(Kind.REGION_CLASS, "", member.region.spec.class_)
            self.consider(key, Priority.NEWS)
        return WATCHED if note.watched and not (note.rolled_out and note.record.settled) else None

    def forget(self, region: str) -> None:
        """Forget what a region that is gone was given: it stands beside its control plane."""
        self._notes.pop(region, None)

    def newest(self, name: str) -> RegionClass:
        """Return the class as it is now. Raises why Managed regions cannot be built from it."""
        body = self.inventory.get(Key(Kind.REGION_CLASS, "", name))
        if body is None:
            message = f'there is no RegionClass "{name}"'
            raise NotYet(Reason.CLASS_NOT_FOUND, message, retry_after=30)
        try:
            class_ = validate_region_class(body)
        except ValidationFailure as failure:
            message = f'RegionClass "{name}": {failure}'
            raise InvalidSpec(Reason.INVALID_SPEC, message) from failure
        if class_.spec.nomad.image is None:
            message = f'RegionClass "{name}": spec.nomad.image is required by Managed regions'
            raise InvalidSpec(Reason.CLASS_INCOMPLETE, message)
        return class_

    def _next(self, note: Note, member: Member, target: Edition | None) -> Record | None:
        """Decide what a region has from now on."""
        record = note.record
        goes_back, note.goes_back = note.goes_back, False
        grant, note.grant = note.grant, None
        if target is None:
            return record
        if record is None:
            record = self._recalled(note, member, target)
            return Record(target) if record is None and grant == target else record
        if record.state == "Building":
            return replace(record, current=target)
        if goes_back and record.previous is not None and record.current == target:
            return record.going_back()
        return record.taking(target) if grant == target and record.current != target else record

    def _recalled(self, note: Note, member: Member, target: Edition) -> Record | None:
        """Find out what a region without a record has; None when nobody knows."""
        told = member.control_plane
        if told is None or not told.bootstrapped:
            return Record(target, state="Building")
        # What was built before classes were remembered has the newest: all had it at once.
        if told.class_revision in ("", target.revision):
            return Record(target, state="Settled")
        known = [e for e in self._known() if e.revision == told.class_revision]
        note.lost = not known
        return Record(known[0], state="Settled") if known else None

    def _edition(self, class_: RegionClass) -> Edition:
        return edition_of(class_, self._known())

    def _known(self) -> Iterator[Edition]:
        for note in self._notes.values():
            if note.record is not None:
                yield note.record.current
                if note.record.previous is not None:
                    yield note.record.previous

    def _note(self, member: Member) -> Note:
        metadata = member.region.metadata
        note = self._notes.get(metadata.name)
        if note is None or note.uid != metadata.uid:
            note = self._notes[metadata.name] = Note(metadata.uid)
        return note

    async def _work(self, key: Key) -> Result:
        return await guarded(
            lambda: self._pass(key),
            kind=key.kind,
            name=str(key),
            clock=self.clock,
            telemetry=self.telemetry,
            on_bug=lambda: self._report_bug(key),
        )

    async def _report_bug(self, key: Key) -> None:
        """Show that a pass failed for a reason that is ours."""
        body = self.inventory.get(key)
        if body is not None:
            await self._report(key, body, None, NotYet(Reason.INTERNAL_ERROR, BUG), None)

    async def _pass(self, key: Key) -> Result:
        """Decide which regions of a class start now, and tell how it stands."""
        body = self.inventory.get(key)
        if body is None:
            self.writer.forget(key)
            return Done()
        members = self._members(key.name)
        decision: Decision | None = None
        problem: OrreryError | None = None
        target: Edition | None = None
        try:
            class_ = self.newest(key.name) if members else validate_region_class(body)
        except ValidationFailure as failure:
            problem = InvalidSpec(Reason.INVALID_SPEC, str(failure))
        except (InvalidSpec, NotYet) as error:
            problem = error
        else:
            target = self._edition(class_)
            viewer = Viewer(self.inventory, self.writer, self.clock)
            views = [viewer.view(member, self._note(member), target) for member in members]
            decision = plan_class_rollout(
                views,
                class_.spec.rollout,
                revision=target.revision,
                approved=_approved(class_, target),
            )
            self._obey(decision, members, target)
            unknown = any(not view.known and not view.out_of_reach for view in views)
            if unknown and body.get("status"):
                return Again(POLL)  # A restarted operator knows nothing new yet.
        wait = await self._report(key, body, decision, problem, target)
        if wait is not None:
            return Again(wait)
        under_way = decision is not None and decision.phase != "Complete"
        return Again(POLL if under_way else RECHECK)

    def _obey(self, decision: Decision, members: Sequence[Member], target: Edition) -> None:
        for member in members:
            name, note = member.region.metadata.name, self._note(member)
            before = note.grant, note.goes_back, note.record
            note.grant = target if name in decision.take else None
            note.goes_back = name in decision.go_back
            note.watched = decision.phase != "Complete"
            if note.record is not None and name in decision.settle:
                note.record = replace(note.record, state="Settled")
            elif note.record is not None and name in decision.unsettle:
                note.record = replace(note.record, state="Rolling")
            if (note.grant, note.goes_back, note.record) != before:
                self.consider_region(member, Priority.NEWS)

    def _members(self, class_name: str) -> list[Member]:
        return [
            member
            for _, member in self.fleet.members()
            if member.region.spec.is_managed
            and member.region.spec.class_ == class_name
            and not (member.teardown or member.is_unused)  # It is given nothing any more.
        ]

    async def _report(
        self,
        key: Key,
        body: Mapping[str, Any],
        decision: Decision | None,
        problem: OrreryError | None,
        target: Edition | None,
    ) -> float | None:
        metadata = Metadata.model_validate(body["metadata"])
        before = RegionClassStatus.model_validate(self.writer.last(key, metadata.uid, body))
        facts = ClassFacts(
            generation=metadata.generation,
            decision=decision,
            revision=target.revision if target else "",
            reason=Reason(problem.reason) if problem else None,
            message=problem.message if problem else "",
            stalled=isinstance(problem, InvalidSpec),
        )
        after = summarize_class(facts, before=before, now=timestamp(self.clock))
        if after == before:
            return None
        wait = await self.writer.write(key, metadata.uid, after)
        if wait is None and before.conditions and _reason(before) != _reason(after):
            condition = after.conditions[0]
            kind = "Warning" if _stalled(after.conditions) else "Normal"
            await self.hub.emit_event(
                HubEvent(key, metadata.uid, kind, condition.reason, condition.message)
            )
        return wait


def _approved(class_: RegionClass, target: Edition) -> str:
    """Name the last wave that is approved for *target*; empty when none is."""
    given = class_.metadata.annotations.get(names.ANNOTATION_APPROVE_WAVE, "")
    wave, _, revision = given.partition("@")
    return wave if revision == target.revision else ""


def _lost(region: str, namespace: str) -> NotYet:
    message = (
        f"ConfigMap {record_name(region)} in namespace {namespace}, which says what the region is "
        "built from, is gone: the region is left as it is until its turn in the rollout"
    )
    return NotYet(Reason.CLASS_RECORD_LOST, message, retry_after=30)


def _reason(status: RegionClassStatus) -> str:
    return status.conditions[0].reason


def _stalled(conditions: Sequence[Condition]) -> bool:
    return any(condition.type == ConditionType.STALLED for condition in conditions)
