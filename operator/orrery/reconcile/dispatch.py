"""Hand work to the regions' lanes, unless a region's list shows that there is none."""

from dataclasses import replace

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec
from orrery.planning.protocol import Memory, Owner, needs_no_call, owns
from orrery.planning.rollup import RegionalState
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.fleet import Fleet, Member
from orrery.reconcile.scope import Scope

_CURED_HERE = frozenset({Reason.INVALID_SPEC, Reason.UNKNOWN_DRIVER, Reason.REGION_NOT_AVAILABLE})
"""Reasons that are gone once a region is open and has something to run."""


class Dispatch:
    """Compares what a region should run with what it was last seen to run."""

    def __init__(self, fleet: Fleet, install: str) -> None:
        self._fleet = fleet
        self._install = install

    def give(self, scope: Scope, region: str, assignment: Assignment) -> None:
        """Have *region* run *assignment*; no call is made when its list shows that it does."""
        assert scope.deployment is not None
        member = self._fleet.member(region)
        assert member is not None
        state = _judged(scope.states.get(region), assignment, member)
        scope.states[region] = state
        if not member.is_open or scope.deployment.spec.paused or member.region.spec.paused:
            return
        if self._is_settled(scope, region, member, assignment):
            self._fleet.withdraw(region, scope.key)
            if self._is_unsure(scope, region, assignment):
                self._fleet.look(region, scope.key, priority=scope.priority)
            return
        is_new = self._fleet.assign(region, scope.key, assignment, priority=scope.priority)
        if is_new and state.digest != assignment.digest and state.phase != "Pending":
            scope.states[region] = replace(state, phase="Updating", reason=None, message=None)

    def refuse(self, scope: Scope, region: str, error: InvalidSpec) -> None:
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
        if member is None or self._nothing_of_ours(scope, region, member):
            scope.states.pop(region, None)
            self._fleet.withdraw(region, scope.key)
            return
        state = replace(state or RegionalState(), wanted=False)
        scope.states[region] = state
        if not member.is_open:
            return
        scope.states[region] = replace(
            state, phase="Stopping", desired=0, reason=None, message=None
        )
        if not member.region.spec.paused:
            removal = Assignment(self._owner(scope))
            self._fleet.assign(region, scope.key, removal, priority=scope.priority)

    def _nothing_of_ours(self, scope: Scope, region: str, member: Member) -> bool:
        """Tell that no job of this very deployment is, or may still be, in *region*."""
        state = scope.states.get(region)
        if not member.is_open:
            return state is None
        stub = self._fleet.stub(region, scope.key)
        if stub is None:
            return state is None or not state.index
        return not owns(self._owner(scope), stub.meta)

    def _is_settled(
        self, scope: Scope, region: str, member: Member, assignment: Assignment
    ) -> bool:
        state = scope.states[region]
        memory = Memory(state.digest, state.index)
        if not needs_no_call(assignment.digest, memory, self._fleet.stub(region, scope.key)):
            return False
        return member.secrets.get(scope.key, 0) == assignment.secrets_mark

    def _is_unsure(self, scope: Scope, region: str, assignment: Assignment) -> bool:
        """Tell whether a settled job must be looked at: it was not well when last seen."""
        state = scope.states[region]
        if state.phase == "Failed":
            return False
        stub = self._fleet.stub(region, scope.key)
        running = stub.running if stub else 0
        short = assignment.job_type == "service" and running < state.desired
        return state.phase != "Healthy" or short

    def _owner(self, scope: Scope) -> Owner:
        return Owner(self._install, scope.key.namespace, scope.key.name)


def _judged(before: RegionalState | None, assignment: Assignment, member: Member) -> RegionalState:
    """Say what is known before anything is asked of the region."""
    state = before or RegionalState(desired=assignment.count)
    current = state.digest == assignment.digest and state.reason is not Reason.REVERTED
    state = replace(state, wanted=True, current=current)
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
