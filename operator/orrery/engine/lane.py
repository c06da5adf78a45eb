"""A queue with workers for one remote: what is slow or dark there delays nobody else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from random import Random
from typing import Generic, TypeVar

from orrery.engine.backoff import Backoff
from orrery.engine.breaker import Breaker, BreakerState
from orrery.engine.queue import Closed, KeyedQueue, Priority
from orrery.engine.result import Again, Dark, Done, Result, Retry, RetryQuickly
from orrery.ports import Clock
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

QUICK = 0.05
"""Longest first pause after a conflict; it grows to *QUICK_LIMIT* while conflicts go on."""

QUICK_LIMIT = 5.0

TURN = 0.01
"""Seconds that passes may take together before everything else in the process has its turn.

A pass that waits for nothing never lets go by itself: a sweep over thousands would keep the lease
from being renewed, and users waiting.
"""

PASS_LIMIT = 300.0
"""Seconds after which a pass is given up: every call has its own, much shorter deadline."""


class Lane(Generic[K]):
    """Works through keys with a few workers, and stops calling a remote that does not answer.

    *work* answers with a `Result` and raises nothing. Should it raise all the same, that is a bug:
    *crashed* hears of it, and the process must not go on half alive.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[K], Awaitable[Result]],
        *,
        clock: Clock,
        workers: int = 8,
        random: Random | None = None,
        telemetry: Telemetry | None = None,
        crashed: Callable[[BaseException], None] | None = None,
    ) -> None:
        random = random or Random()  # noqa: S311 - jitter, nothing secret
        self.name = name
        self._work = work
        self._clock = clock
        self._workers = workers
        self._telemetry = telemetry
        self._crashed = crashed or _tell_the_loop
        self._queue: KeyedQueue[K] = KeyedQueue(clock, waited=self._waited)
        self._backoff: Backoff[K] = Backoff(random=random)
        self._quick: Backoff[K] = Backoff(random=random, base=QUICK, limit=QUICK_LIMIT)
        self._breaker = Breaker(random=random)
        self._since: dict[K, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._probe: asyncio.Task[None] | None = None
        self._paused = False
        self._turn_began: float | None = None

    def add(self, key: K, *, priority: Priority = Priority.USER, delay: float = 0) -> None:
        """Have *key* worked on, at once or *delay* seconds from now."""
        self._queue.add(key, priority=priority, delay=delay)

    def start(self) -> None:
        """Begin to work. A lane starts once."""
        if self._telemetry is not None:
            self._telemetry.lane_opened(self.name, lambda: len(self._queue))
        for number in range(self._workers):
            task = asyncio.create_task(self._run(), name=f"lane {self.name} worker {number}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self, *, within: float = 5.0) -> None:
        """Start nothing new, let passes end *within* seconds, then cancel them.

        A cancelled pass is safe: whoever comes next reads before it writes.
        """
        self._queue.close()
        if self._probe is not None:
            self._probe.cancel()
        pending = [task for task in self._tasks if not task.done()]
        if pending:
            _, pending_set = await asyncio.wait(pending, timeout=within)
            for task in pending_set:
                task.cancel()
            await asyncio.gather(*pending_set, return_exceptions=True)
        if self._telemetry is not None:
            self._telemetry.lane_closed(self.name)

    def pause(self) -> None:
        """Start no new pass until `resume`."""
        self._paused = True
        self._queue.hold()

    def resume(self) -> None:
        """Start passes again, as far as the remote answers."""
        self._paused = False
        self._regulate()

    def wake(self) -> None:
        """Take the remote as answering again: close the breaker at once."""
        was_dark = self.is_dark
        self._breaker.answered()
        if was_dark:
            log.info("the breaker is closed", extra={"lane": self.name, "reason": "Reconnected"})
            self._regulate()

    @property
    def is_dark(self) -> bool:
        """Whether the breaker holds the lane."""
        return self._breaker.state(self._clock.monotonic()) is not BreakerState.CLOSED

    @property
    def busy_for(self) -> float:
        """Seconds that the longest running pass takes so far; 0 when none runs."""
        return self._clock.monotonic() - min(self._since.values()) if self._since else 0.0

    def __contains__(self, key: K) -> bool:
        """Tell whether a pass over *key* will begin."""
        return key in self._queue

    def __len__(self) -> int:
        return len(self._queue)

    async def _run(self) -> None:
        while True:
            await self._let_others_go()
            try:
                key = await self._queue.get()
            except Closed:
                return
            self._since[key] = self._clock.monotonic()
            self._take_turn()
            try:
                result = await self._pass(key)
            finally:
                del self._since[key]
            self._finish(key, result)

    async def _let_others_go(self) -> None:
        """Wait until the loop has seen to everything else, once the workers have had their turn."""
        began = self._turn_began
        if began is not None and self._clock.monotonic() - began >= TURN:
            await asyncio.sleep(0)

    def _take_turn(self) -> None:
        """Begin a turn, unless one is on; it ends when the loop comes round."""
        if self._turn_began is None:
            self._turn_began = self._clock.monotonic()
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn_began = None

    async def _pass(self, key: K) -> Result:
        try:
            async with asyncio.timeout(PASS_LIMIT) as limit:
                return await self._work(key)
        except TimeoutError:
            if not limit.expired():
                raise
            log.error(  # noqa: TRY400 - where a pass hung is not where it was cancelled
                "a pass took longer than %s s and was given up",
                PASS_LIMIT,
                extra={"lane": self.name, "object": str(key), "reason": "PassTookTooLong"},
            )
            return Retry()

    def _finish(self, key: K, result: Result) -> None:
        """Give *key* back with the pause that *result* asks for.

        One more look is nothing that a user waits for: writes go first.
        """
        at_most = Priority.NEWS if isinstance(result, Again) else Priority.USER
        match result:
            case Done() | Again():
                again = result.after if isinstance(result, Again) else None
                self._backoff.forget(key)
                self._quick.forget(key)
            case Retry():
                again = self._backoff.next(key)
            case RetryQuickly() | Dark():
                again = self._quick.next(key)
        if not isinstance(result, Dark):
            self.wake()
        else:
            self._breaker.failed(self._clock.monotonic())
            if self.is_dark:
                # The breaker holds the whole lane: a pause per key would only add to it.
                again = 0.0
                self._regulate()
        self._queue.done(key, again=again, at_most=at_most)

    def _regulate(self) -> None:
        """Let through what pausing and the breaker allow."""
        state = self._breaker.state(self._clock.monotonic())
        if self._telemetry is not None:
            self._telemetry.breaker(self.name, is_open=state is not BreakerState.CLOSED)
        if self._paused:
            return
        match state:
            case BreakerState.CLOSED:
                self._stop_probing()
                self._queue.release()
            case BreakerState.HALF_OPEN:
                self._queue.release(only=1)
            case BreakerState.OPEN:
                self._queue.hold()
                self._probe_later()

    def _probe_later(self) -> None:
        if self._probe is None:
            log.info(
                "the breaker is open: passes wait for the remote to answer",
                extra={"lane": self.name, "reason": "RemoteUnreachable"},
            )
        else:
            self._probe.cancel()
        remaining = self._breaker.remaining(self._clock.monotonic())
        self._probe = asyncio.create_task(
            self._probe_after(remaining), name=f"lane {self.name} probe"
        )

    async def _probe_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._regulate()

    def _stop_probing(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None

    def _waited(self, seconds: float) -> None:
        if self._telemetry is not None:
            self._telemetry.waited_in_queue(self.name, seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crashed(error)


def _tell_the_loop(error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "a lane's worker ended: this is a bug", "exception": error}
    )
