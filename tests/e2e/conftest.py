"""One planet per kind of region for all e2e tests, and for no others.

Starting one costs more than a test, and one that is left running costs all later tests time.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.planet import Planet, running_planet
from tests.lab.requirements import require_nomad

from orrery.playground.state import NomadKind


@pytest_asyncio.fixture(
    scope="package", loop_scope="session", params=[NomadKind.SIMULATED, NomadKind.REAL]
)
async def planet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Planet]:
    """Run a hub, the operator and four regions."""
    kind: NomadKind = request.param
    if kind is NomadKind.REAL:
        require_nomad()
    directory: Path = tmp_path_factory.mktemp(f"planet-{kind}")
    async with running_planet(directory, kind) as running:
        yield running
