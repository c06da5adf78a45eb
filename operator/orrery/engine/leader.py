"""Elect one leader among the running operators by a Lease.

Two leaders are harmless (every write is a compare-and-set) but wasteful. The client library has an
election; it compares clocks of the wall, ends at a connection error and never releases its lease.

A candidate trusts its own monotonic clock only: a lease has expired when *this* process has not
seen it change for as long as its holder asked for. So clocks may differ, and jump.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from orrery.errors import Conflict, OrreryError, OutcomeUnknown, Unreachable
from orrery.ports import Clock, Lease, LeaseStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts, in seconds; the relation of the three is what keeps it safe."""

    duration: float = 15.0
    """A lease that is not renewed for so long is free."""
    deadline: float = 10.0
    """A leader that could not renew for so long steps down; well below *duration*."""
    retry: float = 2.0
    """Between two attempts to renew or to acquire."""


class Elector:
    """One candidate; *identity* must be new for every process."""

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        *,
        clock: Clock,
        random: Random,
        terms: Terms | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._random = random
        self._terms = terms or Terms()
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[asyncio.Event]:
        """Wait for the lease, hold it in the block, release it after.

        The event is set when the lease is lost: end the block at once. It is not released then.
        """
        await self._acquire()
        lost = asyncio.Event()
        renewing = asyncio.create_task(self._keep_renewing(lost), name="lease renewal")
        try:
            yield lost
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if not lost.is_set():
                await self._release()

    async def _acquire(self) -> None:
        while not await self._try_to_acquire():
            await self._clock.sleep(self._terms.retry * self._random.uniform(1.0, 1.2))
        log.info("this operator leads", extra={"reason": "LeaseAcquired", "object": self._identity})

    async def _try_to_acquire(self) -> bool:
        asked_at = self._clock.monotonic()
        try:
            found = await self._store.read()
            if found is not None and not self._is_free(found):
                return False
            self._seen = await self._take_over(found)
        except OrreryError as error:
            log.debug("no lease: %s", error.message, extra={"reason": error.reason})
            return False
        self._renewed_at = asked_at
        return True

    def _is_free(self, found: Lease) -> bool:
        now = self._clock.monotonic()
        if self._seen is None or self._seen.version != found.version:
            if self._seen is None or self._seen.holder != found.holder:
                log.info("another operator leads", extra={"object": found.holder or "nobody"})
            self._seen, self._seen_at = found, now
        return not found.holder or now - self._seen_at >= found.duration

    async def _take_over(self, found: Lease | None) -> Lease:
        now = self._clock.now()
        lease = Lease(self._identity, self._terms.duration, acquired=now, renewed=now)
        if found is None:
            return await self._store.create(lease)
        transitions = found.transitions + 1
        return await self._store.update(
            replace(lease, transitions=transitions, version=found.version)
        )

    async def _keep_renewing(self, lost: asyncio.Event) -> None:
        while True:
            await self._clock.sleep(self._terms.retry)
            if not await self._renew():
                log.error("this operator no longer leads", extra={"reason": "LeaseLost"})
                lost.set()
                return

    async def _renew(self) -> bool:
        """Renew once; tell whether this process may go on leading.

        The time that counts is the one before the request: the lease lives from when the server
        took it, which is later. A process that was frozen past its deadline does not even ask.
        """
        asked_at = self._clock.monotonic()
        left = self._renewed_at + self._terms.deadline - asked_at
        if left <= 0:
            return False
        try:
            async with asyncio.timeout(left):
                renewed = await self._write(renewed=self._clock.now())
        except (Unreachable, OutcomeUnknown, Conflict, TimeoutError) as error:
            log.warning("the lease was not renewed: %s", error, extra={"reason": "LeaseNotRenewed"})
            return self._clock.monotonic() < self._renewed_at + self._terms.deadline
        except OrreryError as error:
            log.error("the lease cannot be renewed: %s", error.message)  # noqa: TRY400 - no bug
            return False
        if renewed:
            self._renewed_at = asked_at
        return renewed

    async def _write(self, **changes: Any) -> bool:
        """Change the lease; False when it is another's by now.

        An own write whose answer was lost shows as a conflict: then the lease is read, once.
        """
        assert self._seen is not None
        try:
            self._seen = await self._store.update(replace(self._seen, **changes))
        except Conflict:
            found = await self._store.read()
            if found is None or found.holder != self._identity:
                return False
            self._seen = await self._store.update(replace(found, **changes))
        return True

    async def _release(self) -> None:
        """Leave the lease to whoever asks next, so that nobody waits for it to expire."""
        try:
            released = await self._write(holder="", duration=1.0)
        except OrreryError as error:
            log.warning("the lease was not released: %s", error.message)
            return
        if released:
            log.info("the lease is released", extra={"reason": "LeaseReleased"})
