"""Time, so that tests can own it."""

from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> float:
        """Return wall-clock seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
