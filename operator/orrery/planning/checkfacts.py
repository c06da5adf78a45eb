"""What is known of a region, as far as its checks are made on it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orrery.api.region import RegionSpec
from orrery.api.regionclass import Driver
from orrery.planning.probes import MachineProbe
from orrery.ports import AgentFacts, AutopilotHealth, Node


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a region was asked for its checks alone, and when."""

    taken_at: float | None = None
    """Wall-clock seconds of the hub at which the servers' health was told."""
    servers: AutopilotHealth | None = None
    admits_strangers: bool | None = None
    """Whether the API answers a caller without a certificate; None: nobody is asked for one."""
    knocked_at: float | None = None
    """Wall-clock seconds at which that was tried."""
    problem: str = ""
    """Why the servers' health is not known, when it is not."""
    knock_problem: str = ""
    """The same of *admits_strangers*."""


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How the snapshots of a region's Nomad do."""

    interval: float
    """Seconds between two of them."""
    since: float
    """Wall-clock seconds when their schedule began."""
    latest: float | None = None
    """Wall-clock seconds of the last good one; None when there is none yet."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The region's zone, as the global control plane of the mesh sees it."""

    online: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What is known of a region at one moment, as far as checks are made on it."""

    now: float
    spec: RegionSpec
    reachable: bool | None
    """None: not known yet."""
    problem: str = ""
    """Why it is not reachable, or what it is waiting for."""
    address: str = ""
    agent: AgentFacts | None = None
    vitals: Vitals = field(default_factory=Vitals)
    nodes: Sequence[Node] = ()
    drivers: Sequence[Driver] = ()
    servers_wanted: int | None = None
    """Nomad servers that the class asks for, of a Managed region."""
    expires: float | None = None
    """Wall-clock seconds at which the first certificate of a Managed region expires."""
    certificate_lifetime: float = 0.0
    """Seconds that its certificates are valid for."""
    snapshots: Snapshots | None = None
    """None: none are made."""
    zone: Zone | None = None
    """None: the class has no mesh."""
    probes: Sequence[MachineProbe] | None = None
    """None: no probe is configured."""
    probed_at: float | None = None
