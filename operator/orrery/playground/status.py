"""Say what of a playground runs, and what died without having been asked to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orrery.api.base import API_VERSION
from orrery.errors import OrreryError
from orrery.playground.kubeapi import KubeApi
from orrery.playground.processes import Process
from orrery.playground.state import HubKind, Layout, NomadKind, State


class Life(StrEnum):
    """Whether something runs."""

    RUNNING = "running"
    KILLED = "killed"
    """Down because somebody asked for it."""
    DIED = "died"
    NONE = "none"
    """Never started, as asked."""


@dataclass(frozen=True, slots=True)
class RegionReport:
    """One region."""

    name: str
    continent: str
    nomad_address: str
    pid: int
    process: Life
    phase: str
    """What the hub says of the Region; empty when it does not answer."""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole playground."""

    directory: str
    kubeconfig: str
    hub_url: str
    hub: Life
    hub_pids: Mapping[str, int]
    """The hub's processes; none of a kind cluster."""
    operator: Life
    operator_pid: int | None
    nomad: NomadKind
    containers: bool
    regions: tuple[RegionReport, ...]
    problems: tuple[str, ...]
    """A sentence for each thing that died."""


async def status(directory: Path) -> Report:
    """Look at every process of the playground in *directory*, and ask its hub about the regions."""
    layout = Layout.of(directory)
    state = layout.require()
    answers, phases = await _ask_hub(layout)
    regions = tuple(
        RegionReport(
            region.name,
            region.continent,
            region.address,
            region.process.pid,
            _life(region.process, killed=region.killed),
            phases.get(region.name, ""),
        )
        for region in state.regions
    )
    return Report(
        directory=str(layout.root),
        kubeconfig=str(layout.kubeconfig),
        hub_url=state.hub_url,
        hub=_life_of_hub(state, answers=answers),
        hub_pids={process.name: process.pid for process in state.hub},
        operator=_life(state.operator, killed=state.operator_killed),
        operator_pid=state.operator.pid if state.operator else None,
        nomad=state.nomad_kind,
        containers=state.containers,
        regions=regions,
        problems=tuple(_problems(state, answers=answers)),
    )


async def _ask_hub(layout: Layout) -> tuple[bool, Mapping[str, str]]:
    if not layout.kubeconfig.is_file():
        return False, {}
    async with KubeApi.of(layout.kubeconfig) as api:
        try:
            found = await api.list(API_VERSION, "Region")
        except OrreryError:
            return False, {}
    return True, {
        region["metadata"]["name"]: region.get("status", {}).get("phase", "") for region in found
    }


def _life(process: Process | None, *, killed: bool) -> Life:
    if process is None:
        return Life.NONE
    if process.alive:
        return Life.RUNNING
    return Life.KILLED if killed else Life.DIED


def _life_of_hub(state: State, *, answers: bool) -> Life:
    if state.hub_kind is HubKind.KIND:
        return Life.RUNNING if answers else Life.DIED
    alive = bool(state.hub) and all(process.alive for process in state.hub)
    return Life.RUNNING if alive else Life.DIED


def _problems(state: State, *, answers: bool) -> list[str]:
    killed = {region.process.pid for region in state.regions if region.killed}
    if state.operator and state.operator_killed:
        killed.add(state.operator.pid)
    problems = [
        f"{process.name} (process {process.pid}) died; its log is {process.log}"
        for process in state.processes
        if not process.alive and process.pid not in killed
    ]
    if not state.ready:
        problems.append("`up` did not finish: run `down`, then `up` again")
    if not answers and not problems:
        problems.append(f"the hub at {state.hub_url} does not answer")
    return problems
