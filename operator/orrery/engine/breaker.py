"""Stop calling a remote that does not answer. Pure: time and chance are handed in."""

from enum import StrEnum
from random import Random


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half-open"
    """One call, which decides."""


class Breaker:
    """Opens after *threshold* failures in a row, for a time that grows while they go on.

    After that time one call may try. Its success closes the breaker, its failure opens it again
    for longer. The jitter lies in the upper half, so that many breakers that opened together do not
    try together, and none tries at once.
    """

    def __init__(
        self,
        *,
        random: Random,
        threshold: int = 3,
        base: float = 1.0,
        factor: float = 2.0,
        limit: float = 30.0,
    ) -> None:
        self._random = random
        self._threshold = threshold
        self._base = base
        self._factor = factor
        self._limit = limit
        self._failures = 0
        self._pause = base
        self._reopens_at: float | None = None

    def state(self, now: float) -> BreakerState:
        """Tell what may pass at *now*."""
        if self._reopens_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._reopens_at else BreakerState.HALF_OPEN

    def remaining(self, now: float) -> float:
        """Return the seconds until one call may try; 0 when it may now."""
        return 0.0 if self._reopens_at is None else max(0.0, self._reopens_at - now)

    def failed(self, now: float) -> None:
        """Take note of a call without answer."""
        state = self.state(now)
        if state is BreakerState.OPEN:
            return  # Sent before it opened: tells nothing new.
        self._failures += 1
        if state is BreakerState.HALF_OPEN or self._failures >= self._threshold:
            self._reopens_at = now + self._random.uniform(self._pause / 2, self._pause)
            self._pause = min(self._limit, self._pause * self._factor)

    def answered(self) -> None:
        """Take note of an answer, even one that says no: the remote is there."""
        self._failures = 0
        self._pause = self._base
        self._reopens_at = None
