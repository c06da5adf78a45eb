"""Write a status when it changed, at most once a second per object."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel

from orrery.errors import Conflict
from orrery.ports import Clock, Hub, Key

PACE = 1.0
"""Seconds between two status writes of one object."""

_CLOCK_GRAIN = 0.001
"""A shorter wait than this is none: clocks round."""


class StatusWriter:
    """Writes statuses and remembers the last one of each object, since the watch lags behind."""

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

    async def write(self, key: Key, uid: str, status: BaseModel) -> float | None:
        """Write *status*, or return the seconds to wait before that is allowed."""
        now = self._clock.monotonic()
        wait = self._written_at.get(key, now - PACE) + PACE - now
        if wait > _CLOCK_GRAIN:
            return wait
        document = status.model_dump(by_alias=True, exclude_none=True, mode="json")
        self._written_at[key] = now
        try:
            await self._hub.write_status(key, uid, document)
        except Conflict:
            return None
        self._last[key] = (uid, orjson.dumps(document))
        return None

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
    moment = clock.now() if seconds is None else seconds
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
