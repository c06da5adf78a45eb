"""A clock on the event loop's time, which looptime lets pass without waiting."""

import asyncio


class LoopClock:
    """Monotonic time is the loop's; the wall's is off by *skew*."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew
        self.frozen_for = 0.0
        self._thaw = 0.0

    def now(self) -> float:
        return 1_700_000_000 + self.skew + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Sleep; a frozen process wakes up late."""
        late, self.frozen_for = self.frozen_for, 0.0
        await asyncio.sleep(seconds + late)
