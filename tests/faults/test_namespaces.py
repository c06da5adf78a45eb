"""Events of a tenant's Nomad namespace arrive, whoever made it and whenever.

Nomad resolves "all namespaces" when a stream opens: one that is made later stays out of it.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from tests.faults.planet import TENANT, FaultPlanet, a_shop, fault_planet
from tests.faults.process import OperatorProcess
from tests.faults.sweep import ask
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy_journal import Match
from tests.lab.polling import until

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

SOON = 10.0
"""Seconds; well below the 30 after which a job that is under way is looked at without an event."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    regions = ["ours", "theirs", "lost"]
    async with fault_planet(tmp_path_factory.mktemp("planet"), regions) as planet:
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(planet: FaultPlanet) -> AsyncIterator[OperatorProcess]:
    async with planet.operator("--no-leader-election") as operator:
        yield operator


async def test_a_namespace_that_is_made_for_a_job_is_followed(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    await is_followed(planet, "ours")


async def test_a_namespace_that_an_administrator_made_is_followed(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    async with aiohttp.ClientSession() as session:
        body = {"Name": TENANT}
        await ask(planet, session, "theirs", "/v1/namespace", method="PUT", body=body)

    await is_followed(planet, "theirs")


async def test_a_namespace_whose_creation_got_no_answer_is_followed(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    made = Match(target="lost", path="/v1/namespace", writes=True)
    planet.proxy.add(made, do.lose_reply(), nth=1)

    await is_followed(planet, "lost")


async def is_followed(planet: FaultPlanet, region: str) -> None:
    """Check that a first job becomes healthy by an event, and that an edit is found by one."""
    name = f"first-in-{region}"
    await planet.apply(a_shop(name, [region]))
    await planet.until_ready(name, within=SOON)

    planet.edit(region, name, Count=7)
    edited = asyncio.get_running_loop().time()
    register = f"{region} register {name}"
    await until(lambda: planet.proxy.journal.updates()[register] == 2, seconds=SOON)
    assert asyncio.get_running_loop().time() - edited < SOON
