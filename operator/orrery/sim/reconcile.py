"""Decide what to start, stop and update so that a group looks like its job says. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orrery.sim.absence import (
    READY,
    RECONNECTED,
    has_come_back,
    is_kept,
    is_lost,
    is_replaced,
    successors_of,
    waits,
)
from orrery.sim.records import Allocation, Deployment, Job, Node
from orrery.sim.timing import Timing
from orrery.sim.updates import replaces
from orrery.sim.wire import NO_UPDATES

NOT_NEEDED: Final = "alloc not needed due to job update"
UPDATED: Final = "alloc is being updated due to job update"
RESCHEDULED: Final = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """One instance to start."""

    position: int
    canary: bool = False
    previous: Allocation | None = None
    """What it takes over from."""
    rescheduled: bool = False
    node: Node | None = None
    """Where it must run; None: anywhere."""


@dataclass(slots=True)
class GroupPlan:
    """What to do for one group."""

    place: list[Placement] = field(default_factory=list)
    stop: list[tuple[Allocation, str]] = field(default_factory=list)
    in_place: list[Allocation] = field(default_factory=list)
    later: list[Allocation] = field(default_factory=list)
    """Instances that failed or are away, and get a successor after a delay."""
    lost: list[Allocation] = field(default_factory=list)
    """Instances to give up with their machine."""
    unknown: list[Allocation] = field(default_factory=list)
    """Instances whose machine has just fallen silent, and that wait for its return."""
    reconnected: list[Allocation] = field(default_factory=list)
    """Instances that have come back, and stay."""
    updates: dict[str, int] = field(default_factory=lambda: dict(NO_UPDATES))
    desired_total: int = 0
    desired_canaries: int = 0
    waiting: int = 0
    """Instances that still run an older version and have to wait for their turn."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        decided = self.lost or self.unknown or self.reconnected
        return bool(self.place or self.stop or self.in_place or decided)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the decision depends on."""

    job: Job
    allocations: Sequence[Allocation]
    """Of the job, all groups and versions."""
    deployment: Deployment | None
    """The newest of the job."""
    retry: Callable[[Allocation], str]
    """Whether an instance that failed or is away gets a successor: "now", "later" or "never"."""
    reachable: Callable[[Allocation], bool]
    """Whether an instance is still where its job may run."""
    node_of: Callable[[Allocation], Node]
    """The machine of an instance."""
    now: int
    timing: Timing

    @property
    def current(self) -> Deployment | None:
        """The deployment of the job's newest version."""
        deployment = self.deployment
        if deployment and deployment.job_version == self.job.version:
            return deployment
        return None

    def of_group(self, name: str) -> list[Allocation]:
        """Return the instances of one group."""
        return [a for a in self.allocations if a.group == name]


def stop_group(allocations: Iterable[Allocation]) -> GroupPlan:
    """Stop every instance, for a job that is stopped or gone or has dropped the group."""
    plan = GroupPlan()
    plan.stop = [(a, NOT_NEEDED) for a in allocations if not a.terminal]
    plan.updates["Stop"] = len(plan.stop)
    return plan


def reconcile_group(situation: Situation, group: dict[str, Any]) -> GroupPlan:
    """Plan one group of a service or batch job."""
    job, current = situation.job, situation.current
    plan = GroupPlan(desired_total=group["Count"])
    progress = current.groups.get(group["Name"]) if current else None
    standing = _sort_absent(situation, plan, situation.of_group(group["Name"]))

    unpromoted = [a for a in standing if a.canary and current and a.deployment_id == current.id]
    obsolete = [a for a in standing if a.canary and a not in unpromoted]
    plan.stop += [(a, NOT_NEEDED) for a in obsolete]
    regular = [a for a in standing if not a.canary]

    surplus = _surplus(regular, group["Count"], job.version)
    plan.stop += [(a, NOT_NEEDED) for a in surplus]
    kept = [a for a in regular if a not in surplus]
    plan.updates["Stop"] = len(plan.stop) + len(plan.lost)

    destructive = _sort_kept(situation, plan, kept)
    taken = {a.position for a in kept}
    missing = group["Count"] - len(kept)

    update = group["Update"]
    rolling = bool(update and update["MaxParallel"] and job.spec.type == "service")
    promoted = progress is not None and progress.promoted
    failed = current is not None and current.status == "failed"
    if rolling and update["Canary"] and destructive and not promoted:
        plan.desired_canaries = update["Canary"]
        if not failed:
            _place_canaries(plan, destructive, len(unpromoted))
        plan.waiting = len(destructive)
        plan.updates["Ignore"] += len(destructive)
    else:
        limit = len(destructive) if not rolling else 0 if failed else update["MaxParallel"]
        if rolling:
            limit -= missing  # What is new goes first, and is in motion, too.
        if rolling and current:
            limit -= sum(a.deployment_id == current.id and not a.healthy for a in kept)
        _replace(plan, destructive, max(0, limit))
    plan.updates["Ignore"] += len(unpromoted)
    bereft = {a.position: a for a in plan.lost if not a.next}
    for position in _free_positions(taken, missing):
        plan.place.append(Placement(position, previous=bereft.get(position)))
        plan.updates["Place"] += 1
    return plan


