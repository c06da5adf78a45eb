"""Decide about instances whose machine is away, or has come back. Pure.

Found out on Nomad 2.0: a machine that falls silent is "disconnected" while one of its instances
waits for its return, by the `Disconnect` block of its group, else "down". Instances that wait
become unknown, the others are lost and replaced at once.
"""

from collections.abc import Sequence
from typing import Final

from orrery.sim.records import Allocation, Node
from orrery.sim.timing import Timing

READY: Final = "ready"
DOWN: Final = "down"
DISCONNECTED: Final = "disconnected"

LOST: Final = "alloc is lost since its node is down"
UNKNOWN: Final = "alloc is unknown since its node is disconnected"
RECONNECTED: Final = "alloc not needed due to disconnected client reconnect"

_TOLERANCE: Final = 0.001
"""Seconds: a timer that was set for the end must not come too early by a rounding."""


def lost_after(allocation: Allocation) -> int:
    """Return how long an instance may be away, in nanoseconds; 0: no moment."""
    disconnect = allocation.spec.groups[allocation.group]["Disconnect"]
    return int(disconnect["LostAfter"]) if disconnect else 0


def waits(allocation: Allocation) -> bool:
    """Tell whether an instance that is away may come back."""
    alive = allocation.client_status in {"running", "unknown"}
    return alive and allocation.desired_status == "run" and lost_after(allocation) > 0


def is_replaced(allocation: Allocation) -> bool:
    """Tell whether an instance that is away gets a successor meanwhile."""
    disconnect = allocation.spec.groups[allocation.group]["Disconnect"]
    return bool(disconnect and disconnect["Replace"])


def is_lost(allocation: Allocation, node: Node, *, now: int, timing: Timing) -> bool:
    """Tell whether an instance has to be given up."""
    if node.status == READY or allocation.terminal:
        return False
    if node.status == DOWN or not waits(allocation):
        return True
    if allocation.client_status != "unknown":
        return False
    left = timing.policy(lost_after(allocation)) - (now - allocation.unknown_since) / 1e9
    return left < _TOLERANCE


def has_come_back(allocation: Allocation) -> bool:
    """Tell whether an instance was away, and nobody has decided yet whether it is kept."""
    running = allocation.desired_status == "run" and allocation.client_status == "running"
    return running and allocation.unknown_since > 0


def successors_of(allocation: Allocation, others: Sequence[Allocation]) -> list[Allocation]:
    """Return the successors that took over from an instance and still stand, oldest first."""
    by_id = {other.id: other for other in others}
    found = []
    while (following := by_id.get(allocation.next)) is not None:
        found.append(following)
        allocation = following
    return [one for one in found if one.desired_status == "run"]


def is_kept(original: Allocation, successors: Sequence[Allocation], version: int) -> bool:
    """Tell whether an instance that has come back is kept, and not its *successors*.

    By "best_score" Nomad prefers a successor whose machine suits better by far; here machines are
    alike, so the original stays, which has run for longer, too.
    """
    if original.job_version < version:
        return False
    disconnect = original.spec.groups[original.group]["Disconnect"] or {}
    chosen = disconnect.get("Reconcile") == "keep_replacement"
    newer = any(one.job_version > original.job_version for one in successors)
    return not successors or not (newer or chosen)
