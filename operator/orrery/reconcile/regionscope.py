"""One pass over one Region: what it works on, and what it knows in the end."""

from collections.abc import Mapping
from dataclasses import dataclass

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec, OrreryError
from orrery.planning.region_status import RegionFacts
from orrery.planning.teardown import Leaving
from orrery.ports import Clock, Key
from orrery.reconcile.fleet import Member
from orrery.reconcile.inventory import Inventory
from orrery.reconcile.openings import is_cordoned
from orrery.reconcile.report import timestamp


@dataclass(slots=True)
class RegionScope:
    """One pass over one Region; comments say which phase sets a field."""

    key: Key
    metadata: Metadata
    body: Mapping[str, object]
    member: Member | None = None  # accept
    error: OrreryError | None = None  # whichever phase ended the pass
    told_phase: str | None = None  # reconcile
    leaving: Leaving | None = None  # part, await_jobs
    released: bool = False  # part

    @property
    def counted(self) -> Member:
        """The region as the fleet has it."""
        assert self.member is not None, "accept comes first"
        return self.member


def facts_of(scope: RegionScope, inventory: Inventory, clock: Clock) -> RegionFacts:
    """Put together what is known of a region at the end of a pass."""
    member, error = scope.member, scope.error
    actor = member.actor if member else None
    problem = error or (actor.problem if actor and actor.reachable is False else None)
    seen = actor.last_seen if actor else None
    build = member.build_problem if member else None
    return RegionFacts(
        generation=scope.metadata.generation,
        reachable=actor.reachable if actor else None,
        reason=Reason(problem.reason) if problem else None,
        message=problem.message if problem else None,
        stalled=isinstance(problem, InvalidSpec),
        paused=member.region.spec.paused if member else False,
        last_seen=None if seen is None else timestamp(clock, seen),
        agent=actor.view.agent if actor else None,
        nodes=actor.view.nodes if actor else (),
        orphans=_orphans(member, inventory) if member else (),
        tombstones=list(member.tombstones.values()) if member else None,
        held_stops=len(member.held_stops) if member else 0,
        control_plane=member.control_plane if member else None,
        provisioning=member is not None and member.region.spec.is_managed and not actor,
        leaving=scope.leaving,
        build_reason=Reason(build.reason) if build else None,
        build_message=build.message if build else "",
        checks=member.checks if member else None,
        tally=member.tally if member else "",
        opening=member.opening if member else None,
        waits_for=member.waits_for if member else "",
        cordoned=member is not None and is_cordoned(member.region),
    )


def _orphans(member: Member, inventory: Inventory) -> list[str]:
    """Name the jobs whose GlobalDeployment does not exist: reported, never stopped."""
    owned = member.actor.view.owned() if member.actor else ()
    member.orphans = frozenset(key for key in owned if key not in inventory)
    return [str(key) for key in member.orphans]
