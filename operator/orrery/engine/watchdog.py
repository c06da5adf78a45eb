"""Notice that something has stopped without saying so. Asked by the liveness probe.

A stuck event loop needs no rule here: it does not answer the probe either.
"""

from collections.abc import Callable
from dataclasses import dataclass

from orrery.ports import Clock


@dataclass(slots=True)
class _Expectation:
    within: float
    last: float


class Watchdog:
    """Knows what must give a sign of life how often, and what must never take how long."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signs: dict[str, _Expectation] = {}
        self._durations: dict[str, tuple[float, Callable[[], float]]] = {}

    def expect(self, name: str, *, within: float) -> None:
        """Demand a sign of *name* at least every *within* seconds, from now on."""
        self._signs[name] = _Expectation(within, self._clock.monotonic())

    def saw(self, name: str) -> None:
        """Take note of a sign of *name*; one that nobody expects is ignored."""
        if name in self._signs:
            self._signs[name].last = self._clock.monotonic()

    def limit(self, name: str, duration: Callable[[], float], *, within: float) -> None:
        """Demand that *duration* of *name* stays below *within* seconds."""
        self._durations[name] = (within, duration)

    def forget(self, name: str) -> None:
        """Demand nothing of *name* any more."""
        self._signs.pop(name, None)
        self._durations.pop(name, None)

    def problems(self) -> list[str]:
        """List what is wrong, as sentences; empty while all is well."""
        now = self._clock.monotonic()
        silent = [
            f"{name} gave no sign for {now - sign.last:.0f} s, allowed are {sign.within:.0f} s"
            for name, sign in sorted(self._signs.items())
            if now - sign.last > sign.within
        ]
        slow = [
            f"{name} takes {duration():.0f} s already, allowed are {within:.0f} s"
            for name, (within, duration) in sorted(self._durations.items())
            if duration() > within
        ]
        return silent + slow
