"""A process of the operator that can be killed at a chosen write.

All that a controller does to the world goes through its `Life`. A dead life changes nothing any
more: its calls never return, as those of a killed process never do.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import iscoroutinefunction
from typing import Any, Protocol

from orrery.errors import OutcomeUnknown
from orrery.ports import ObjectRef

WRITES = {
    "register_job",
    "purge_job",
    "create_namespace",
    "create_token",
    "revoke_token",
    "write_policy",
    "write_variable",
    "delete_variable",
    "write_status",
    "add_finalizer",
    "remove_finalizer",
    "emit_event",
    "write_secret",
    "delete_secret",
    "apply",
    "create",
    "delete",
}


class Remote(Protocol):
    """What counts the writes that changed something in it."""

    writes: Counter[str]


class Fate(StrEnum):
    """What becomes of one write, and of the process that sends it."""

    KILLED_BEFORE = "killed-before"
    """The process dies, the request is never sent."""
    KILLED_UNTOLD = "killed-untold"
    """The write is applied, the process dies before the reply."""
    KILLED_AFTER = "killed-after"
    """The write is applied, the process reads the reply and dies at its next call."""
    LOST_REQUEST = "lost-request"
    """The process lives and does not know the outcome: nothing was applied."""
    LOST_REPLY = "lost-reply"
    """The process lives and does not know the outcome: the write was applied."""

    @property
    def kills(self) -> bool:
        return self in {Fate.KILLED_BEFORE, Fate.KILLED_UNTOLD, Fate.KILLED_AFTER}


@dataclass
class Ledger:
    """All writes of all lives, in order; *plan* says which of them goes wrong, counted from 1."""

    plan: Mapping[int, Fate] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """Each write as ``target verb object``, also those that were lost."""
    applied: Counter[str] = field(default_factory=Counter)
    last: float = 0.0
    """When the last write was sent, in loop time."""
    counting: bool = False

    def next(self, write: str) -> Fate | None:
        """Count a write and say what becomes of it."""
        self.last = asyncio.get_running_loop().time()
        if not self.counting:
            return None
        self.sent.append(write)
        return self.plan.get(len(self.sent))


class Life:
    """One process of the operator."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.dead = False
        self._doomed = False

    def sees(self, target: str, remote: Remote) -> Any:
        """Return *remote* as this process sees it."""
        return _Seen(self, target, remote)

    async def read(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Send a request that changes nothing."""
        await self._breathe()
        return await call()

    async def write(
        self, write: str, call: Callable[[], Awaitable[Any]], *, done: Counter[str]
    ) -> Any:
        """Send a request that changes something, if it is this process's fate to.

        It counts as applied when the remote counts it among the writes that it has *done*.
        """
        await self._breathe()
        fate = self.ledger.next(write)
        if fate is Fate.KILLED_BEFORE:
            await self._die()
        if fate is Fate.LOST_REQUEST:
            raise OutcomeUnknown("RequestLost", "the request was lost")
        before = done.total()
        answer = await call()
        self.ledger.applied[write] += done.total() > before
        if fate is Fate.KILLED_UNTOLD:
            await self._die()
        if fate is Fate.LOST_REPLY:
            raise OutcomeUnknown("ReplyLost", "the reply was lost")
        self._doomed = fate is Fate.KILLED_AFTER
        return answer

    async def _breathe(self) -> None:
        if self.dead or self._doomed:
            await self._die()

    async def _die(self) -> None:
        self.dead = True
        await asyncio.get_running_loop().create_future()


class _Seen:
    """Hands every attribute through; each call asks the life first."""

    def __init__(self, life: Life, target: str, remote: Remote) -> None:
        self._life = life
        self._target = target
        self._remote = remote

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._remote, name)
        if not iscoroutinefunction(attribute) or name == "close":
            return attribute

        async def call(*args: Any, **keywords: Any) -> Any:
            if name not in WRITES:
                return await self._life.read(lambda: attribute(*args, **keywords))
            write = f"{self._target} {name} {_object(args)}"
            return await self._life.write(
                write, lambda: attribute(*args, **keywords), done=self._remote.writes
            )

        setattr(self, name, call)
        return call


def _object(args: tuple[Any, ...]) -> str:
    """Name what a write is about, without what varies from run to run."""
    match args:
        case (Mapping() as manifest, *_) if "kind" in manifest:
            return str(ObjectRef.of(manifest))
        case (Mapping() as document, *_):
            return f"{document['Namespace']}/{document['ID']}"
        case (str() as namespace, str() as name, *_):
            return f"{namespace}/{name}"
        case (first, *_):
            return str(getattr(first, "key", first))
    return ""
