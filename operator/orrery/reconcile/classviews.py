"""Look at the regions of a class: what each has of it, and whether it is well. From memory only."""

from dataclasses import dataclass
from typing import Final

from orrery.api.conditions import ConditionType, Reason
from orrery.api.region import RegionStatus
from orrery.errors import InvalidSpec
from orrery.planning.classrecord import Edition, Record
from orrery.planning.classrollout import RegionView
from orrery.ports import Clock, Key, Kind
from orrery.reconcile.fleet import Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.report import StatusWriter

_OUT_OF_REACH: Final = frozenset(
    {
        Reason.CONTINENT_NOT_FOUND,
        Reason.CONTINENT_NOT_READY,
        Reason.CONTINENT_UNREACHABLE,
        Reason.CREDENTIALS_INVALID,
        Reason.PAUSED,
        Reason.RIGHTS_MISSING,
    }
)
"""Why nothing can be changed in a region, whatever its class says."""


_NOT_OPEN: Final = frozenset({Reason.CHECKING, Reason.OPENING})
"""Why a region that is built and answers is not Ready: fewer rely on it than on others."""


@dataclass(slots=True)
class Note:
    """What is known of one region's class."""

    uid: str
    """Of the Region: another one of its name knows nothing of this."""
    record: Record | None = None
    lost: bool = False
    """Whether it was looked up, and nobody knows."""
    grant: Edition | None = None
    """What it may take now."""
    goes_back: bool = False
    rolled_out: bool | None = None
    """Whether all its pods are of the newest kind and ready; None: not known."""
    watched: bool = False
    """Whether a rollout waits for it."""
    phase: tuple[str, bool] = ("", False)
    """The revision, and whether the region was well with it."""
    since: float = 0.0
    """Since when that is so, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Looks at regions, and notes since when they are as they are."""

    inventory: Inventory
    writer: StatusWriter
    clock: Clock

    def view(self, member: Member, note: Note, target: Edition) -> RegionView:
        """Say what is known of a region whose class says *target*."""
        record = note.record
        name, told, build = member.region.metadata.name, member.control_plane, member.build_problem
        problem, hopeless = self._problem(member, note)
        revision = record.current.revision if record else ""
        now = self.clock.monotonic()
        if note.phase != (revision, not problem):
            note.phase, note.since = (revision, not problem), now
        out_of_reach = ""
        if member.region.spec.paused:
            out_of_reach = "spec.paused of the Region is true"
        elif build is not None and build.reason in _OUT_OF_REACH:
            out_of_reach = build.message
        told_revision = told.class_revision if told else ""
        return RegionView(
            name=name,
            labels=member.region.metadata.labels,
            known=record is not None or note.lost,
            updated=record.current == target if record else told_revision == target.revision,
            settled=record.settled if record else not note.lost,
            fresh=record is not None and record.state == "Building",
            refused=record is not None and record.refused == target.revision,
            returns=record is not None and record.previous is not None,
            lost=note.lost and record is None,
            problem=problem,
            hopeless=hopeless,
            lasts=now - note.since,
            unseen=member.is_dark,
            out_of_reach=out_of_reach,
        )

    def _problem(self, member: Member, note: Note) -> tuple[str, bool]:
        """Say why a region is not well, and whether waiting will not cure it."""
        if member.build_problem is not None:
            return member.build_problem.message, isinstance(member.build_problem, InvalidSpec)
        key = Key(Kind.REGION, "", member.region.metadata.name)
        body = self.inventory.get(key) or {}
        status = RegionStatus.model_validate(
            self.writer.last(key, member.region.metadata.uid, body)
        )
        found = {condition.type: condition for condition in status.conditions}
        if (stalled := found.get(ConditionType.STALLED)) is not None:
            return stalled.message, True
        degraded = found.get(ConditionType.DEGRADED)
        # A region that no machine ever joined is as well as it can be.
        empty = not status.data_centers
        if degraded is not None and not (degraded.reason == Reason.NO_MACHINES and empty):
            return degraded.message, False
        if note.rolled_out is not True:
            return "not all of its control plane is of the newest kind and ready", False
        ready = found.get(ConditionType.READY)
        if ready is None:
            return "it has told nothing yet", False
        is_well = ready.status == "True" or ready.reason in _NOT_OPEN
        return "" if is_well else ready.message, False
