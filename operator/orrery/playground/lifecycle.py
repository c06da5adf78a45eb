"""Bring a playground up, and take it down.

Everything that was started is on record before it is waited for, so that whoever comes next, after
Ctrl-C or a crash, can end it.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from orrery.api.base import API_VERSION
from orrery.names import OPERATOR_NAMESPACE
from orrery.playground import agents, kind, objects, shell
from orrery.playground.build import hub_servers
from orrery.playground.cleanup import take_down
from orrery.playground.failures import WrongState
from orrery.playground.hub import install_crds, require_crds, start_hub
from orrery.playground.interruption import to_the_end
from orrery.playground.kubeapi import KubeApi
from orrery.playground.operator_process import operator_command, start_operator
from orrery.playground.ports import reserve_port
from orrery.playground.processes import Process, await_ready
from orrery.playground.regions import RegionPlan, continents_of, plan_regions
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.servers import (
    Progress,
    docker_answers,
    find_nomad,
    nomad_places,
    require_nomad,
)
from orrery.playground.state import HubKind, Layout, NomadKind, RegionRecord, State

REGIONS_OPEN_WITHIN: Final = 60.0
CONTINENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What a playground shall be."""

    directory: Path
    continents: int | None = None
    """None: two, or one for a single region."""
    regions: int = 4
    nomad: NomadKind | None = None
    """None: real when a Nomad is found, else simulated."""
    hub: HubKind = HubKind.PROCESSES
    operator: bool = True
    """False leaves the operator to you, for example to run it in a debugger."""

    def plans(self) -> list[RegionPlan]:
        """Name the regions; raises `PlaygroundError` for numbers that are not possible."""
        continents = min(CONTINENTS, self.regions) if self.continents is None else self.continents
        return plan_regions(continents=continents, regions=self.regions)


def silent(_line: str) -> None:
    """Report no progress."""


async def up(options: Options, progress: Progress = silent) -> State:
    """Start a playground and return when all of it is ready; it goes on running.

    Takes down what it started when it fails or is cancelled, all of it, even if it is cancelled
    again meanwhile.
    """
    plans = options.plans()
    layout = Layout.of(options.directory)
    _enter(layout)
    with layout.exclusively():
        await _clear_leftovers(layout, progress)
        run = _Run(layout, progress, await _decide(options, progress))
        try:
            return await _start_all(run, options, plans)
        except BaseException:
            progress("taking down what was started")
            await to_the_end(take_down(layout, run.state), progress)
            raise


async def down(directory: Path, progress: Progress = silent) -> None:
    """End every process of the playground in *directory* and remove its files, except logs.

    Once begun it is done to its end, whatever cancels it.
    """
    layout = Layout.of(directory)
    layout.require()
    with layout.exclusively():
        state = layout.require()
        progress(f"taking down {len(state.processes)} processes")
        await to_the_end(take_down(layout, state), progress)
        progress(f"down; logs are kept in {layout.logs}")


class _Run:
    """One `up`: its place, and what runs so far, on record after each step."""

    def __init__(self, layout: Layout, progress: Progress, state: State) -> None:
        self.layout = layout
        self.progress = progress
        self.state = state
        layout.write(state)

    def record(self, state: State) -> None:
        self.state = state
        self.layout.write(state)

    def record_region(self, region: RegionRecord) -> None:
        self.record(with_region(self.state, region))


def with_region(state: State, region: RegionRecord) -> State:
    """Add *region* to *state*, in place of what was known of it."""
    names = [known.name for known in state.regions]
    if region.name not in names:
        return replace(state, regions=(*state.regions, region))
    regions = [region if known.name == region.name else known for known in state.regions]
    return replace(state, regions=tuple(regions))


async def _decide(options: Options, progress: Progress) -> State:
    """Choose real or simulated regions, containers or stand-ins, and say which and why."""
    state = State(hub_kind=options.hub, nomad_kind=NomadKind.SIMULATED)
    if options.nomad is NomadKind.SIMULATED:
        progress("regions: simulated, as asked")
        return state
    nomad = await asyncio.to_thread(
        require_nomad if options.nomad is NomadKind.REAL else find_nomad
    )
    if not nomad:
        progress(
            f"regions: simulated, because no Nomad was found (looked at {nomad_places()});"
            " install Nomad from its vendor for real ones"
        )
        return state
    progress(f"regions: real Nomad {nomad.version} ({nomad.path})")
    containers = await asyncio.to_thread(docker_answers)
    progress(
        "instances: containers, on the Docker engine of this machine"
        if containers
        else "instances: no Docker engine answers, so a small stand-in web server runs in place of"
        " each container; placement and health checks are real, images are not"
    )
    return replace(state, nomad_kind=NomadKind.REAL, containers=containers)


async def _start_all(run: _Run, options: Options, plans: list[RegionPlan]) -> State:
    crds = require_crds()
    await _start_hub(run)
    await _start_regions(run, plans)
    write_regions_file(run.layout.regions_file, entries_of(run.layout, run.state))
    async with KubeApi.of(run.layout.kubeconfig) as api:
        await install_crds(api, crds)
        await _create_objects(api, run, plans)
        if options.operator:
            await _start_operator(run)
            await _await_open(api, run)
    run.record(replace(run.state, ready=True))
    run.progress(f"ready: {shell.export(run.layout.kubeconfig)}")
    return run.state


