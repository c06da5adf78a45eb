"""Things that are due later. No thread, no loop: somebody asks what is due."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Timers:
    """A queue by time; *now* is the region's clock, *wake* is told about an earlier due time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heap: list[tuple[float, int, Action]] = []
        self._order = count()
        self.wake: Callable[[], None] = lambda: None

    def after(self, seconds: float, action: Action) -> None:
        """Call *action* in *seconds*, in the order of due times, then of calls."""
        earlier = not self._heap
        due = self._now() + seconds
        earlier = earlier or due < self._heap[0][0]
        heapq.heappush(self._heap, (due, next(self._order), action))
        if earlier:
            self.wake()

    def due(self) -> float | None:
        """Return when the next action is due, None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, *, limit: int = 1000) -> None:
        """Run what is due, at most *limit* actions, so that other regions get their turn."""
        for _ in range(limit):
            if not self._heap or self._heap[0][0] > self._now():
                return
            heapq.heappop(self._heap)[2]()

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
