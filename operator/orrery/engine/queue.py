"""A keyed work queue that workers await: a `Schedule` with a clock."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from orrery.engine.schedule import Priority, Schedule
from orrery.ports import Clock

__all__ = ["Closed", "KeyedQueue", "Priority"]

K = TypeVar("K", bound=Hashable)


class Closed(Exception):
    """The queue hands out nothing any more."""


class KeyedQueue(Generic[K]):
    """Hands out keys: each to one worker at a time, user changes first, nothing lost.

    While *held* it only takes keys in. For one event loop: it is not safe across threads.
    """

    def __init__(self, clock: Clock, *, waited: Callable[[float], None] | None = None) -> None:
        """Make an empty queue; *waited* hears how many seconds each key was ready."""
        self._clock = clock
        self._waited = waited
        self._schedule: Schedule[K] = Schedule()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._allowance: int | None = None
        self._closed = False
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0

    def add(self, key: K, *, priority: Priority = Priority.USER, delay: float = 0) -> None:
        """Have *key* handed out, at once or *delay* seconds from now; nothing when closed."""
        if self._closed:
            return
        self._schedule.add(key, now=self._clock.monotonic(), priority=priority, delay=delay)
        self._changed()

    async def get(self) -> K:
        """Wait for the next key. Raises `Closed` when there will be none."""
        while True:
            if self._closed:
                raise Closed
            key = self._take()
            if key is not None:
                return key
            await self._wait()

    def done(
        self, key: K, *, again: float | None = None, at_most: Priority = Priority.USER
    ) -> None:
        """Give *key* back; *again* adds it so many seconds later, as urgently as before.

        But not more urgently than *at_most*.
        """
        again = None if self._closed else again
        self._schedule.done(key, now=self._clock.monotonic(), again=again, at_most=at_most)
        self._changed()

    def hold(self) -> None:
        """Hand out nothing until `release`."""
        self._allowance = 0

    def release(self, *, only: int | None = None) -> None:
        """Hand out again: everything, or *only* so many keys."""
        self._allowance = only
        self._changed()

    def close(self) -> None:
        """Drop what waits and wake all getters; keys being worked on may still be given back."""
        self._closed = True
        self._schedule.forget_all()
        if self._alarm is not None:
            self._alarm.cancel()
        while self._getters:
            _wake(self._getters.popleft())

    @property
    def ready(self) -> int:
        """How many keys could be handed out now, those held included."""
        return self._schedule.ready

    @property
    def working(self) -> frozenset[K]:
        """The keys that workers hold."""
        return self._schedule.working

    def __contains__(self, key: K) -> bool:
        """Tell whether a worker will take *key*."""
        return key in self._schedule

    def __len__(self) -> int:
        return len(self._schedule)

    def _take(self) -> K | None:
        if self._allowance == 0:
            return None
        now = self._clock.monotonic()
        key = self._schedule.peek(now)
        if key is None:
            return None
        since = self._schedule.ready_since(key)
        self._schedule.take(now)
        if self._allowance is not None:
            self._allowance -= 1
        if self._waited is not None and since is not None:
            self._waited(now - since)
        return key

    async def _wait(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if getter.done() and not getter.cancelled():
                self._changed()  # It was woken for a key: pass that on.
            raise
        finally:
            if getter in self._getters:
                self._getters.remove(getter)

    def _changed(self) -> None:
        """Wake as many getters as there are keys for, and see to the next delay."""
        if self._closed:
            return
        self._schedule.ripen(self._clock.monotonic())
        useful = self._schedule.ready
        if self._allowance is not None:
            useful = min(useful, self._allowance)
        for _ in range(min(useful, len(self._getters))):
            _wake(self._getters.popleft())
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._schedule.next_due()
        if due is None or (self._alarm is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = asyncio.get_running_loop().create_task(self._ring(due), name="queue alarm")

    async def _ring(self, due: float) -> None:
        await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
        self._alarm = None
        self._schedule.ripen(due)  # A clock that wakes a moment early must not make this spin.
        self._changed()


def _wake(getter: asyncio.Future[None]) -> None:
    if not getter.done():
        getter.set_result(None)