def reconcile_system(
    situation: Situation, group: dict[str, Any], nodes: Sequence[Node]
) -> GroupPlan:
    """Plan one group of a system job: one instance on each of *nodes*."""
    plan = GroupPlan(desired_total=len(nodes))
    standing = _sort_absent(situation, plan, situation.of_group(group["Name"]))
    wanted = {node.id for node in nodes}
    kept = [a for a in standing if a.node_id in wanted]
    for allocation in standing:
        if allocation.node_id not in wanted:
            if _takes_work(situation.node_of(allocation)):
                plan.stop.append((allocation, NOT_NEEDED))
            else:
                plan.updates["Ignore"] += 1
    plan.updates["Stop"] = len(plan.stop) + len(plan.lost)
    destructive = _sort_kept(situation, plan, kept)
    update, current = group["Update"], situation.current
    limit = (update and update["MaxParallel"]) or len(destructive)
    if current:
        limit -= sum(a.deployment_id == current.id and not a.healthy for a in kept)
    by_id = {node.id: node for node in nodes}
    _replace(plan, destructive, max(0, limit), by_id)
    occupied = {a.node_id for a in kept}
    for node in nodes:
        if node.id not in occupied:
            plan.place.append(Placement(0, node=node))
            plan.updates["Place"] += 1
    return plan


def _takes_work(node: Node) -> bool:
    return node.status == READY and node.eligible


def _sort_absent(
    situation: Situation, plan: GroupPlan, allocations: Sequence[Allocation]
) -> list[Allocation]:
    """Sort instances into *plan* whose machine is away or back; return those that stand."""
    stopped: set[str] = set()
    for allocation in allocations:
        node = situation.node_of(allocation)
        if is_lost(allocation, node, now=situation.now, timing=situation.timing):
            plan.lost.append(allocation)
            stopped.add(allocation.id)
        elif node.status != READY:
            if waits(allocation) and allocation.client_status == "running":
                plan.unknown.append(allocation)
                plan.updates["Disconnect"] += 1
        elif has_come_back(allocation):
            successors = successors_of(allocation, allocations)
            if is_kept(allocation, successors, situation.job.version):
                plan.reconnected.append(allocation)
                plan.updates["Reconnect"] += 1
                plan.stop += [(a, RECONNECTED) for a in successors]
                stopped |= {a.id for a in successors}
            else:
                plan.stop.append((allocation, NOT_NEEDED))
                stopped.add(allocation.id)
    return [a for a in allocations if a.id not in stopped and _stands(a, situation.job)]


def _stands(allocation: Allocation, job: Job) -> bool:
    """Tell whether an instance holds its position, running or not."""
    if allocation.desired_status != "run":
        return False
    if allocation.client_status == "unknown" and allocation.next:
        return False
    if allocation.client_status == "complete":
        return job.spec.type in {"batch", "sysbatch"}
    return allocation.client_status != "lost"


def _surplus(regular: list[Allocation], count: int, version: int) -> list[Allocation]:
    """Choose what to stop: older versions whose position is taken twice, then from the end."""
    positions = [a.position for a in regular]
    by_choice = sorted(
        regular,
        key=lambda a: (
            positions.count(a.position) > 1 and a.job_version != version,
            a.position,
            a.job_version != version,
        ),
        reverse=True,
    )
    return by_choice[: max(0, len(regular) - count)]


def _sort_kept(
    situation: Situation, plan: GroupPlan, kept: Iterable[Allocation]
) -> list[Allocation]:
    """Sort instances into *plan*; return those that have to be replaced."""
    job = situation.job
    destructive = []
    for allocation in sorted(kept, key=lambda a: a.position):
        failed = allocation.client_status == "failed"
        if allocation.job_modify_index == job.job_modify_index:
            absent = _leaves_a_gap(situation, plan, allocation)
            retry = situation.retry(allocation) if failed or absent else "never"
            if retry == "now":
                if failed:
                    plan.stop.append((allocation, RESCHEDULED))
                plan.place.append(
                    Placement(allocation.position, allocation.canary, allocation, rescheduled=True)
                )
                plan.updates["RescheduleNow"] += 1
                continue
            if retry == "later":
                plan.later.append(allocation)
                plan.updates["RescheduleLater"] += 1
            plan.updates["Ignore"] += 1
        elif (
            failed
            or not situation.reachable(allocation)
            or replaces(allocation.spec, job.spec, allocation.group)
        ):
            destructive.append(allocation)
        elif allocation.client_terminal:
            plan.updates["Ignore"] += 1
        else:
            plan.in_place.append(allocation)
            plan.updates["InPlaceUpdate"] += 1
    return destructive


def _leaves_a_gap(situation: Situation, plan: GroupPlan, allocation: Allocation) -> bool:
    """Tell whether an instance is away that gets a successor meanwhile."""
    away = situation.node_of(allocation).status != READY
    unknown = allocation in plan.unknown or allocation.client_status == "unknown"
    return situation.job.spec.type != "system" and away and unknown and is_replaced(allocation)


def _place_canaries(plan: GroupPlan, destructive: list[Allocation], present: int) -> None:
    for allocation in destructive[present : plan.desired_canaries]:
        plan.place.append(Placement(allocation.position, canary=True))
        plan.updates["Canary"] += 1


def _replace(
    plan: GroupPlan,
    destructive: list[Allocation],
    limit: int,
    nodes: dict[str, Node] | None = None,
) -> None:
    for allocation in destructive[:limit]:
        node = nodes[allocation.node_id] if nodes else None
        plan.stop.append((allocation, UPDATED))
        plan.place.append(Placement(allocation.position, previous=allocation, node=node))
        plan.updates["DestructiveUpdate"] += 1
    plan.waiting = len(destructive[limit:])
    plan.updates["Ignore"] += plan.waiting


def _free_positions(taken: set[int], number: int) -> list[int]:
    free: list[int] = []
    position = 0
    while len(free) < number:
        if position not in taken:
            free.append(position)
        position += 1
    return free
