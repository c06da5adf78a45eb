"""What somebody changes in a region is put right and reported, whether an event tells of it or not.

A job that is not ours is left alone, whatever its name.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio
from tests.faults.planet import FRA, TENANT, WAS, FaultPlanet, a_shop, fault_planet
from tests.faults.process import OperatorProcess
from tests.lab.faultproxy_journal import Entry, Match
from tests.lab.planet import condition
from tests.lab.polling import until

from orrery.ports import Document

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

RTT = 0.1
BOUND = RTT + 1.0
BUSY = 3.0
"""Seconds that a busy machine may add to what is promised."""

FAR = 0.3
"""The longest round trip between places on Earth."""

MOST_ROUNDS = 4
"""Round trips of one repair: ``0.2 + 3.5 * FAR`` is what *FAR* and a second leave room for."""

RELIST = 3.0
"""Seconds between two full lists of a region, give or take a fifth, in some of these tests."""

BY_STREAM = ("--resync-seconds", "600")
BY_LIST = ("--resync-seconds", f"{RELIST:g}")

FOREIGN = {
    "Name": "somebody's",
    "Namespace": TENANT,
    "Type": "service",
    "TaskGroups": [
        {
            "Name": "group",
            "Count": 1,
            "Tasks": [{"Name": "task", "Driver": "docker", "Config": {"image": "theirs"}}],
        }
    ],
}


@dataclass(frozen=True)
class Change:
    """What a person does to a job with Nomad's own command line."""

    name: str
    act: Callable[[FaultPlanet, str], None]
    told: str
    """What the report of its repair names."""


def scale(planet: FaultPlanet, job: str) -> None:
    planet.edit(FRA, job, Count=7)


def change_image(planet: FaultPlanet, job: str) -> None:
    found = planet.job(FRA, job)
    assert found is not None
    (task,) = found["TaskGroups"][0]["Tasks"]
    task["Config"]["image"] = "registry.example/shop:hotfix"
    planet.edit(FRA, job, Tasks=[task])


def stop(planet: FaultPlanet, job: str) -> None:
    planet.region(FRA).jobs.deregister((TENANT, job), purge=False)


def purge(planet: FaultPlanet, job: str) -> None:
    planet.region(FRA).jobs.deregister((TENANT, job), purge=True)


CHANGES = (
    Change("scale", scale, "Count: 1 -> 7"),
    Change("image", change_image, "image"),
    Change("stop", stop, "Stop: false -> true"),
    Change("purge", purge, "purged"),
)

TESTS = ("seen", "far", "told", "missed")
"""Each has deployments of its own."""

by_stream = pytest.mark.parametrize("operator", [BY_STREAM], indirect=True, ids=["by-stream"])
by_list = pytest.mark.parametrize("operator", [BY_LIST], indirect=True, ids=["by-list"])
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    """Run a planet with a deployment for each test, all of them as they should be."""
    async with fault_planet(tmp_path_factory.mktemp("planet"), [FRA, WAS]) as planet:
        names = [f"{test}-{change.name}" for test in TESTS for change in CHANGES]
        async with planet.operator("--no-leader-election"):
            await planet.apply(*(a_shop(name, [FRA, WAS]) for name in names))
            await planet.until_ready(*names)
            await planet.until_quiet()
        planet.region(FRA).set_faults(latency=RTT)
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(
    request: pytest.FixtureRequest, planet: FaultPlanet
) -> AsyncIterator[OperatorProcess]:
    async with planet.operator("--no-leader-election", *request.param) as operator:
        await planet.until_quiet()
        yield operator


