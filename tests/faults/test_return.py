"""A region that comes back, or answers late, holds what is wanted soon: whatever it holds then."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.faults.planet import FRA, NAMESPACE, WAS, FaultPlanet, a_shop
from tests.faults.process import OperatorProcess
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy import Door
from tests.lab.faultproxy_journal import Match
from tests.lab.planet import condition
from tests.lab.polling import until

from orrery.ports import Document

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

SECOND = {"image": "registry.example/shop:2"}
SWEEP = 3.0
"""Seconds between two full lists of a region, give or take a fifth."""

following = pytest.mark.parametrize("operator", ["600"], indirect=True, ids=["following"])
sweeping = pytest.mark.parametrize("operator", [f"{SWEEP:g}"], indirect=True, ids=["sweeping"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(
    request: pytest.FixtureRequest, planet: FaultPlanet
) -> AsyncIterator[OperatorProcess]:
    """Run an operator that lists each region every so many seconds."""
    options = ("--no-leader-election", "--probe-seconds", "1", "--resync-seconds", request.param)
    async with planet.operator(*options) as operator:
        yield operator


@following
async def test_a_region_that_returns_with_an_older_state_is_repaired_at_once(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """Its servers were restored from a snapshot; what it was away for is taken from the hub."""
    names = await age(planet, "away")
    await planet.proxy.turn(FRA, Door.REFUSED)
    await until(lambda: is_dark(planet), pause=0.2)

    planet.region(FRA).restore("away")
    await planet.proxy.turn(FRA, Door.OPEN)

    await is_repaired(planet, *names)


@sweeping
async def test_a_region_whose_state_became_an_older_one_is_repaired_by_the_next_list(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """It answered all the while: nothing but the list tells."""
    names = await age(planet, "there")

    planet.region(FRA).restore("there")

    await is_repaired(planet, *names)


@following
async def test_a_register_without_an_outcome_is_not_taken_for_done(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """It is looked at while nothing may be written; then it is written."""
    await planet.apply(a_shop("unsure", [FRA]))
    await planet.until_ready("unsure")
    job = Match(target=FRA, path="/v1/job/unsure", writes=True)
    rule = planet.proxy.add(job, do.answer(500, "No cluster leader"))
    await planet.apply(a_shop("unsure", [FRA], docker=SECOND))
    await until(lambda: rule.hits)
    await planet.apply(a_shop("unsure", [FRA], docker=SECOND, paused=True))
    await planet.until(is_paused, ["unsure"])
    await planet.until_quiet()
    planet.proxy.lift(rule)

    await planet.apply(a_shop("unsure", [FRA], docker=SECOND, paused=False))
    await planet.until_ready("unsure")

    assert image_of(planet, FRA, "unsure") == SECOND["image"]


async def age(planet: FaultPlanet, snapshot: str) -> tuple[str, str, str]:
    """Take a snapshot of a region, then change, create and delete what it holds."""
    changed, gone, new = (f"{snapshot}-{what}" for what in ("changed", "gone", "new"))
    await planet.apply(*(a_shop(name, [FRA, WAS]) for name in (changed, gone)))
    await planet.until_ready(changed, gone)
    await planet.until_quiet()
    planet.region(FRA).snapshot(snapshot)
    await planet.apply(a_shop(changed, [FRA, WAS], docker=SECOND), a_shop(new, [FRA, WAS]))
    await planet.delete(gone)
    await planet.until_ready(changed, new)
    await planet.until_gone(gone)
    await planet.until_quiet()
    planet.proxy.journal.begin()
    return changed, gone, new


async def is_repaired(planet: FaultPlanet, changed: str, gone: str, new: str) -> None:
    """Check that each job is as wanted by one register, and that nobody's job is only reported.

    The object of the job that came back is gone, and no tombstone tells that it was stopped here:
    it may as well be that the hub lost it.
    """

    def updates() -> dict[str, int]:
        return dict(planet.proxy.journal.updates())

    wanted = {f"{FRA} register {name}": 1 for name in (changed, new)}
    await until(lambda: updates().keys() >= wanted.keys(), told=updates, seconds=30)
    await planet.until_ready(changed, new)
    await until(lambda: is_orphan(planet, gone), pause=0.2)
    await planet.until_quiet()
    assert updates() == wanted
    assert image_of(planet, FRA, changed) == SECOND["image"]


async def is_dark(planet: FaultPlanet) -> bool:
    return await planet.phase(FRA) == "Unreachable"


async def is_orphan(planet: FaultPlanet, name: str) -> bool:
    orphans = (await planet.status(FRA)).get("orphans", {})
    return f"{NAMESPACE}/{name}" in orphans.get("names", ())


def is_paused(body: Document) -> bool:
    ready = condition(body, "Ready")
    return bool(ready.get("observedGeneration") == body["metadata"]["generation"])


def image_of(planet: FaultPlanet, region: str, name: str) -> str:
    job = planet.job(region, name)
    assert job is not None
    return str(job["TaskGroups"][0]["Tasks"][0]["Config"]["image"])
