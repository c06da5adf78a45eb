"""Judge what the probe jobs found on a region's machines. Pure."""

from collections.abc import Callable, Sequence
from statistics import median

from orrery.api.base import seconds
from orrery.api.regionopening import Latency
from orrery.planning.findings import Finding, failed, passed, skipped, unknown
from orrery.planning.probes import MachineProbe
from orrery.planning.wording import joined

Probes = Sequence[MachineProbe]

_NO_PROBE = "no probe runs on the machines"
_NAMED = 5


def latency_within_budget(probes: Probes | None, budget: Latency) -> Finding:
    """Demand that connecting to the front door takes at most the limit, by median of a data center.

    No number is told: the next measurement has another one.
    """
    if probes is None:
        return skipped(_NO_PROBE)
    measured: dict[str, list[float]] = {}
    for probe in probes:
        measured.setdefault(probe.data_center, []).extend(probe.latencies)
    if not any(measured.values()):
        return unknown("nothing is measured yet")
    above = _slower(measured, budget.limit)
    if above:
        return failed(
            f"connecting to the front door takes more than {budget.limit} from "
            f"{', '.join(above)}: move them to a nearer region, or raise spec.latency.limit"
        )
    over = _slower(measured, budget.target)
    if over:
        words = f"more than {budget.target} from {', '.join(over)}, at most {budget.limit}"
        return passed(f"connecting to the front door takes {words}")
    return passed(f"connecting to the front door takes at most {budget.target}")


def registry_pull(probes: Probes | None) -> Finding:
    """Demand that the machines can have the image of the probe."""
    if probes is None:
        return skipped(_NO_PROBE)
    if any(probe.pulled is False for probe in probes):
        what = _told(probes, lambda probe: probe.pulled is False)
        return failed(f"the image cannot be had: {what}, see the registry and the way to it")
    if not probes or any(probe.pulled is None for probe in probes):
        return unknown("the probe has not run on every machine yet")
    return passed("every machine has the image")


def smoke_deploy(probes: Probes | None) -> Finding:
    """Demand that a job runs well on every machine."""
    if probes is None:
        return skipped(_NO_PROBE)
    if any(probe.outcome == "Failed" for probe in probes):
        what = _told(probes, lambda probe: probe.outcome == "Failed")
        return failed(f"the probe fails: {what}, see `nomad job status`")
    if not probes or any(probe.outcome == "Pending" for probe in probes):
        return unknown("the probe has not run on every machine yet")
    return passed("the probe ran well on every machine")


def _slower(measured: dict[str, list[float]], limit: str) -> list[str]:
    most = seconds(limit)
    return sorted(dc for dc, times in measured.items() if times and median(times) > most)


def _told(probes: Probes, is_meant: Callable[[MachineProbe], bool]) -> str:
    """Name the machines, and what each of them says."""
    meant = sorted((probe.node, probe.message) for probe in probes if is_meant(probe))
    told = [f"{node}: {message}" if message else node for node, message in meant]
    return joined(told, _NAMED)
