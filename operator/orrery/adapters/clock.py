"""The system's clock."""

import asyncio
import time


class SystemClock:
    """Implements `orrery.ports.Clock` with the time of this machine."""

    def now(self) -> float:
        """Return wall-clock seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
