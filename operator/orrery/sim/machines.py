"""The simulated machines of a region."""

from collections.abc import Mapping
from dataclasses import dataclass, field

VERSION = "2.0.6"
PRERELEASE = "sim"
BUILD = f"{VERSION}-{PRERELEASE}"

DRIVERS = frozenset({"docker", "exec", "java", "mock_driver", "raw_exec"})


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: what it has, where it stands, which task drivers are healthy on it."""

    name: str
    datacenter: str = "dc1"
    cpu_mhz: int = 8000
    memory_mb: int = 16384
    drivers: frozenset[str] = DRIVERS
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Beside the usual ones, such as ``kernel.name``, which every machine has."""

    def attribute(self, name: str) -> str | None:
        """Look an attribute up, None when the machine has not got it."""
        known = {
            "cpu.arch": "amd64",
            "kernel.name": "linux",
            "nomad.version": BUILD,
            "nomad.service_discovery": "true",
            "unique.hostname": self.name,
            **{f"driver.{driver}": "1" for driver in self.drivers},
            **self.attributes,
        }
        return known.get(name)


def machines(number: int, *, prefix: str = "node", **fields: int | str) -> list[Machine]:
    """Make *number* equal machines, numbered from 1."""
    return [Machine(f"{prefix}-{i}", **fields) for i in range(1, number + 1)]  # type: ignore[arg-type] # mypy cannot tell which field gets which type
