"""Do something every so often, with jitter, so that many such things do not come together."""

from collections.abc import Awaitable, Callable
from random import Random

from orrery.ports import Clock

JITTER = 0.2
"""Part of the interval by which each wait is shorter or longer."""


async def every(
    seconds: float,
    callback: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    random: Random,
    jitter: float = JITTER,
) -> None:
    """Call *callback* about every *seconds*, for ever; the first time after one interval."""
    while True:
        await clock.sleep(seconds * random.uniform(1 - jitter, 1 + jitter))
        await callback()
