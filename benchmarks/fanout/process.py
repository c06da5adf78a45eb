"""What a process costs: CPU time and memory, as Linux counts them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orrery.playground.processes import Process

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout."""

_TICK: Final = os.sysconf("SC_CLK_TCK")
_WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


class Ended(Exception):
    """A process ended that should run."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A running process."""

    process: Process

    def require(self) -> None:
        """Raise when it has ended, with its last words."""
        if not self.process.alive:
            raise Ended(f"{self.process.name} has ended: {self._last_words()}")

    @property
    def cpu(self) -> float:
        """Seconds of CPU time so far, of all its threads."""
        stat = self._read("stat").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / _TICK

    @property
    def resident(self) -> float:
        """Bytes that it holds in memory."""
        found = _RESIDENT.search(self._read("status"))
        assert found, "a process that has not ended holds some memory"
        return int(found[1]) * 1024

    def _last_words(self) -> str:
        """Return what it warned of in the end, else the end of its log."""
        text = self.process.log.read_text(encoding="utf-8", errors="replace")
        warnings = [line for line in text.splitlines() if _WARNING.search(line)]
        return "\n".join(warnings[-3:]) or self.process.log_tail()

    def _read(self, file: str) -> str:
        self.require()
        return Path(f"/proc/{self.process.pid}/{file}").read_text(encoding="utf-8")
