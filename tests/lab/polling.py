"""Wait for something to come about: look again and again, and fail after a deadline.

A deadline is only reached by what never comes about, so it is generous: machines are slow at times.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")

PATIENCE: Final = 60.0
PAUSE: Final = 0.05


@overload
async def until(
    look: Callable[[], Awaitable[T | None]],
    *,
    seconds: float = PATIENCE,
    pause: float = PAUSE,
    told: Callable[[], object] | None = None,
) -> T: ...


@overload
async def until(
    look: Callable[[], T | None],
    *,
    seconds: float = PATIENCE,
    pause: float = PAUSE,
    told: Callable[[], object] | None = None,
) -> T: ...


async def until(
    look: Callable[[], Any],
    *,
    seconds: float = PATIENCE,
    pause: float = PAUSE,
    told: Callable[[], object] | None = None,
) -> Any:
    """Look until there is something to see, and return it.

    *look* may be asynchronous or not. *told* says at a failure what else there was to see.
    """
    end = time.monotonic() + seconds
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, _failure(seconds, found, told)
        await asyncio.sleep(pause)


def until_blocking(
    look: Callable[[], T | None],
    *,
    seconds: float = PATIENCE,
    pause: float = PAUSE,
    told: Callable[[], object] | None = None,
) -> T:
    """Look until there is something to see, and return it; for tests without a loop."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, _failure(seconds, found, told)
        time.sleep(pause)
    return found


def _failure(seconds: float, found: object, told: Callable[[], object] | None) -> str:
    return f"not within {seconds:g} s, but {found if told is None else told()!r}"
