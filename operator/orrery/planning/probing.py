"""Decide when the machines of a region are probed again, and what a run of the probe has come to.

Pure. The durable memory of a run is the job itself: its Meta tells what it runs, since when, for
which machines and at whose wish, so that another process of the operator goes on with it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import median
from typing import Any, Final

from orrery import names
from orrery.planning.probes import MachineProbe
from orrery.ports import Allocation, Document, Node

RETRY: Final = 300.0
"""Seconds after which a run in which a machine failed is repeated."""

GAP: Final = 30.0
"""Seconds between two runs when other machines have joined: they come in bursts."""

PATIENCE: Final = 180.0
"""Seconds after which a machine that has not ended its run has failed."""

AHEAD: Final = 60.0
"""Seconds by which a run may seem to lie in the future: the operator's clock was put back."""

CONNECTS_MAX: Final = 1000

_READABLE: Final = frozenset({"running", "complete", "failed"})
_ENDED: Final = frozenset({"complete", "failed", "lost"})


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """What a region's machines are to be probed with."""

    document: Document
    """The job, without what differs from run to run."""
    digest: str
    nomad_driver: str
    interval: float
    """Seconds between two runs."""
    asked: str = ""
    """Digest of what somebody wrote to ask for a run; empty while nobody does."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the probe job."""

    begun: float
    """Wall-clock seconds of the operator that began it."""
    digest: str
    asked: str
    machines: str
    """Digest of the machines that it was for."""

    def meta(self, install: str) -> dict[str, str]:
        """Stamp the job with it."""
        return {
            names.META_INSTALL: install,
            names.META_PROBE: self.digest,
            names.META_PROBE_BEGUN: f"{self.begun:.0f}",
            names.META_PROBE_ASKED: self.asked,
            names.META_PROBE_MACHINES: self.machines,
        }


@dataclass(frozen=True, slots=True)
class Output:
    """What the probe printed on one machine."""

    seconds: Sequence[float] = ()
    error: str = ""
    """Why it could not connect, or why it cannot be told."""


def run_of(install: str, meta: Mapping[str, str]) -> Run | None:
    """Read the stamp of a probe job, None when it is not *install*'s."""
    begun = meta.get(names.META_PROBE_BEGUN, "")
    if meta.get(names.META_INSTALL) != install or not begun.isdecimal():
        return None
    return Run(
        begun=float(begun),
        digest=meta.get(names.META_PROBE, ""),
        asked=meta.get(names.META_PROBE_ASKED, ""),
        machines=meta.get(names.META_PROBE_MACHINES, ""),
    )


def text_digest(text: str) -> str:
    """Name a text that may hold anything by what Nomad's Meta may hold; empty for none."""
    return sha256(text.encode()).hexdigest()[:16] if text else ""


def machines_digest(machines: Sequence[Node]) -> str:
    """Name a set of machines."""
    return text_digest(",".join(sorted(node.id for node in machines)))


def to_probe(nodes: Sequence[Node], nomad_driver: str) -> list[Node]:
    """Choose the machines that can run the probe at all: ready, eligible, with its driver."""
    return [n for n in nodes if n.status == "ready" and n.eligible and nomad_driver in n.drivers]


def seconds_left(
    order: ProbeOrder, run: Run | None, *, joined: bool, failed: bool, now: float
) -> float:
    """Return the seconds until the machines are to be probed (again); 0: now.

    *joined*: a machine is there that the last run was not for; *failed*: that one of it failed.
    """
    if run is None or run.digest != order.digest or run.begun > now + AHEAD:
        return 0.0
    if order.asked not in {"", run.asked}:
        return 0.0
    pause = min([order.interval, *([RETRY] if failed else []), *([GAP] if joined else [])])
    return max(0.0, run.begun + pause - now)


def read_output(text: str | None) -> Output:
    """Read what the probe printed: one line of JSON, and whatever stands before it."""
    if text is None:
        return Output(error="what the probe printed is not there any more")
    lines = text.strip().splitlines()
    try:
        found: Any = json.loads(lines[-1]) if lines else None
        seconds = [float(one) for one in found["seconds"]]
        error = str(found.get("error", ""))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return Output(error="the probe printed something else than times")
    usable = [one for one in seconds if 0.0 <= one < float("inf")]
    return Output(usable[:CONNECTS_MAX], " ".join(error.split())[:300])


def is_readable(allocation: Allocation) -> bool:
    """Tell whether there may be something to read of it: it runs, or has run."""
    return allocation.started and allocation.client_status in _READABLE


def is_over(allocation: Allocation) -> bool:
    """Tell whether nothing more will come of it."""
    return allocation.client_status in _ENDED


def newer(before: Output | None, text: str | None, *, over: bool) -> Output | None:
    """Return what a run has printed so far, by its log; None while that is not a whole line.

    A log may be dropped as soon as the run is *over*: then what was read *before* stands.
    """
    if text is not None and (over or text.endswith("\n")):
        return read_output(text)
    return before or (read_output(text) if over else None)


def newest(allocations: Sequence[Allocation], version: int) -> dict[str, Allocation]:
    """Choose the run on each machine, by the machine's id; a complete one before any other."""
    here = [a for a in allocations if a.job_version == version]
    return {a.node_id: a for a in sorted(here, key=lambda a: a.client_status == "complete")}


def judge(
    node: Node,
    allocation: Allocation | None,
    output: Output | None,
    *,
    waited: float,
    no_room: str = "",
) -> MachineProbe:
    """Say what the run on one machine has come to, *waited* seconds after its begin.

    A machine without room for it is not a broken one: it is Pending for as long as that lasts.
    """
    late = waited > PATIENCE

    def found(outcome: Any, message: str = "", *, pulled: bool | None = None) -> MachineProbe:
        latencies = tuple(output.seconds) if output and outcome != "Pending" else ()
        return MachineProbe(node.name, node.datacenter, outcome, message, pulled, latencies)

    if allocation is None:
        if no_room:
            return found("Pending", f"the probe finds no place: {no_room}")
        late_words = "Nomad has not placed the probe on it within 3 minutes"
        return found("Failed", late_words) if late else found("Pending")
    pulled = True if allocation.started else _pulled(allocation.message)
    if allocation.client_status == "running" and output and not output.error:
        return found("Passed", pulled=True)  # It only lingers, so that this could be read.
    if not is_over(allocation):
        words = allocation.message or "the probe has not ended within 3 minutes"
        return found("Failed", words, pulled=pulled) if late else found("Pending", pulled=pulled)
    error = output.error if output else ""
    if allocation.client_status == "complete":
        return found("Passed", error, pulled=True)
    return found("Failed", error or allocation.message or "the probe failed", pulled=pulled)


def medians(probes: Sequence[MachineProbe]) -> dict[str, float]:
    """Return the median of the seconds that connects took, by data center; without any: absent."""
    by_center: dict[str, list[float]] = {}
    for probe in probes:
        by_center.setdefault(probe.data_center, []).extend(probe.latencies)
    return {name: median(taken) for name, taken in sorted(by_center.items()) if taken}


def _pulled(message: str) -> bool | None:
    """Tell from a driver's words whether the image could not be had; None when they do not say.

    Nomad's docker driver says "Failed to pull `...`", podman and containerd speak of pulling, too.
    """
    return False if "pull" in message.lower() else None
