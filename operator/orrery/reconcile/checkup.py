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
"""Seconds between two looks whether a region answers that did not."""

STAGGER: Final = 2.0
"""Seconds over which the first looks at all regions are spread."""


@dataclass(frozen=True, slots=True)
class CheckupPace:
    """How often a region is asked, in seconds, more or less."""

    urgent: float = 10
    """Between two looks at its servers while the region waits for its checks."""
    calm_pieces: int = 6
    """How many times that long it is between two looks else."""
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
        """Look for ever; a region that does not answer is not asked, and is a new one on return."""
        while True:
            while not self._answers():
                await self._clock.sleep(FIRST_LOOK)
            if not self.urgent:  # All regions begin at once: their handshakes need not.
                await self._clock.sleep(self._random.uniform(0.0, STAGGER))
            while self._answers():
                await self._look()
                await self._pause()
            self.vitals = Vitals()

    async def _look(self) -> None:
        before = mark(self.vitals)
        await self._ask_servers()
        await self._knock()
        if mark(self.vitals) != before:
            self._changed()

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
        """Wait for the next look, in short pieces: it may become urgent meanwhile, or void."""
        pieces = 0
        while self._answers() and pieces < (1 if self.urgent else self._pace.calm_pieces):
            await self._clock.sleep(self._pace.urgent * self._random.uniform(0.9, 1.1))
            pieces += 1
