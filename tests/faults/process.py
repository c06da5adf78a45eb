"""The operator as its own process, which can be killed, frozen and looked into."""

import asyncio
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from tests.lab.polling import until

from orrery.playground.processes import environment

STOP_WITHIN = 25.0
ORRERY = ("-m", "orrery")
_METRIC = re.compile(r"^([a-z_]+)(\{.*\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Sample:
    """One line of the metrics page."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(eq=False)
class OperatorProcess:
    """One run of ``orrery run``."""

    log: Path
    process: asyncio.subprocess.Process
    read: int = field(default=0, repr=False)
    """Where the log of this run begins: a restarted operator goes on in the same file."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def said(self) -> str:
        return self.log.read_bytes()[self.read :].decode()

    def kill(self) -> None:
        """End the process at once, as a power failure would."""
        if self.alive:
            self.process.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def ended(self, *, within: float = STOP_WITHIN) -> int:
        """Wait for the end of the process, and return its exit status."""
        return await asyncio.wait_for(self.process.wait(), within)

    async def stop(self) -> None:
        """Ask for a clean end, and make sure that there is one."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()
            raise

    async def is_ready(self) -> bool:
        """Tell whether it has looked at everything once; fails when the process has ended."""
        assert self.alive, self.said[-4000:]
        return (await self._get("probes", "/readyz"))[0] == 200

    async def until_ready(self) -> None:
        await until(self.is_ready, told=lambda: self.said[-4000:])

    async def metrics(self, name: str) -> list[Sample]:
        """Read the samples of one metric."""
        _, page = await self._get("metrics", "/metrics")
        return [
            Sample(name, dict(_LABEL.findall(labels)), float(value))
            for found, labels, value in _METRIC.findall(page)
            if found == name
        ]

    async def _get(self, server: str, path: str) -> tuple[int, str]:
        port = re.search(rf"{server} on port (\d+)", self.said)
        if port is None:
            return 0, ""
        url = f"http://127.0.0.1:{port[1]}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as reply:
                return reply.status, await reply.text()
        except aiohttp.ClientError:
            return 0, ""  # It has just been killed, or does not serve yet.


async def start_operator(
    kubeconfig: Path,
    log: Path,
    *options: str,
    program: Sequence[str] = ORRERY,
    variables: Mapping[str, str] | None = None,
) -> OperatorProcess:
    """Start ``orrery run``; it writes to *log*, behind what is there.

    Another *program* may stand in front, and more *variables* in the environment.
    """
    words = ["--kubeconfig", str(kubeconfig), "--metrics-port", "0", "--health-port", "0"]
    with log.open("ab") as stream:
        before = stream.tell()
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-P", *program, "run", *words, *options],
            stderr=stream,
            env=environment(str(log.parent), variables),
        )
    return OperatorProcess(log, process, before)
