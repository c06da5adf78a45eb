"""Write a status when it changed, at most once a second per object."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from orrery.moments import text_at
from orrery.ports import Clock, Hub, Key

PACE = 1.0
"""Seconds between two status writes of one object."""

BUG = "a bug in Orrery keeps it from working on this: the operator's log has the details"
"""What users are told of it."""

_CLOCK_GRAIN = 0.001
"""A shorter wait than this is none: clocks round."""


class StatusWriter:
    """Writes statuses and remembers each until the watch has told of it, since that lags behind."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._last: dict[Key, tuple[str, bytes]] = {}
        self._written_at: dict[Key, float] = {}

    def last(self, key: Key, uid: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status that we last wrote, else the one that *body* came with."""
        written_to, status = self._last.get(key, ("", b""))
        if status and written_to == uid:
            return dict(orjson.loads(status))
        return dict(body.get("status") or {})

    async def write(
        self, key: Key, uid: str, status: BaseModel, *, at_once: bool = False
    ) -> float | None:
        """Write *status*, or return the seconds to wait before that is allowed.

        Nothing waits *at_once*, for what must be written before something else is done.
        """
        now = self._clock.monotonic()
        wait = self._written_at.get(key, now - PACE) + PACE - now
        if wait > _CLOCK_GRAIN and not at_once:
            return wait
        document = status.model_dump(by_alias=True, exclude_none=True, mode="json")
        self._written_at[key] = now
        await self._hub.write_status(key, uid, document)
        self._last[key] = (uid, orjson.dumps(document))
        return None

    def seen(self, key: Key, body: Mapping[str, Any]) -> None:
        """Take note of what the hub holds: from when it is what we wrote, the hub is right."""
        _, status = self._last.get(key, ("", b""))
        if status and orjson.loads(status) == body.get("status"):
            del self._last[key]

    def forget_older(self, seconds: float) -> None:
        """Forget what was written long ago: if the hub holds something else, others wrote it."""
        limit = self._clock.monotonic() - seconds
        for key in [key for key in self._last if self._written_at.get(key, limit) <= limit]:
            del self._last[key]

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._written_at.pop(key, None)
        self._last.pop(key, None)

    def forget_all(self) -> None:
        """Forget everything: another process may have written in between."""
        self._last.clear()
        self._written_at.clear()


def timestamp(clock: Clock, seconds: float | None = None) -> str:
    """Write a moment as Kubernetes does, in whole seconds; by default this one."""
    return text_at(clock.now() if seconds is None else seconds)
