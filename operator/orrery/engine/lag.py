"""How late the event loop is, so that what can wait makes room for what cannot."""

from orrery.ports import Clock

EVERY = 0.1
"""Seconds between two measurements."""

FADE = 0.8
"""What is left of the last lag at the next measurement: a busy while is not over at once."""

PATIENCE = 20.0
"""Seconds that a look may wait for each second that the loop is late."""

LONGEST = 5.0
"""Seconds that it waits at most."""


class Lag:
    """Measures by how much a short sleep takes too long."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds = 0.0

    async def keep_measuring(self) -> None:
        """Measure until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            late = self._clock.monotonic() - began - EVERY
            self.seconds = max(late, self.seconds * FADE)

    @property
    def patience(self) -> float:
        """Seconds that a look is to wait now: the writes that users wait for go first."""
        return min(LONGEST, PATIENCE * self.seconds)
