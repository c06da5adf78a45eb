"""The hub is lost and made anew, in any order: what real regions run is taken over as it is.

Each test has a hub of its own, which begins empty; the regions and what runs in them stay. A job
that is written to makes an evaluation in its region, also where nothing changes: so not even one of
these may come, and no write may be on its way.

By default most jobs have no instance, since each costs the machine what Nomad's own processes take.
`make test-real` gives every job one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from tests.faults.planet import CONTINENT, HUB, FaultPlanet, fault_planet
from tests.lab.faultproxy import Door
from tests.lab.faultproxy_journal import Entry
from tests.lab.hub import running_hub
from tests.lab.nomad import NomadAgent, running_agents
from tests.lab.planet import is_ready
from tests.lab.polling import until, until_blocking
from tests.lab.sleepers import AGENT, Seen, a_sleeper, all_is_over, look, sleeper_class

from orrery.api.base import API_VERSION
from orrery.names import OPERATOR_NAMESPACE
from orrery.playground import objects
from orrery.playground.kubeapi import KubeApi

FULL = os.environ.get("ORRERY_REAL") == "full"
"""Whether every job has an instance in every region."""

REGIONS = ("fra", "was", "par")
JOBS = 200
RUNNING = JOBS if FULL else 20
NAMES = tuple(f"app-{number:03}" for number in range(JOBS))
WITHIN = 120.0

Step = Callable[[], Awaitable[None]]
Order = Callable[[Sequence[Step], Sequence[Step]], Sequence[Step]]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1800 if FULL else 600),
]


def regions_first(regions: Sequence[Step], deployments: Sequence[Step]) -> Sequence[Step]:
    return [*regions, *deployments]


def deployments_first(regions: Sequence[Step], deployments: Sequence[Step]) -> Sequence[Step]:
    """Return what regions need after them, too."""
    return [*deployments, *reversed(regions)]


def shuffled(regions: Sequence[Step], deployments: Sequence[Step]) -> Sequence[Step]:
    steps = [*regions, *deployments]
    Random("hub").shuffle(steps)
    return steps


@pytest.fixture(scope="module")
def agents(
    nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[NomadAgent]]:
    """Run a real Nomad per region, beside every hub of these tests."""
    folder = tmp_path_factory.mktemp("regions")
    with running_agents(nomad_binary, folder, REGIONS, config=AGENT) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def before(
    agents: Sequence[NomadAgent], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Seen]:
    """Have everything deployed by a first hub, which is gone when this returns."""
    folder = tmp_path_factory.mktemp("first")
    async with new_hub(folder, agents) as planet, planet.operator():
        await rebuild(planet, agents, regions_first)
        await until_adopted(planet)
        for agent in agents:
            await asyncio.to_thread(until_blocking, partial(all_is_over, agent), seconds=WITHIN)
    seen = await look_at_all(agents)
    for region in seen.values():
        assert region.jobs.keys() == set(NAMES)
        assert len(region.instances) == RUNNING
    return seen


@pytest.mark.parametrize("order", [regions_first, deployments_first, shuffled])
async def test_a_hub_made_anew_takes_over_every_job_and_restarts_none(
    order: Order,
    agents: Sequence[NomadAgent],
    before: Mapping[str, Seen],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The operator is there before the first object is."""
    loop = asyncio.get_running_loop()
    async with new_hub(tmp_path, agents) as planet, planet.operator() as operator:
        began = loop.time()
        await rebuild(planet, agents, order)
        applied = loop.time()
        await until_adopted(planet)
        record_property("apply_seconds", round(applied - began, 1))
        record_property("applied_to_adopted_seconds", round(loop.time() - applied, 1))
        told = await indexes_told(planet)
        written = writes_to_regions(planet)
        assert operator.alive

    after = await look_at_all(agents)
    assert written == []
    assert after == before
    assert told == {region: indexes(seen) for region, seen in after.items()}


