"""What passed a fault proxy: the input of oracles."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.lab.faultproxy_wire import Request

LEASES: Final = "/leases"
"""Renewals of a lease are heartbeats: they are noted, and not counted as writes."""


@dataclass(frozen=True)
class Match:
    """Which requests a rule is about; what is not given matches all."""

    target: str = ""
    method: str = ""
    path: str = ""
    """The path has to hold these words."""
    writes: bool | None = None
    streams: bool | None = None
    write: int = 0
    """The number of the write, counted over all targets from 1."""

    def __call__(self, entry: "Entry") -> bool:
        request = entry.request
        return (
            self.target in {"", entry.target}
            and self.method in {"", request.method}
            and self.path in request.path
            and self.writes in {None, request.writes}
            and self.streams in {None, request.streams}
            and self.write in {0, entry.write}
        )


@dataclass
class Entry:
    """One request and what became of it."""

    order: int
    target: str
    request: Request
    time: float
    """When it arrived, in seconds of the loop's clock."""
    write: int = 0
    """Its number among the writes over all targets, from 1; 0 when it is none."""
    status: int | None = None
    """What the server answered; None when the request did not reach it, or no reply came."""
    told: int | None = None
    """What the client was told, None when nothing."""
    fault: str = ""
    """What was done to it, empty when it just passed."""
    done: float | None = None
    """When it was over, by the loop's clock."""

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def applied(self) -> bool:
        """Tell whether a write was carried out, whatever its client knows of it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def verb(self) -> str:
        """Name what a write does to a job of a region, in the protocol's words; else the method."""
        if "/v1/job/" not in self.path:
            return self.method
        if self.method == "DELETE":
            return "purge"
        job = (self.request.document or {}).get("Job", {})
        return "stop" if job.get("Stop") else "register"

    @property
    def job(self) -> str:
        """Name the job that a request to a region is about; empty when it is about none."""
        _, _, rest = self.path.partition("/v1/job/")
        return rest.partition("/")[0]

    def __str__(self) -> str:
        number = f"write {self.write}: " if self.write else ""
        fault = f" [{self.fault}]" if self.fault else ""
        return f"{number}{self.target} {self.method} {self.path} -> {self.status}{fault}"


@dataclass
class Journal:
    """All requests, in the order of their arrival."""

    entries: list[Entry] = field(default_factory=list)
    counted: int = 0
    """Writes so far, over all targets."""

    def note(self, target: str, request: Request, now: float) -> Entry:
        """Write a request down, and count it if it is a write."""
        entry = Entry(len(self.entries) + 1, target, request, now)
        if request.writes and LEASES not in request.path:
            self.counted += 1
            entry.write = self.counted
        self.entries.append(entry)
        return entry

    def begin(self) -> None:
        """Forget everything, and count from 1 again."""
        self.entries.clear()
        self.counted = 0

    def of(self, match: Match) -> Iterator[Entry]:
        """Iterate over the requests that *match*."""
        return (entry for entry in self.entries if match(entry))

    def count(self, match: Match) -> int:
        """Count the requests that *match*."""
        return sum(1 for _ in self.of(match))

    @property
    def writes(self) -> list[Entry]:
        """The counted writes."""
        return [entry for entry in self.entries if entry.write]

    def updates(self, target: str = "") -> Counter[str]:
        """Count what was done to the jobs of regions, as ``region verb job``."""
        return Counter(
            f"{entry.target} {entry.verb} {entry.job}"
            for entry in self.of(Match(target=target, writes=True))
            if entry.job and entry.applied
        )

    def busiest(self, target: str) -> int:
        """Return the most requests that were under way at one moment, streams left out."""
        found = [e for e in self.of(Match(target=target, streams=False)) if e.done is not None]
        moments = [(e.time, 1) for e in found] + [(e.done or 0.0, -1) for e in found]
        most = now = 0
        for _, step in sorted(moments):
            now += step
            most = max(most, now)
        return most
