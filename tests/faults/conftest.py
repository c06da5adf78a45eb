"""The planet of most tests of faults. A file that needs another one makes its own `planet`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.faults.planet import FRA, WAS, FaultPlanet, fault_planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    """Run two regions."""
    async with fault_planet(tmp_path_factory.mktemp("planet"), [FRA, WAS]) as planet:
        yield planet


@pytest.fixture
async def lifted(planet: FaultPlanet) -> AsyncIterator[None]:
    """Begin the journal anew, and leave no fault to the next test."""
    planet.proxy.journal.begin()
    yield
    planet.proxy.lift()
