"""The regions as the benchmark sees them: a process to ask, and how to reach each region."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from benchmarks.fanout.process import ROOT, Measured
from benchmarks.fanout.scale import round_trips
from benchmarks.fanout.simulator import REGIONS_FILE
from benchmarks.fanout.workload import NOMAD_NAMESPACE, RAW_NAMESPACE

from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.processes import await_ready, environment, start, stop

READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Registers:
    """What all regions together have taken."""

    moment: float
    """When the newest was taken, in seconds since the epoch."""
    jobs: int
    registers: int


@dataclass(frozen=True, slots=True)
class Regions:
    """The simulated regions."""

    file: Path
    """`regions.json`."""
    names: list[str]
    continents: dict[str, str]
    entries: dict[str, dict[str, str]]
    rtt: dict[str, float]
    """Round trip of each region in seconds, while `distant`."""
    process: Measured
    session: aiohttp.ClientSession

    async def distant(self) -> None:
        """Put every region at its distance."""
        await self.faults({name: {"latency": rtt} for name, rtt in self.rtt.items()})

    async def near(self) -> None:
        """Take all distances away."""
        await self.faults({name: {"latency": 0.0} for name in self.names})

    async def faults(self, faults: Mapping[str, Mapping[str, Any]]) -> None:
        """Switch faults, by region."""
        await self._call("PUT", "/faults", faults)

    async def registered(self, job: str, namespace: str = NOMAD_NAMESPACE) -> dict[str, float]:
        """Tell when each region took the newest version of *job*, by wall clock."""
        query = f"job={job}&namespace={namespace}"
        moments: dict[str, float] = await self._call("GET", f"/registered?{query}")
        return moments

    async def make_room_for_raw(self) -> None:
        """Create the raw client's namespace: whoever follows the regions by now does not see it."""
        await self._call("PUT", "/namespace", {"name": RAW_NAMESPACE})

    async def registers(self) -> Registers:
        """Sum up what was registered."""
        return Registers(**await self._call("GET", "/last"))

    async def forget_counts(self) -> None:
        """Count from zero."""
        await self._call("DELETE", "/counters")

    async def requests(self) -> dict[str, Counter[str]]:
        """Count the requests of each region, as in ``PUT /v1/job/:id``."""
        found = await self._call("GET", "/counters")
        return {name: Counter(counters["requests"]) for name, counters in found.items()}

    async def writes(self) -> Counter[str]:
        """Count the writes of all regions."""
        found = await self._call("GET", "/counters")
        return sum((Counter(c["writes"]) for c in found.values()), Counter())

    async def seed(self, jobs: list[dict[str, Any]]) -> dict[str, int]:
        """Have every region hold *jobs*, healthy; return the JobModifyIndex of every job."""
        indexes: dict[str, int] = await self._call("PUT", "/seed", {"jobs": jobs})
        return indexes

    async def reset(self) -> None:
        """Empty all regions. No operator may be running."""
        await self._call("PUT", "/reset")

    async def _call(self, method: str, path: str, document: object = None) -> Any:
        async with self.session.request(method, path, json=document) as reply:
            text = await reply.text()
            if not reply.ok:
                raise RuntimeError(f"the simulator: {method} {path}: {reply.status}: {text}")
            return json.loads(text) if text else None


@asynccontextmanager
async def running_regions(directory: Path, count: int) -> AsyncIterator[Regions]:
    """Run *count* simulated regions."""
    port = reserve_port()
    command = [sys.executable, "-m", "benchmarks.fanout.simulator"]
    process = start(
        "simulator",
        [*command, str(directory), str(count), str(port)],
        log=directory / "log",
        env=environment(str(directory), {"PYTHONPATH": str(ROOT)}),
    )
    file = directory / REGIONS_FILE

    async def ready() -> bool:
        await asyncio.sleep(0)
        return file.exists()

    try:
        await await_ready(ready, what="regions", deadline=READY_WITHIN, watched=[process])
        entries = {entry["name"]: entry for entry in json.loads(file.read_text(encoding="utf-8"))}
        names = sorted(entries)
        async with aiohttp.ClientSession(
            f"http://{LOOPBACK}:{port}", timeout=aiohttp.ClientTimeout(total=3600)
        ) as session:
            yield Regions(
                file=file,
                names=names,
                continents={name: entry["continent"] for name, entry in entries.items()},
                entries=entries,
                rtt=round_trips(names),
                process=Measured(process),
                session=session,
            )
    finally:
        await stop(process)
