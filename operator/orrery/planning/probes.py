"""What a probe job found on the machines of a region. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ProbeOutcome = Literal["Pending", "Passed", "Failed"]


@dataclass(frozen=True, slots=True)
class MachineProbe:
    """What one machine's run of the probe job has come to."""

    node: str
    """Name of the machine."""
    data_center: str
    outcome: ProbeOutcome
    message: str = ""
    """Why it failed, in Nomad's or the probe's own words."""
    pulled: bool | None = None
    """Whether the image could be had; None: not known yet."""
    latencies: Sequence[float] = ()
    """Seconds that TCP connects from the machine to the front door took."""
