"""What a playground remembers of itself, and where it keeps things, below one directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from orrery.adapters.pki import write_file
from orrery.playground import shell
from orrery.playground.credentials import RegionFiles
from orrery.playground.failures import WrongState
from orrery.playground.processes import Process

OPERATOR: Final = "operator"
"""What the operator is called among the regions, for `kill` and `revive`."""


class HubKind(StrEnum):
    """What the hub is made of."""

    PROCESSES = "processes"
    KIND = "kind"


class NomadKind(StrEnum):
    """What the regions are made of."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """A region that was started, and the command that brings it back."""

    name: str
    continent: str
    address: str
    command: tuple[str, ...]
    process: Process
    killed: bool = False
    """Whether it is down because somebody asked for that."""


@dataclass(frozen=True, slots=True)
class State:
    """All that runs."""

    hub_kind: HubKind
    nomad_kind: NomadKind
    containers: bool = False
    """Whether instances are containers; otherwise they are stand-ins, or simulated."""
    hub: tuple[Process, ...] = ()
    hub_url: str = ""
    cluster: str = ""
    """Name of the kind cluster, when that is the hub."""
    operator: Process | None = None
    operator_command: tuple[str, ...] = ()
    """Runs it, and brings it back."""
    operator_killed: bool = False
    """Whether it is down because somebody asked for that."""
    metrics_port: int = 0
    health_port: int = 0
    regions: tuple[RegionRecord, ...] = ()
    ready: bool = False

    @property
    def processes(self) -> tuple[Process, ...]:
        """Every process on record, in the order of their start."""
        operator = (self.operator,) if self.operator else ()
        return (*self.hub, *(region.process for region in self.regions), *operator)

    def region(self, name: str) -> RegionRecord:
        """Find a region by name."""
        for region in self.regions:
            if region.name == name:
                return region
        known = ", ".join(region.name for region in self.regions)
        also = f"; `{OPERATOR}` is its operator" if self.operator else ""
        raise WrongState(f"this playground has no region '{name}', it has {known}{also}")


_FORMAT = TypeAdapter(State)
_CLAIM: Final = "This folder is an orrery playground, and its content is made and removed by it.\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a playground keeps what, below *root*, an absolute path."""

    root: Path

    @classmethod
    def of(cls, directory: Path) -> "Layout":
        """Lay out *directory*, given in whatever way."""
        return cls(directory.expanduser().resolve())

    @property
    def marker(self) -> str:
        """What tells the processes of this playground from others."""
        return str(self.root)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig of the hub."""
        return self.root / "kubeconfig"

    @property
    def regions_file(self) -> Path:
        """How to reach each region, for programs."""
        return self.root / "regions.json"

    @property
    def state_file(self) -> Path:
        """What runs."""
        return self.root / "state.json"

    @property
    def hub(self) -> Path:
        """Data and certificates of the hub."""
        return self.root / "hub"

    @property
    def regions(self) -> Path:
        """Data and certificates of the regions."""
        return self.root / "regions"

    @property
    def logs(self) -> Path:
        """One log per process; kept by `down`."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held while a command changes the playground; its text says whose the directory is."""
        return self.root / ".lock"

    @property
    def claimed(self) -> bool:
        """Whether the directory is a playground, or was one."""
        try:
            return self.lock.read_text(encoding="utf-8") == _CLAIM
        except (OSError, UnicodeDecodeError):
            return False

    def files_of(self, region: str) -> RegionFiles:
        """Locate the files of one region."""
        return RegionFiles(self.regions / region)

    def log_of(self, process: str) -> Path:
        """Locate the log of one process."""
        return self.logs / f"{process}.log"

    def read(self) -> State | None:
        """Read what runs, None when nothing is on record."""
        try:
            return _FORMAT.validate_json(self.state_file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise WrongState(f"{self.state_file} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise WrongState(
                f"{self.state_file} was written by another version of orrery: take that playground"
                " down with the version that made it"
            ) from error

    def require(self) -> State:
        """Read what runs, or say that nothing does."""
        state = self.read()
        if not state:
            way = shell.orrery("playground", "up", "--directory", self.root)
            raise WrongState(f"{self.root} holds no playground: start one with `{way}`")
        return state

    def write(self, state: State) -> None:
        """Remember what runs."""
        write_file(self.state_file, _FORMAT.dump_json(state, indent=2).decode() + "\n")

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other commands from changing this playground meanwhile, and claim the directory."""
        with self.lock.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WrongState(
                    f"another command is changing the playground in {self.root}: wait for it"
                ) from error
            if not self.lock.stat().st_size:
                file.write(_CLAIM)
                file.flush()
            yield
