"""A clock that follows the event loop, so that loop time (virtual in world tests) is all time."""

import asyncio

EPOCH = 1_767_225_600.0
"""2026-01-01, where wall-clock time begins."""


class LoopClock:
    """The port `Clock` on the running loop; its wall clock can be put forward."""

    ahead = 0.0
    """Seconds by which the wall clock is ahead of the loop."""

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time() + self.ahead

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
