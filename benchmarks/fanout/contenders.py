"""Who is measured: Orrery, and two operators that somebody might write instead, as processes."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from benchmarks.fanout.lab import Lab, until
from benchmarks.fanout.process import ROOT, Measured
from benchmarks.fanout.workload import Document, deployment, fan_out

from orrery.names import OPERATOR_NAMESPACE
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.processes import environment, start, stop
from orrery.playground.servers import cache

ORRERY: Final = "Orrery"
START_WITHIN: Final = 900.0
STOP_WITHIN: Final = 30.0
FAREWELL: Final = 2.0
"""Seconds that a process may take to end after it has closed its ports."""
PEERS: Final = ROOT / "benchmarks" / "peers"

_DEPTH = re.compile(r'^orrery_queue_depth\{lane="(?!regions")[^"]*"\} (\S+)$', re.MULTILINE)
"""Of all lanes but the one in which every region waits for its next check."""
_PASSES = re.compile(
    r'^orrery_reconcile_total\{kind="GlobalDeployment",[^}]*\} (\S+)$', re.MULTILINE
)
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Contender:
    """An operator that runs."""

    name: str
    process: Measured
    describe: Callable[[str], Document]
    """Makes the object that stands for a deployment of that name."""
    ready_regions: Callable[[Document], int]
    """Reads from such an object in how many regions all is done."""
    health: str = ""
    metrics: str = ""

    async def says_ready(self, session: aiohttp.ClientSession) -> bool:
        """Ask for its readiness; a candidate, which it is for a moment, calls itself ready too."""
        if not self.has_said("reconciling"):
            return False
        status, _ = await self._ask(session, f"{self.health}/readyz")
        return status == _OK

    def has_said(self, words: str) -> bool:
        """Look into its log."""
        self.process.require()
        return words in self.process.process.log.read_text(encoding="utf-8")

    async def answers_in(self, session: aiohttp.ClientSession) -> float:
        """Tell how many seconds its liveness probe takes: that its event loop is busy for."""
        began = time.monotonic()
        await self._ask(session, f"{self.health}/healthz")
        return time.monotonic() - began

    async def queued(self, session: aiohttp.ClientSession) -> int:
        """Count the keys that wait in its lanes."""
        return await self._sum(session, _DEPTH)

    async def passes(self, session: aiohttp.ClientSession) -> int:
        """Count how often it has looked at a deployment."""
        return await self._sum(session, _PASSES)

    async def _sum(self, session: aiohttp.ClientSession, samples: re.Pattern[str]) -> int:
        _, page = await self._ask(session, f"{self.metrics}/metrics")
        return round(sum(float(value) for value in samples.findall(page)))

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        """Read a page of it. Raises `Ended` when it has."""
        try:
            async with session.get(url) as reply:
                return reply.status, await reply.text()
        except aiohttp.ClientError as error:
            await asyncio.sleep(FAREWELL)
            self.process.require()
            raise TimeoutError(f"{self.name} does not answer: {error}") from error


def _orrery_ready(body: Document) -> int:
    status = body.get("status", {})
    if status.get("observedGeneration") != body.get("metadata", {}).get("generation"):
        return 0
    return int(status.get("summary", {}).get("ready", 0))


def _peer_ready(body: Document) -> int:
    return int(body.get("status", {}).get("registered", 0))


@asynccontextmanager
async def starting_orrery(
    lab: Lab, *, profile: Path | None = None, alone: bool = False
) -> AsyncIterator[Contender]:
    """Start Orrery and do not wait for anything. *alone*: it needs no lease."""
    await lab.hub.free_lease()
    metrics, health = reserve_port(), reserve_port()
    profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
    command = [sys.executable, "-P", *profiler, "-m", "orrery", "run"]
    command += ["--kubeconfig", str(lab.hub.kubeconfig), "--namespace", OPERATOR_NAMESPACE]
    command += ["--metrics-port", str(metrics), "--health-port", str(health)]
    command += ["--no-leader-election"] if alone else []
    process = start(
        ORRERY,
        command,
        log=lab.directory / f"orrery-{time.monotonic_ns()}.log",
        env=environment(str(lab.directory)),
    )
    try:
        yield Contender(
            ORRERY,
            Measured(process),
            deployment,
            _orrery_ready,
            f"http://{LOOPBACK}:{health}",
            f"http://{LOOPBACK}:{metrics}",
        )
    finally:
        await stop(process, grace=STOP_WITHIN)


@asynccontextmanager
async def running_orrery(
    lab: Lab, *, profile: Path | None = None, alone: bool = False
) -> AsyncIterator[Contender]:
    """Run Orrery, with every region open."""
    async with starting_orrery(lab, profile=profile, alone=alone) as orrery:
        session = lab.regions.session

        async def ready() -> bool:
            return await orrery.says_ready(session)

        async def all_open() -> bool:
            return await lab.hub.open_regions() == lab.scale.regions

        await until(ready, what="Orrery is ready", seconds=START_WITHIN)
        await until(all_open, what="all regions are open", seconds=START_WITHIN, pause=0.5)
        yield orrery


@dataclass(frozen=True, slots=True)
class Peer:
    """Another operator, and what makes it differ from its siblings."""

    name: str
    command: tuple[str, ...]


def peers(lab: Lab) -> list[Peer]:
    """List the peers that can run here."""
    kopf = (sys.executable, str(PEERS / "naive_kopf.py"), "--regions", str(lab.regions.file))
    found = [
        Peer("kopf, a loop", (*kopf, "--threads", "1")),
        Peer("kopf, 32 threads", (*kopf, "--threads", "32")),
    ]
    program = _build(lab)
    if program:
        runtime = (str(program), "-regions", str(lab.regions.file))
        found += [
            Peer("controller-runtime, 1 worker", (*runtime, "-workers", "1")),
            Peer("controller-runtime, 32 workers", (*runtime, "-workers", "32")),
            Peer("controller-runtime, parallel", (*runtime, "-workers", "32", "-parallel")),
        ]
    return found


@asynccontextmanager
async def running_peer(lab: Lab, peer: Peer) -> AsyncIterator[Contender]:
    """Run a peer; it is ready when it has done something."""
    process = start(
        peer.name,
        peer.command,
        log=lab.directory / f"{peer.name.replace(' ', '-')}.log",
        env=environment(str(lab.directory), {"KUBECONFIG": str(lab.hub.kubeconfig)}),
    )
    try:
        yield Contender(peer.name, Measured(process), fan_out, _peer_ready)
    finally:
        await stop(process, grace=STOP_WITHIN)


def _build(lab: Lab) -> Path | None:
    """Build the operator on controller-runtime with Go; say why when that cannot be."""
    go = shutil.which("go")
    if not go:
        lab.say("controller-runtime is left out: there is no Go on PATH")
        return None
    program = cache() / "bench-controller-runtime"
    program.parent.mkdir(parents=True, exist_ok=True)
    lab.say("building the controller-runtime peer; the first time takes a minute")
    built = subprocess.run(
        [go, "build", "-trimpath", "-o", str(program), "."],
        cwd=PEERS / "controller-runtime",
        env=os.environ | {"CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        lab.say(f"controller-runtime is left out: go build failed: {built.stderr.strip()[-500:]}")
        return None
    return program


async def settle(lab: Lab, contender: Contender, name: str, *, regions: int, within: float) -> None:
    """Wait until *contender* says that all is done in so many *regions*."""
    document = contender.describe(name)

    async def settled() -> bool:
        contender.process.require()
        return contender.ready_regions(await lab.hub.read(document)) >= regions

    what = f"{contender.name} has {name} ready in {regions} regions"
    await until(settled, what=what, seconds=within, pause=0.25)


async def quiet(lab: Lab, *, within: float) -> None:
    """Wait until no region was asked for anything but its leader for a second."""

    async def asked() -> int:
        counts = await lab.regions.requests()
        return sum(n for c in counts.values() for what, n in c.items() if "status" not in what)

    before = await asked()

    async def silent() -> bool:
        nonlocal before
        await asyncio.sleep(1)
        last, before = before, await asked()
        return before == last

    await until(silent, what="the regions are left alone", seconds=within)
