"""The contract runs on two servers: the simulator and a real Nomad.

A real one takes two seconds until a job's deployment is over, and not more for thirty jobs. So the
jobs that the tests of a file begin with are registered all at once: `begins_with` names a test's.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import Document
from tests.lab.nomad import NomadAgent
from tests.lab.polling import until_blocking

from orrery.sim import SimulatedRegion, Timing, serve

TOKEN = "c0ffee00-0000-4000-8000-000000000001"
FAITHFUL = Timing(healthy=None, scale=1.0)
"""No time is compressed: both servers live at the same pace."""

ROOMY = {
    "cpu_total_compute": 20_000,
    "memory_total_mb": 16_384,
    "gc_max_allocs": 1_000,
    "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,consul,vault"},
}
"""A machine with room for the jobs of all tests, which leave some behind, and their logs."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "begins_with(make=..., **fields): have make(job_id, **fields) registered, and its"
        " deployment over; the test finds it as nomad.first",
    )


@pytest.fixture(scope="package")
def any_agent(nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NomadAgent]:
    """One real agent for all tests; they keep apart by names and namespaces."""
    folder = tmp_path_factory.mktemp("nomad")
    agent = NomadAgent(str(nomad_binary), folder, {"client": ROOMY})
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="package")
def real_agent(any_agent: NomadAgent) -> NomadAgent:
    """An agent whose instances live and die as told."""
    if "mock_driver" not in any_agent.call("GET", "/v1/nodes")[0]["Drivers"]:
        pytest.skip("needs a development build of nomad: this one has no mock_driver")
    return any_agent


@pytest.fixture(scope="module")
def prepared_agent(real_agent: NomadAgent, request: pytest.FixtureRequest) -> NomadAgent:
    """The agent, where the jobs have settled that the tests of this file begin with."""
    items = [item for item in request.session.items if item.path == request.path]
    firsts = [_first_job(item) for item in items if _server_of(item) == "real"]
    jobs = {job["ID"]: job for job in firsts if job is not None}
    for job in jobs.values():
        real_agent.call("PUT", "/v1/jobs", {"Job": job})

    def all_are_over() -> bool:
        rows = real_agent.call("GET", "/v1/deployments")
        over = {row["JobID"] for row in rows if row["Status"] in {"successful", "failed"}}
        return jobs.keys() <= over

    until_blocking(all_are_over)
    return real_agent


@pytest.fixture(params=["simulated", "real"])
async def nomad(request: pytest.FixtureRequest) -> AsyncIterator[Nomad]:
    """A server to hold to the contract."""
    first = _first_job(request.node)
    async with AsyncExitStack() as stack:
        if request.param == "real":
            agent: NomadAgent = request.getfixturevalue("prepared_agent")
            address, token = agent.address, agent.token
        else:
            region = SimulatedRegion(token=TOKEN, timing=FAITHFUL)
            served = await stack.enter_async_context(serve([region]))
            address, token = served.address(region.name), TOKEN
        session = await stack.enter_async_context(aiohttp.ClientSession())
        nomad = Nomad(session, address, token, kind=request.param, unique=_unique(request.node))
        if first is not None:
            nomad.first = first
            if request.param == "simulated":
                await nomad.register(first)
            await nomad.settled(first["ID"], 0)
        yield nomad


def _server_of(item: pytest.Item) -> str:
    """Name the server that a test runs on; empty for a test without one."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("nomad", "")) if callspec else ""


def _unique(item: pytest.Item) -> str:
    """Make a part of names that no other test has."""
    return hashlib.sha256(item.nodeid.encode()).hexdigest()[:8]


def _first_job(item: pytest.Item) -> Document | None:
    marker = item.get_closest_marker("begins_with")
    if marker is None:
        return None
    fields = dict(marker.kwargs)
    make: Callable[..., Document] = fields.pop("make")
    return make(f"first-{_unique(item)}", **fields)
