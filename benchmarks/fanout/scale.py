"""How much a run measures. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

FASTEST_RTT: Final = 0.020
SLOWEST_RTT: Final = 0.300
"""Seconds; round trips are spread evenly between the two."""

SLOW_RTT: Final = 2.0
"""Round trip of the one slow region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The numbers of one run."""

    regions: int
    rounds: int
    """Deployments that are timed from apply to registered, for each contender and set of faults."""
    patience: float
    """Seconds after which no further round of a peer is begun: some take half a minute each."""
    sustained: int
    """Deployments that are applied at once, to see registers per second."""
    idle: tuple[int, ...]
    """Deployments at rest while requests are counted, in growing order."""
    idle_seconds: float
    restart: int
    """Deployments that a restarted operator finds unchanged."""
    changes: int
    """Changes of a user while it starts."""


QUICK: Final = Scale(
    regions=100,
    rounds=6,
    patience=10.0,
    sustained=60,
    idle=(100, 1_000),
    idle_seconds=30.0,
    restart=1_000,
    changes=5,
)

FULL: Final = Scale(
    regions=100,
    rounds=100,
    patience=180.0,
    sustained=100,
    idle=(100, 1_000, 4_000),
    idle_seconds=600.0,
    restart=10_000,
    changes=10,
)


def round_trips(regions: Sequence[str]) -> dict[str, float]:
    """Spread round trips evenly over *regions*, in seconds.

    Shuffled, the same way each time: whoever goes through regions by name must not happen to ask
    the farthest last.
    """
    step = (SLOWEST_RTT - FASTEST_RTT) / max(1, len(regions) - 1)
    steps = list(range(len(regions)))
    Random(0).shuffle(steps)
    return {
        region: FASTEST_RTT + step * number for region, number in zip(regions, steps, strict=True)
    }
