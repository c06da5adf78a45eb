"""Decide which key comes next. Pure: time is handed in.

A key waits for its time, is ready to be handed out, or is being worked on; one that is added while
it is worked on is handed out once more afterwards. A pass that starts after an add answers it. So a
change is never lost, and no two workers ever hold the same key.
"""

import heapq
from collections.abc import Hashable
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """What goes first."""

    USER = 0
    """A user changed something, and may be waiting."""
    NEWS = 1
    """The world changed: an instance became healthy, somebody edited a job."""
    RESYNC = 2
    """A sweep looks whether everything still is as it should be."""


_ORDER = tuple(Priority)

PATIENT_SHARE = 8
"""One handout in so many is for the least urgent, so that a busy day does not starve it."""


class Schedule(Generic[K]):
    """A de-duplicated queue of keys with priorities and delays."""

    def __init__(self) -> None:
        self._ready: tuple[dict[K, float], ...] = tuple({} for _ in _ORDER)
        self._waiting: dict[K, tuple[float, Priority]] = {}
        self._alarms: list[tuple[float, int, K]] = []
        self._working: dict[K, Priority] = {}
        self._once_more: dict[K, Priority] = {}
        self._streak = 0
        self._order = count()

    def add(self, key: K, *, now: float, priority: Priority, delay: float = 0) -> None:
        """Have *key* handed out, *delay* seconds from *now*.

        The earliest time and the more urgent priority win. An immediate add ends a delay.
        """
        if delay > 0:
            self._add_later(key, now + delay, priority)
        else:
            self._add_now(key, now, priority)

    def take(self, now: float) -> K | None:
        """Hand out the next key, None when nothing is ready."""
        self.ripen(now)
        priority = self._next_priority()
        if priority is None:
            return None
        patient = priority is self._least_urgent()
        self._streak = 0 if patient else self._streak + 1
        ready = self._ready[priority]
        key = next(iter(ready))
        del ready[key]
        self._waiting.pop(key, None)
        self._working[key] = priority
        return key

    def done(
        self, key: K, *, now: float, again: float | None = None, at_most: Priority = Priority.USER
    ) -> None:
        """Take *key* back from its worker; *again* adds it as urgently as before, so much later.

        But not more urgently than *at_most*. When it was added in the meantime that comes first,
        and *again* has no meaning any more.
        """
        priority = self._working.pop(key)
        once_more = self._once_more.pop(key, None)
        if once_more is not None:
            self._add_now(key, now, once_more)
        elif again is not None:
            self.add(key, now=now, priority=max(priority, at_most), delay=again)

    def ripen(self, now: float) -> None:
        """Make ready what has waited long enough."""
        while self._alarms and self._alarms[0][0] <= now:
            due, _, key = heapq.heappop(self._alarms)
            if key in self._waiting and self._waiting[key][0] == due:
                self._add_now(key, now, self._waiting[key][1])

    def next_due(self) -> float | None:
        """Return when the next key has waited long enough, None when none waits."""
        while self._alarms:
            due, _, key = self._alarms[0]
            if key in self._waiting and self._waiting[key][0] == due:
                return due
            heapq.heappop(self._alarms)
        return None

    def ready_since(self, key: K) -> float | None:
        """Return when *key* became ready, None when it is not."""
        return next((ready[key] for ready in self._ready if key in ready), None)

    def peek(self, now: float) -> K | None:
        """Return what `take` would hand out."""
        self.ripen(now)
        priority = self._next_priority()
        return None if priority is None else next(iter(self._ready[priority]))

    def forget_all(self) -> None:
        """Drop everything that is not being worked on."""
        for ready in self._ready:
            ready.clear()
        self._waiting.clear()
        self._alarms.clear()
        self._once_more.clear()

    @property
    def working(self) -> frozenset[K]:
        """The keys that workers hold."""
        return frozenset(self._working)

    @property
    def ready(self) -> int:
        """How many keys could be handed out now."""
        return sum(map(len, self._ready))

    def __contains__(self, key: K) -> bool:
        """Tell whether *key* will be handed out, once more if it is being worked on."""
        comes = key in self._waiting or key in self._once_more
        return comes or any(key in ready for ready in self._ready)

    def __len__(self) -> int:
        due = {key for ready in self._ready for key in ready} | self._once_more.keys()
        return len(due | self._waiting.keys())

    def _add_now(self, key: K, now: float, priority: Priority) -> None:
        waited = self._waiting.pop(key, None)
        if waited is not None:
            priority = min(priority, waited[1])
        if key in self._working:
            self._once_more[key] = min(priority, self._once_more.get(key, priority))
            return
        since = now
        for other, ready in enumerate(self._ready):
            if key in ready:
                if other <= priority:
                    return
                since = ready.pop(key)
        self._ready[priority][key] = since

    def _add_later(self, key: K, due: float, priority: Priority) -> None:
        if self._comes_anyway(key, priority):
            return
        if key in self._waiting:
            earlier, other = self._waiting[key]
            due, priority = min(due, earlier), min(priority, other)
        self._waiting[key] = (due, priority)
        heapq.heappush(self._alarms, (due, next(self._order), key))

    def _comes_anyway(self, key: K, priority: Priority) -> bool:
        """Tell whether a pass that is about to start, as urgent as this, will see the news."""
        if any(key in ready for ready in self._ready[: priority + 1]):
            return True
        once_more = self._once_more.get(key)
        return once_more is not None and once_more <= priority

    def _next_priority(self) -> Priority | None:
        if self._streak >= PATIENT_SHARE - 1:
            return self._least_urgent()
        return next((p for p in _ORDER if self._ready[p]), None)

    def _least_urgent(self) -> Priority | None:
        return next((p for p in reversed(_ORDER) if self._ready[p]), None)