@by_stream
@each_change
async def test_a_change_is_repaired_within_a_round_trip_and_a_second(
    change: Change, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    name = begin(planet, f"seen-{change.name}")
    changed = asyncio.get_running_loop().time()

    change.act(planet, name)
    await until(lambda: repairs(planet, name))

    (repair,) = repairs(planet, name)
    assert repair.time - changed <= BOUND + BUSY
    await is_as_wanted(planet, name)


@by_stream
@each_change
async def test_a_repair_takes_few_round_trips(
    change: Change, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    name = begin(planet, f"far-{change.name}")

    change.act(planet, name)
    await until(lambda: repairs(planet, name))

    calls = [e for e in planet.proxy.journal.of(Match(target=FRA)) if e.job == name]
    (repair,) = repairs(planet, name)
    assert in_series(calls[: calls.index(repair) + 1]) <= MOST_ROUNDS


@by_stream
@each_change
async def test_a_repair_is_reported(
    change: Change, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    name = begin(planet, f"told-{change.name}")

    change.act(planet, name)
    await until(lambda: repairs(planet, name))

    (event,) = await until(lambda: reports(planet, name), seconds=5)
    assert event["type"] == "Warning"
    assert event["note"].startswith(f"{FRA}: undid a change that somebody made there: ")
    assert change.told in event["note"]


@by_list
@each_change
async def test_a_change_that_no_event_told_of_is_found_by_the_next_list(
    change: Change, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    name = begin(planet, f"missed-{change.name}")
    lost = planet.proxy.lose(Match(target=FRA, streams=True), lambda line: bool(line.get("Events")))
    changed = asyncio.get_running_loop().time()

    change.act(planet, name)
    await until(lambda: repairs(planet, name))
    planet.proxy.lift(lost)

    (repair,) = repairs(planet, name)
    assert lost.taken
    assert repair.time - changed <= 1.2 * RELIST + BOUND + BUSY
    await is_as_wanted(planet, name)


@by_stream
async def test_a_job_that_is_not_ours_is_never_touched(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    theirs = planet.region(FRA).register({**FOREIGN, "ID": "theirs"})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    metadata = {"name": "keys", "namespace": "default"}
    env = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]
    planet.proxy.journal.begin()

    await planet.apply(secret | {"metadata": metadata, "stringData": {"key": "s3cret"}})
    await planet.apply(a_shop("theirs", [FRA, WAS], env=env))
    await planet.until(is_foreign_in_fra, ["theirs"])
    await planet.apply(a_shop("theirs", [FRA, WAS], env=env, scaling={"count": 2}))
    await until(lambda: planet.proxy.journal.updates(WAS)[f"{WAS} register theirs"] == 2)
    await planet.delete("theirs")
    await planet.until_gone("theirs")
    await planet.until_quiet()

    assert planet.job(WAS, "theirs") is None
    assert planet.proxy.journal.count(Match(target=FRA, writes=True)) == 0
    after = planet.region(FRA).core.tables.jobs[TENANT, "theirs"]
    assert (after.spec, after.job_modify_index) == (theirs.spec, theirs.job_modify_index)


def is_foreign_in_fra(body: Document) -> bool:
    status = body.get("status", {})
    regions = {r: s for c in status.get("continents", ()) for r, s in c["regions"].items()}
    return (
        regions.get(FRA, {}).get("reason") == "ForeignJob"
        and regions[WAS]["phase"] == "Healthy"
        and condition(body, "Ready").get("status") != "Unknown"
    )


def begin(planet: FaultPlanet, name: str) -> str:
    """Begin the journal anew for a test about one deployment."""
    planet.proxy.journal.begin()
    return name


def in_series(calls: Sequence[Entry]) -> int:
    """Count the round trips that *calls* took: those under way together take one."""
    rounds, end = 0, 0.0
    for call in calls:
        if call.time >= end:
            rounds += 1
            end = call.done or call.time
    return rounds


async def is_as_wanted(planet: FaultPlanet, name: str) -> None:
    """Check that a repair was the only one, and what it came to."""
    await planet.until_ready(name)
    await planet.until_quiet(seconds=1)
    job = planet.job(FRA, name)
    assert job is not None
    (task,) = job["TaskGroups"][0]["Tasks"]
    found = (job["Stop"], job["TaskGroups"][0]["Count"], task["Config"]["image"])
    assert found == (False, 1, "registry.example/shop:1")
    assert len(repairs(planet, name)) == 1
    assert planet.proxy.journal.updates(WAS) == {}


def repairs(planet: FaultPlanet, name: str) -> list[Entry]:
    found = planet.proxy.journal.of(Match(target=FRA, writes=True))
    return [e for e in found if e.job == name and e.verb == "register" and e.applied]


async def reports(planet: FaultPlanet, name: str) -> list[Document]:
    return await planet.events(name, "DriftRepaired")
