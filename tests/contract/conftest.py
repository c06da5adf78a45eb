"""The contract runs on two servers: the simulator and a real Nomad."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.contract.api import Nomad
from tests.lab.nomad import NomadAgent

from orrery.sim import SimulatedRegion, Timing, serve

TOKEN = "c0ffee00-0000-4000-8000-000000000001"
FAITHFUL = Timing(healthy=None, scale=1.0)
"""No time is compressed: both servers live at the same pace."""


@pytest.fixture(scope="session")
def real_agent(
    nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NomadAgent]:
    """One real agent for all tests; they keep apart by names."""
    agent = NomadAgent(str(nomad_binary), tmp_path_factory.mktemp("nomad"))
    agent.start()
    try:
        if "mock_driver" not in agent.call("GET", "/v1/nodes")[0]["Drivers"]:
            pytest.skip("needs a development build of nomad: this one has no mock_driver")
        yield agent
    finally:
        agent.stop()


@pytest.fixture(params=["simulated", "real"])
async def nomad(request: pytest.FixtureRequest) -> AsyncIterator[Nomad]:
    """A server to hold to the contract."""
    unique = uuid.uuid4().hex[:8]
    async with AsyncExitStack() as stack:
        if request.param == "real":
            agent: NomadAgent = request.getfixturevalue("real_agent")
            address, token = agent.address, agent.token
        else:
            region = SimulatedRegion(token=TOKEN, timing=FAITHFUL)
            served = await stack.enter_async_context(serve([region]))
            address, token = served.address(region.name), TOKEN
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Nomad(session, address, token, kind=request.param, unique=unique)
