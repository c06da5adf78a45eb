"""How long to wait before a failed key is tried again. Pure: chance is handed in."""

from collections.abc import Hashable
from random import Random
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_MOST_DOUBLINGS = 64
"""Beyond any limit, and far below where a float overflows."""


class Backoff(Generic[K]):
    """Counts failures per key and spreads retries with full jitter.

    Full jitter (anything between nothing and the grown pause) keeps keys that failed together from
    coming back together.
    """

    def __init__(
        self, *, random: Random, base: float = 0.5, factor: float = 2.0, limit: float = 300.0
    ) -> None:
        self._random = random
        self._base = base
        self._factor = factor
        self._limit = limit
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Count one more failure of *key* and return the seconds to wait."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return self._random.uniform(0, self.ceiling(failures))

    def ceiling(self, failures: int) -> float:
        """Return the longest wait after *failures* earlier ones."""
        grown = self._base * self._factor ** min(failures, _MOST_DOUBLINGS)
        return min(self._limit, grown)

    def failures(self, key: K) -> int:
        """Return how often *key* failed since it last did not."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Take *key* as healthy: its next failure is its first."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)
