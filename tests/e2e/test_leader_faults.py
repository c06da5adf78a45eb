"""The leader of a real region is killed, or frozen, in the middle of a stream of registers.

Nothing is lost, nothing is doubled: each change of a spec is one version of its job, and one
register, and what is not changed goes on without a restart. A register that meets the fault may be
carried out or not, or much later, when a frozen leader wakes: its compare-and-set sees to the rest.

`make test-real` freezes the leader for half a minute, by default it is frozen for less.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.faults.planet import FaultPlanet, fault_planet
from tests.lab.faultproxy import Exchange
from tests.lab.faultproxy_journal import Match
from tests.lab.nomad_servers import Balancer, NomadRegion, NomadServer
from tests.lab.planet import is_ready
from tests.lab.polling import until
from tests.lab.sleepers import AGENT, NAMESPACE, TENANT, a_sleeper, look, registers, sleeper_class

from orrery.api.base import API_VERSION
from orrery.names import TASK
from orrery.playground import objects

FULL = os.environ.get("ORRERY_REAL") == "full"

REGION = "fra"
FROZEN = 30.0 if FULL else 8.0
"""Seconds for which the leader is frozen; the others elect another within a few."""
STRIKE = 30
"""The write to the region at which the fault comes."""
LEAST = 6
"""Changes of each spec, at least; there are more while the fault lasts."""

CHANGING = tuple(f"changing-{number:02}" for number in range(15))
STILL = tuple(f"still-{number}" for number in range(5))
WITHIN = 120.0

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@dataclass
class Fault:
    """Something that happens to the leader, once."""

    region: NomadRegion
    leader: NomadServer
    strike: Callable[[NomadServer], None]
    at: float = 0.0
    """When it came, by the loop's clock; 0 before."""
    successor: NomadServer | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the region is as good as it gets."""

    async def act(self, exchange: Exchange) -> None:
        """Strike, and only then pass on the write that was on its way."""
        self.strike(self.leader)
        self.at = asyncio.get_running_loop().time()
        await exchange.relay(await exchange.forward())

    async def until_succeeded(self) -> float:
        """Wait until another server leads; return how long that took."""

        def find() -> bool:
            self.successor = self.region.leader(but=self.leader)
            return self.successor is not None

        await until(lambda: self.at, pause=0.01)
        await until(lambda: asyncio.to_thread(find))
        return asyncio.get_running_loop().time() - self.at


@pytest.fixture
def region(nomad_binary: Path, tmp_path: Path) -> Iterator[NomadRegion]:
    made = NomadRegion(nomad_binary, tmp_path / "nomad", REGION, AGENT)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def planet(region: NomadRegion, tmp_path: Path) -> AsyncIterator[FaultPlanet]:
    async with Balancer(region.servers).serve() as address, fault_planet(tmp_path, []) as planet:
        await planet.apply(sleeper_class(objects.REGION_CLASS, region.servers[0]))
        await planet.connect(REGION, address, token=region.token)
        async with planet.operator("--probe-seconds", "1") as operator:
            await planet.apply(*(a_sleeper(name, [REGION]) for name in STILL))
            await planet.until_ready(*STILL)
            yield planet
            assert operator.alive
            assert "this is a bug" not in operator.said


async def test_a_leader_that_is_killed_loses_and_doubles_no_register(
    region: NomadRegion, planet: FaultPlanet, record_property: Callable[[str, object], None]
) -> None:
    leader = region.leader()
    assert leader is not None
    fault = Fault(region, leader, NomadServer.kill)
    still = await stand(region)

    async with asyncio.TaskGroup() as tasks:
        stream = tasks.create_task(changes(planet, fault))
        record_property("successor_seconds", round(await fault.until_succeeded(), 1))
        fault.over.set()

    made = stream.result()
    await hold(region, fault, made)
    record_property("registers", sum(made.values()))
    assert await stand(region, but=leader) == still


async def test_a_leader_that_is_frozen_and_wakes_loses_and_doubles_no_register(
    region: NomadRegion, planet: FaultPlanet, record_property: Callable[[str, object], None]
) -> None:
    """It wakes to a region that has another leader, with requests that it took before."""
    leader = region.leader()
    assert leader is not None
    fault = Fault(region, leader, NomadServer.freeze)
    still = await stand(region)

    async with asyncio.TaskGroup() as tasks:
        stream = tasks.create_task(changes(planet, fault))
        record_property("successor_seconds", round(await fault.until_succeeded(), 1))
        await asyncio.sleep(fault.at + FROZEN - asyncio.get_running_loop().time())
        leader.thaw()
        await until(lambda: asyncio.to_thread(all_vote, region), seconds=WITHIN)
        fault.over.set()

    made = stream.result()
    await hold(region, fault, made)
    record_property("registers", sum(made.values()))
    assert await stand(region) == still


async def changes(planet: FaultPlanet, fault: Fault) -> dict[str, int]:
    """Change specs without a pause until the fault is over; return how often, by name."""
    planet.proxy.journal.begin()
    match = Match(target=REGION, method="POST", path="/v1/job/")
    rule = planet.proxy.add(match, fault.act, nth=STRIKE)
    counts = await asyncio.gather(*(change(planet, fault, name) for name in CHANGING))
    assert rule.hits >= STRIKE
    return dict(zip(CHANGING, counts, strict=True))


async def change(planet: FaultPlanet, fault: Fault, name: str) -> int:
    """Change one spec again and again, each time once the last change has arrived."""
    number = 0
    while number < LEAST or not fault.over.is_set():
        env = [{"name": "CHANGE", "value": str(number)}]
        await planet.apply(a_sleeper(name, [REGION], count=0, env=env))
        await until_arrived(planet, name)
        number += 1
    return number


async def until_arrived(planet: FaultPlanet, name: str) -> None:
    body: dict[str, Any] = {}

    async def arrived() -> bool:
        nonlocal body
        found = await planet.api.read(API_VERSION, "GlobalDeployment", name, namespace=NAMESPACE)
        body = dict(found or {})
        return is_ready(body)

    await until(arrived, seconds=WITHIN, pause=0.2, told=lambda: body.get("status"))


async def hold(region: NomadRegion, fault: Fault, made: dict[str, int]) -> None:
    """Hold the region to what was asked of it: each change once, in order, the last one last."""
    assert fault.successor is not None
    assert fault.successor is not fault.leader
    for name, changed in made.items():
        found = await asyncio.to_thread(values, fault.successor, name)
        assert found == [str(number) for number in range(changed)], name
        registered = await asyncio.to_thread(registers, fault.successor, name)
        assert registered == changed, name


def values(server: NomadServer, name: str) -> Sequence[str]:
    """Read what each version of a job has, oldest first; the versions have no gap."""
    found = server.call("GET", f"/v1/job/{name}/versions?namespace={TENANT}")["Versions"]
    versions = sorted(found, key=lambda job: int(job["Version"]))
    assert [job["Version"] for job in versions] == list(range(len(versions)))
    return [task(job)["Env"]["CHANGE"] for job in versions]


def task(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = (one for one in job["TaskGroups"][0]["Tasks"] if one["Name"] == TASK)
    return dict(found)


async def stand(region: NomadRegion, *, but: NomadServer | None = None) -> str:
    """Describe what runs: which instances of which version, how often and when it started."""
    server = next(server for server in region.servers if server is not but)
    seen = await asyncio.to_thread(look, server)
    assert len(seen.instances) == len(STILL)
    jobs = {name: index for name, index in seen.jobs.items() if name in STILL}
    return json.dumps([sorted(jobs.items()), sorted(seen.instances.items())], indent=1)


def all_vote(region: NomadRegion) -> bool:
    """Tell whether every server is back, as a living one sees it."""
    leader = region.leader()
    return leader is not None and region.voters(leader) == len(region.servers)
