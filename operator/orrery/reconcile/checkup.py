"""Ask a region what its checks need to know and its actor does not see anyway: little, and seldom.

One request to the servers a minute, and every ten minutes a handshake as a stranger: while a region
waits for its checks, both every ten seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from orrery.errors import OrreryError
from orrery.planning.checkfacts import Vitals
from orrery.planning.checks import mark
from orrery.ports import Clock, RegionNomad

FIRST_LOOK: Final = 0.5
"""Seconds between two looks whether the region answers, after a start."""

STAGGER: Final = 2.0
"""Seconds over which the first looks at all regions are spread."""


@dataclass(frozen=True, slots=True)
class CheckupPace:
    """How often a region is asked, in seconds, jittered by a tenth."""

    calm: float = 60
    """Between two looks at its servers."""
    urgent: float = 10
    """The same while the region waits for its checks."""
    knock: float = 600
    """Between two calls as a stranger, once he was turned away."""


class Checkup:
    """Keeps a region's vitals; *changed* hears when they say something else than before."""

    def __init__(
        self,
        nomad: RegionNomad,
        *,
        answers: Callable[[], bool],
        changed: Callable[[], None],
        clock: Clock,
        random: Random,
        pace: CheckupPace | None = None,
    ) -> None:
        self.vitals = Vitals()
        self.urgent = False
        """Whether somebody waits for the checks to pass."""
        self._nomad = nomad
        self._answers = answers
        self._changed = changed
        self._clock = clock
        self._random = random
        self._pace = pace or CheckupPace()

    async def run(self) -> None:
        """Look for ever; a region that does not answer is not asked."""
        while not self._answers():
            await self._clock.sleep(FIRST_LOOK)
        if not self.urgent:  # All regions begin at once: their handshakes need not.
            await self._clock.sleep(self._random.uniform(0.0, STAGGER))
        while True:
            if self._answers():
                before = mark(self.vitals)
                await self._ask_servers()
                await self._knock()
                if mark(self.vitals) != before:
                    self._changed()
            await self._pause()

    async def _ask_servers(self) -> None:
        try:
            servers = await self._nomad.autopilot()
        except OrreryError as error:
            self.vitals = replace(self.vitals, problem=error.message)
        else:
            now = self._clock.now()
            self.vitals = replace(self.vitals, servers=servers, taken_at=now, problem="")

    async def _knock(self) -> None:
        known = self.vitals.knocked_at
        is_well = known is not None and self.vitals.admits_strangers is not True
        if is_well and self._clock.now() - (known or 0.0) < self._pace.knock:
            return
        try:
            admitted = await self._nomad.admits_strangers()
        except OrreryError as error:
            self.vitals = replace(self.vitals, knock_problem=error.message)
        else:
            now = self._clock.now()
            self.vitals = replace(
                self.vitals, admits_strangers=admitted, knocked_at=now, knock_problem=""
            )

    async def _pause(self) -> None:
        """Wait for the next look, in short pieces: it may become urgent meanwhile."""
        left = self._pace.calm
        while left > 0 and not (self.urgent and left <= self._pace.calm - self._pace.urgent):
            piece = min(left, self._pace.urgent)
            await self._clock.sleep(piece * self._random.uniform(0.9, 1.1))
            left -= piece
