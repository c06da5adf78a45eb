"""Everything that a measurement works with, running."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fanout.hub import BenchHub, running_bench_hub
from benchmarks.fanout.rawclient import RawClient, raw_client
from benchmarks.fanout.regions import Regions, running_regions
from benchmarks.fanout.scale import Scale

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lab:
    """The regions, a hub, the raw client, and how much is measured."""

    directory: Path
    scale: Scale
    regions: Regions
    hub: BenchHub
    raw: RawClient
    say: Say

    async def clear(self) -> None:
        """Remove all deployments and jobs; no operator may be running."""
        await self.hub.clear("orrery.dev/v1alpha1", "GlobalDeployment")
        await self.hub.clear("bench.orrery.dev/v1", "FanOut")
        await self.regions.reset()
        await self.regions.forget_counts()


@asynccontextmanager
async def running_lab(directory: Path, scale: Scale, say: Say) -> AsyncIterator[Lab]:
    """Start all that is not measured."""
    say(f"starting {scale.regions} regions and a hub in {directory}")
    for part in ("regions", "hub"):
        (directory / part).mkdir()
    async with (
        running_regions(directory / "regions", scale.regions) as regions,
        running_bench_hub(directory / "hub", regions) as hub,
        raw_client(regions) as raw,
    ):
        yield Lab(directory, scale, regions, hub, raw, say)


async def until(
    holds: Callable[[], Awaitable[bool]], *, what: str, seconds: float, pause: float = 0.1
) -> None:
    """Wait until something holds; raises TimeoutError with *what* was waited for."""
    end = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(pause)