async def test_jobs_wait_as_orphans_until_their_owners_are_back(
    agents: Sequence[NomadAgent], before: Mapping[str, Seen], tmp_path: Path
) -> None:
    """A Git repository that is applied late, or only in part, stops nothing."""
    back, missing = NAMES[: JOBS // 2], NAMES[JOBS // 2 :]
    async with new_hub(tmp_path, agents) as planet, planet.operator():
        await rebuild(planet, agents, regions_first, names=())
        await until_orphans(planet, JOBS)
        for name in back:
            await planet.apply(deployment(name))
        await until_adopted(planet, back)
        await until_orphans(planet, len(missing))
        written = writes_to_regions(planet)

    assert written == []
    assert await look_at_all(agents) == before


async def test_an_operator_that_outlives_its_hub_takes_over_for_the_next_one(
    agents: Sequence[NomadAgent], before: Mapping[str, Seen], tmp_path: Path
) -> None:
    """The new hub answers where the old one did, and knows nothing at first.

    Its API server lets a watch go on at a version that it has not reached itself, and says nothing
    until it has: only a sweep finds what is there.
    """
    sweeping = ("--resync-seconds", "5")
    async with (
        new_hub(tmp_path / "old", agents) as planet,
        planet.operator(*sweeping) as operator,
    ):
        await rebuild(planet, agents, regions_first)
        await until_adopted(planet)
        await planet.until_quiet(within=WITHIN)
        planet.proxy.journal.begin()

        async with replaced_hub(planet, tmp_path / "new") as renewed:
            await rebuild(renewed, agents, shuffled)
            await until_adopted(renewed)
            told = await indexes_told(renewed)
            written = writes_to_regions(planet)
            assert operator.alive
            await operator.stop()

    after = await look_at_all(agents)
    assert written == []
    assert after == before
    assert told == {region: indexes(seen) for region, seen in after.items()}


@asynccontextmanager
async def new_hub(directory: Path, agents: Sequence[NomadAgent]) -> AsyncIterator[FaultPlanet]:
    """Run a hub that knows nothing, with the ways to the regions open."""
    async with fault_planet(directory, []) as planet:
        await planet.api.delete(API_VERSION, "RegionClass", objects.REGION_CLASS)
        await planet.api.delete(API_VERSION, "Continent", CONTINENT)
        for agent in agents:
            await planet.proxy.open(agent.region, agent.address)
        yield planet


@asynccontextmanager
async def replaced_hub(planet: FaultPlanet, directory: Path) -> AsyncIterator[FaultPlanet]:
    """Put a new, empty hub in the old one's place, while whoever talked to that goes on."""
    async with running_hub(directory) as hub, KubeApi.of(hub.kubeconfig) as api:
        await api.apply([objects.render_namespace(OPERATOR_NAMESPACE)])
        renewed = replace(planet, hub=hub, api=api)
        await renewed.way_to_hub("renewed")
        old, new = (planet.proxy.targets[name] for name in (HUB, "renewed"))
        await planet.proxy.turn(HUB, Door.REFUSED)
        old.upstream, old.context = new.upstream, new.context
        await planet.proxy.turn(HUB, Door.OPEN)
        yield renewed


async def rebuild(
    planet: FaultPlanet, agents: Sequence[NomadAgent], order: Order, *, names: Sequence[str] = NAMES
) -> None:
    """Apply all manifests to a hub, in some order."""
    regions: list[Step] = [
        partial(planet.apply, objects.render_continent(CONTINENT)),
        partial(planet.apply, sleeper_class(objects.REGION_CLASS, agents[0])),
    ]
    for agent in agents:
        address = planet.proxy.targets[agent.region].address
        regions.append(partial(planet.add_region, agent.region, address, token=agent.token))
    deployments: list[Step] = [partial(planet.apply, deployment(name)) for name in names]
    for step in order(regions, deployments):
        await step()


def deployment(name: str) -> dict[str, Any]:
    return a_sleeper(name, REGIONS, count=1 if name in NAMES[:RUNNING] else 0)


async def until_adopted(planet: FaultPlanet, names: Sequence[str] = NAMES) -> None:
    waiting: dict[str, Any] = {}

    async def look() -> bool:
        found = await planet.deployments()
        waiting.clear()
        waiting.update({n: found.get(n, {}).get("status") for n in names if not ready(found, n)})
        return not waiting

    def told() -> str:
        return f"{len(waiting)} wait, as {next(iter(waiting.items()))}"

    await until(look, seconds=WITHIN, pause=1, told=told)


def ready(found: Mapping[str, Any], name: str) -> bool:
    return name in found and is_ready(found[name])


async def until_orphans(planet: FaultPlanet, count: int) -> None:
    """Wait until each region reports that many jobs without an owner."""
    told: dict[str, int] = {}

    async def reported() -> bool:
        for region in REGIONS:
            told[region] = (await planet.status(region)).get("orphans", {}).get("count", 0)
        return set(told.values()) == {count}

    await until(reported, seconds=WITHIN, pause=0.5, told=lambda: told)


async def look_at_all(agents: Sequence[NomadAgent]) -> dict[str, Seen]:
    return {agent.region: await asyncio.to_thread(look, agent) for agent in agents}


def indexes(seen: Seen) -> dict[str, int]:
    return {name: index for name, (_, index) in seen.jobs.items()}


async def indexes_told(planet: FaultPlanet) -> dict[str, dict[str, int]]:
    """Read from the statuses which index each job was left at."""
    told: dict[str, dict[str, int]] = {region: {} for region in REGIONS}
    for name, body in (await planet.deployments()).items():
        for continent in body["status"]["continents"]:
            for region, part in continent["regions"].items():
                told[region][name] = part["index"]
    return told


def writes_to_regions(planet: FaultPlanet) -> list[str]:
    return [told(entry) for entry in planet.proxy.journal.writes if entry.target in REGIONS]


def told(entry: Entry) -> str:
    """Say what a write asks for, as far as it is a register."""
    body = entry.request.document or {}
    groups = (body.get("Job") or {}).get("TaskGroups") or ()
    drivers = [task["Driver"] for group in groups for task in group["Tasks"]]
    return f"{entry}, index {body.get('JobModifyIndex')}, drivers {drivers}"