async def _start_hub(run: _Run) -> None:
    layout = run.layout
    if run.state.hub_kind is HubKind.KIND:
        name = kind.cluster_name(layout.root)
        run.progress(f"hub: creating the kind cluster {name}; this usually takes a minute")
        run.record(replace(run.state, cluster=name))
        await kind.create_cluster(name, layout.kubeconfig)
        async with KubeApi.of(layout.kubeconfig) as api:
            run.record(replace(run.state, hub_url=api.server))
        return
    binaries = await hub_servers(run.progress)
    versions = ", ".join(f"{name} {binary.version}" for name, binary in binaries.items())
    run.progress(f"hub: starting {versions}; this usually takes 3 seconds")
    hub = await start_hub(
        layout.hub,
        config=layout.kubeconfig,
        logs=layout.logs,
        binaries=binaries,
        marker=layout.marker,
    )
    run.record(replace(run.state, hub=hub.processes, hub_url=hub.url))


async def _start_regions(run: _Run, plans: list[RegionPlan]) -> None:
    names = ", ".join(plan.name for plan in plans)
    run.progress(f"regions: starting {names}; this usually takes 3 to 10 seconds")
    try:
        async with asyncio.TaskGroup() as group:
            for number, plan in enumerate(plans):
                address, command = _prepare(run, plan, number=number, count=len(plans))
                group.create_task(
                    agents.start_region(
                        run.layout, plan, address, command, record=run.record_region
                    )
                )
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _prepare(
    run: _Run, plan: RegionPlan, *, number: int, count: int
) -> tuple[str, tuple[str, ...]]:
    if run.state.nomad_kind is NomadKind.SIMULATED:
        return agents.prepare_simulated(run.layout, plan)
    nomad = require_nomad().path
    return agents.prepare_real(run.layout, plan, nomad, number=number, count=count)


async def _create_objects(api: KubeApi, run: _Run, plans: list[RegionPlan]) -> None:
    real = run.state.nomad_kind is NomadKind.REAL
    tiers = objects.tiers(plans)
    await api.apply([objects.render_namespace(OPERATOR_NAMESPACE)])
    await api.apply(objects.render_continent(name) for name in continents_of(plans))
    await api.apply([objects.render_region_class(containers=run.state.containers or not real)])
    for plan in plans:
        files = run.layout.files_of(plan.name)
        address = run.state.region(plan.name).address
        await api.apply(
            [
                objects.render_credentials(plan.name, address, files.secret_texts()),
                objects.render_region(plan, address, tier=tiers[plan.name]),
            ]
        )
    regions, continents = len(plans), len(continents_of(plans))
    run.progress(f"hub: created {_count(regions, 'Region')} in {_count(continents, 'Continent')}")


async def _start_operator(run: _Run) -> None:
    metrics, health = reserve_port(), reserve_port()
    command = operator_command(run.layout, metrics_port=metrics, health_port=health)
    run.record(
        replace(run.state, operator_command=command, metrics_port=metrics, health_port=health)
    )

    def record(process: Process) -> None:
        run.record(replace(run.state, operator=process))

    run.progress("operator: starting; this usually takes 3 seconds")
    await start_operator(run.layout, command, health_port=health, record=record)


async def _await_open(api: KubeApi, run: _Run) -> None:
    wanted = {region.name for region in run.state.regions}

    async def all_open() -> bool:
        regions = await api.list(API_VERSION, "Region")
        opened = {
            region["metadata"]["name"]
            for region in regions
            if region.get("status", {}).get("phase") == "Open"
        }
        return wanted <= opened

    await await_ready(
        all_open,
        what="all Regions are Open",
        deadline=REGIONS_OPEN_WITHIN,
        watched=run.state.processes,
    )
    run.progress(f"operator: {_count(len(wanted), 'Region')} Open")


def _count(number: int, kind: str) -> str:
    return f"{number} {kind}{'' if number == 1 else 's'}"


def _enter(layout: Layout) -> None:
    """Make the directory; one that holds what no playground made is left alone.

    What it is called proves nothing: `down` removes folders with names that others use, too.
    """
    try:
        if layout.root.exists() and not layout.root.is_dir():
            raise WrongState(f"{layout.root} is a file: name a directory")
        layout.root.mkdir(parents=True, exist_ok=True)
        empty = not any(layout.root.iterdir())
        if not empty and not layout.claimed:
            raise WrongState(
                f"{layout.root} is not empty and holds no playground: name an empty or new"
                " directory"
            )
        layout.root.chmod(0o700)
    except OSError as error:
        raise WrongState(
            f"{layout.root} cannot be used: {error.strerror}: name another directory"
        ) from error


async def _clear_leftovers(layout: Layout, progress: Progress) -> None:
    state = layout.read()
    if not state:
        return
    living = [process.name for process in state.processes if process.alive]
    if state.ready and living:
        look, end = (
            shell.orrery("playground", verb, "--directory", layout.root)
            for verb in ("status", "down")
        )
        raise WrongState(
            f"a playground is already running in {layout.root}: look at it with `{look}`, or end it"
            f" with `{end}`"
        )
    progress("removing what an earlier playground left behind")
    await take_down(layout, state)
