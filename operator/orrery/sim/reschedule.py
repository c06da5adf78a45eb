"""Decide whether and when an instance that failed or is away gets a successor. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from orrery.sim.records import Allocation
from orrery.sim.timing import Timing

TOLERANCE: Final = 0.001
"""Seconds: a timer that was set for the delay must not come too early by a rounding."""

NEVER: Final = ("never", 0.0, 0)


def retry(allocation: Allocation, *, now: int, timing: Timing) -> tuple[str, float, int]:
    """Return "now", "later" or "never", the seconds left, and the policy's own delay."""
    policy = allocation.spec.groups[allocation.group]["ReschedulePolicy"]
    if not may_retry(allocation, policy, timing):
        return NEVER
    delay = delay_of(policy, len(allocation.attempts))
    left = timing.policy(delay) - (now - _ended(allocation, now)) / 1e9
    return ("now", 0.0, delay) if left < TOLERANCE else ("later", left, delay)


def _ended(allocation: Allocation, now: int) -> int:
    """Return when an instance ended or fell silent; one that just does is running yet."""
    if allocation.client_status == "failed":
        return max((task.finished for task in allocation.tasks), default=0)
    return allocation.unknown_since or now


def may_retry(allocation: Allocation, policy: Mapping[str, Any] | None, timing: Timing) -> bool:
    """Tell whether the policy allows one more successor."""
    if policy is None:
        return False
    if policy["Unlimited"]:
        return True
    horizon = allocation.modify_time - int(timing.policy(policy["Interval"]) * 1e9)
    recent = [attempt for attempt in allocation.attempts if attempt[0] >= horizon]
    return len(recent) < int(policy["Attempts"])


def delay_of(policy: Mapping[str, Any], attempts: int) -> int:
    """Return the delay before the next attempt, in nanoseconds."""
    first = int(policy["Delay"])
    match policy["DelayFunction"]:
        case "exponential":
            delay = first << attempts
        case "fibonacci":
            before, delay = 0, first
            for _ in range(attempts):
                before, delay = delay, before + delay
        case _:
            return first
    return min(delay, int(policy["MaxDelay"]) or delay)
