"""Hand work to the regions' lanes, unless a region's list shows that there is none."""

from collections.abc import Mapping
from dataclasses import replace

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.protocol import Memory, Owner, needs_no_call
from orrery.planning.rollup import RegionalState
from orrery.ports import Key, Kind
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.scope import Scope

_CURED_HERE = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.REGION_NOT_AVAILABLE,
        Reason.SECRET_INVALID,
        Reason.SECRET_KEY_NOT_FOUND,
        Reason.SECRET_NOT_FOUND,
        Reason.UNKNOWN_DRIVER,
    }
)
"""Reasons that are gone once a region is open and has something to run."""


class Dispatch:
    """Compares what a region should run with what it was last seen to run."""

    def __init__(self, fleet: Fleet, inventory: Inventory, install: str) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._install = install

    def sort_out(self, scope: Scope) -> None:
        """Note which regions the spec selects, and forget those whose Region object is gone."""
        selected = frozenset(scope.choice.selected) if scope.choice else None
        for region, state in list(scope.states.items()):
            if self._is_gone(region):
                del scope.states[region]
                self._fleet.withdraw(region, scope.key)
            elif selected is not None and state.wanted != (region in selected):
                scope.states[region] = replace(state, wanted=region in selected)

    def leave(self, scope: Scope, digests: Mapping[str, str]) -> None:
        """Note which regions have the job that the spec asks for, by *digests*; write nothing."""
        self.sort_out(scope)
        for region, state in list(scope.states.items()):
            current = _has(state, digests.get(region) or None)
            if state.current != current:
                scope.states[region] = replace(state, current=current)
            member = self._fleet.member(region)
            if state.phase == "Unreachable" and member is not None and member.is_open:
                self._fleet.look(region, scope.key, priority=scope.priority)

    def give(self, scope: Scope, region: str, assignment: Assignment) -> None:
        """Have *region* run *assignment*; no call is made when its list shows that it does."""
        assert scope.deployment is not None
        member = self._fleet.member(region)
        assert member is not None
        state = _judged(scope.states.get(region), assignment, member)
        scope.states[region] = state
        # What is not done now is decided anew when it can be: by then the wish may be another.
        if scope.deployment.spec.paused or member.region.spec.paused:
            self._fleet.hold(region, scope.key)
            if member.is_open and self._has_moved(scope, region, assignment):
                self._fleet.look(region, scope.key, priority=scope.priority)
            return
        if not member.is_open:
            self._fleet.hold(region, scope.key)
            if state.current and self._has_secrets(scope, member, assignment):
                self._fleet.withdraw(region, scope.key)
            return
        if self._is_settled(scope, region, member, assignment):
            self._fleet.withdraw(region, scope.key)
            if self._is_unsure(scope, region, assignment):
                self._fleet.look(region, scope.key, priority=scope.priority)
            return
        is_new = self._fleet.assign(region, scope.key, assignment, priority=scope.priority)
        if is_new and state.digest != assignment.digest and state.phase != "Pending":
            scope.states[region] = replace(state, phase="Updating", reason=None, message=None)

    def refuse(self, scope: Scope, region: str, error: InvalidSpec | NotYet) -> None:
        """Note that *region* cannot run the deployment; what runs there is left as it is."""
        self._fleet.withdraw(region, scope.key)
        scope.states[region] = replace(
            scope.states.get(region, RegionalState()),
            phase="Failed",
            reason=Reason(error.reason),
            message=error.message,
            current=False,
            wanted=True,
        )

    def take_back(self, scope: Scope, region: str) -> None:
        """Have the job removed from *region*; a region that does not answer keeps it for now."""
        member = self._fleet.member(region)
        state = scope.states.get(region)
        if self._nothing_of_ours(scope, region, member):
            scope.states.pop(region, None)
            self._fleet.withdraw(region, scope.key)
            return
        state = replace(state or RegionalState(), wanted=False)
        scope.states[region] = state
        if member is None or not member.is_open:
            self._fleet.hold(region, scope.key)
            return
        if state.reason is not Reason.STOPS_HELD:
            state = replace(state, reason=None, message=None)
        scope.states[region] = replace(state, phase="Stopping", desired=0)
        if member.region.spec.paused:
            self._fleet.hold(region, scope.key)
        else:
            removal = Assignment(self._owner(scope))
            self._fleet.assign(region, scope.key, removal, priority=scope.priority)

    def _nothing_of_ours(self, scope: Scope, region: str, member: Member | None) -> bool:
        """Tell that no job of this very deployment is, or may still be, in *region*."""
        state = scope.states.get(region)
        if self._is_gone(region):
            return True  # Its jobs are nobody's concern any more.
        if member is None or not member.is_open:
            return state is None
        seen = self._fleet.seen(region, scope.key)
        if seen is not None:
            return not seen.ours
        # A register may be under way, and a secret may be there without a job: the lane looks.
        return state is None

    def _is_gone(self, region: str) -> bool:
        """Tell whether there is no such Region object; one that is not valid is still one."""
        known = Key(Kind.REGION, "", region) in self._inventory
        return self._fleet.member(region) is None and not known

    def _is_settled(
        self, scope: Scope, region: str, member: Member, assignment: Assignment
    ) -> bool:
        state = scope.states[region]
        memory = Memory(state.digest, state.index)
        seen = self._fleet.seen(region, scope.key)
        if not needs_no_call(assignment.digest, memory, seen, finished=state.finished):
            return False
        return self._has_secrets(scope, member, assignment)

    def _has_secrets(self, scope: Scope, member: Member, assignment: Assignment) -> bool:
        """Tell whether the job's variable is known to hold what it should."""
        return member.secrets.get(scope.key, 0) == assignment.secrets_mark

    def _has_moved(self, scope: Scope, region: str, assignment: Assignment) -> bool:
        """Tell whether a job that is not to be written must be looked at."""
        state, seen = scope.states[region], self._fleet.seen(region, scope.key)
        index = seen.index if seen and not seen.stop else 0
        if (state.index or seen is not None) and index != state.index:
            return True
        return seen is not None and self._is_unsure(scope, region, assignment)

    def _is_unsure(self, scope: Scope, region: str, assignment: Assignment) -> bool:
        """Tell whether a settled job must be looked at: it was not well when last seen."""
        state = scope.states[region]
        if self._fleet.has_moved(region, scope.key):
            return True
        if state.phase == "Failed":
            return False
        seen = self._fleet.seen(region, scope.key)
        running = seen.running if seen else 0
        short = assignment.job_type == "service" and running < state.desired
        return state.phase != "Healthy" or short

    def _owner(self, scope: Scope) -> Owner:
        return Owner(self._install, scope.key.namespace, scope.key.name)


def _judged(before: RegionalState | None, assignment: Assignment, member: Member) -> RegionalState:
    """Say what is known before anything is asked of the region."""
    state = before or RegionalState(desired=assignment.count)
    current = _has(state, assignment.digest)
    batch = assignment.job_type == "batch"
    if (state.wanted, state.current, state.batch) != (True, current, batch):
        state = replace(state, wanted=True, current=current, batch=batch)
    if member.is_shut and not state.index:
        return replace(
            state,
            phase="Pending",
            reason=Reason.REGION_NOT_AVAILABLE,
            message=member.shut_because,
        )
    if state.reason in _CURED_HERE:
        return replace(state, phase="Pending", reason=None, message=None)
    return state


def _has(state: RegionalState, digest: str | None) -> bool:
    """Tell whether the region's Nomad has the job of that *digest*."""
    known = state.index > 0 or state.finished  # Else it was tried, and may not have arrived.
    return known and state.digest == digest and state.reason is not Reason.REVERTED
