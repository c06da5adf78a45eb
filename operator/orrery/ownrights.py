"""Look now and then whether the hub lets the operator do all that it has to do, and say what not.

It works on with what it may do. But it is not ready, so an upgrade that forgot a new right stands
still before the operator that has all it needs is gone.
"""

import logging
from typing import Final

from orrery.errors import OrreryError
from orrery.ports import Clock
from orrery.ports.hubrights import EVERYWHERE, INSIDE, HubRights

log = logging.getLogger(__name__)

AGAIN: Final = 600.0
"""Seconds to the next look when nothing is missing."""
SOON: Final = 15.0
"""Seconds to the next look when something is, or when nobody knows."""

REMEDY: Final = "apply what `orrery render operator` prints for this version"


class OwnRights:
    """What is missing, as of the last look."""

    def __init__(self, rights: HubRights, clock: Clock) -> None:
        self._rights = rights
        self._clock = clock
        self.problems: list[str] = []
        """A sentence for each right that is missing."""

    async def keep_looking(self) -> None:
        """Look for ever."""
        while True:
            known = await self._look()
            await self._clock.sleep(AGAIN if known and not self.problems else SOON)

    async def _look(self) -> bool:
        """Look once; return whether the hub answered. A hub that does not changes nothing."""
        try:
            missing = await self._rights.missing([*EVERYWHERE, *INSIDE])
        except OrreryError as error:
            log.debug("cannot ask for our rights: %s", error.message)
            return False
        problems = [f"the hub does not let us {right}" for right in missing]
        for problem in problems:
            if problem not in self.problems:
                log.error("%s: %s", problem, REMEDY, extra={"reason": "RightsMissing"})
        if self.problems and not problems:
            log.info("the hub lets us do all that we need")
        self.problems = problems
        return True
