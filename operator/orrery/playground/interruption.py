"""What Ctrl-C does to a playground: it ends what is under way, and never what takes things down."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def cancel_on_signals() -> None:
    """Let Ctrl-C and a polite kill cancel the current task, each time.

    By default the second Ctrl-C ends the process on the spot, whatever it was cleaning up.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task, "asyncio.run makes one"
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)


async def to_the_end(work: Coroutine[Any, Any, T], say: Callable[[str], None]) -> T:
    """Take things down, by *work*, whatever cancels meanwhile; each attempt is answered."""
    task, waiting = asyncio.ensure_future(work), asyncio.current_task()
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            if waiting:
                waiting.uncancel()
            say("still taking down, a moment")
