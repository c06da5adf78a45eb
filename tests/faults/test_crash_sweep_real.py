"""The operator's process is killed at a write, and the next one ends where it would have ended.

The oracle is a life without faults: the same state of the hub and of every region, and the same
number of updates of each object. ``tests/world/crashes`` tries far more plans, in memory.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from tests.faults.planet import TENANT, FaultPlanet, fault_planet
from tests.faults.sweep import REGIONS, STEPS, Sweep, ask
from tests.lab.nomad import running_agents
from tests.lab.requirements import require_nomad
from tests.world.crashes.plans import tried

from orrery.errors import OrreryError
from orrery.playground.servers import find_nomad
from orrery.playground.state import NomadKind

FULL = os.environ.get("ORRERY_SWEEP") == "full"
"""Whether to try every write and every way to die, instead of a sample."""

ROUNDS = {NomadKind.SIMULATED: 1, NomadKind.REAL: 1}
"""Lives of the deployment that are tried in a sample; the process dies once in each step."""

AGENT = {
    "client": {
        "cpu_total_compute": 20_000,
        "memory_total_mb": 16_384,
        "options": {
            "driver.raw_exec.enable": "true",
            "fingerprint.denylist": "env_aws,env_gce,env_azure,consul,vault",
        },
    },
    "limits": {"http_max_conns_per_client": 0},
}

OPTIONS = ("--no-leader-election", "--probe-seconds", "1")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(3600 if FULL else 300),
]


def kinds() -> list[NomadKind]:
    """Choose real regions where there is a Nomad; a sample does without simulated ones then."""
    try:
        found = find_nomad()
    except OrreryError:
        found = None
    return [NomadKind.REAL] if found and not FULL else list(ROUNDS)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=kinds())
async def kind(request: pytest.FixtureRequest) -> NomadKind:
    found: NomadKind = request.param
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sweep(kind: NomadKind, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    directory = tmp_path_factory.mktemp("planet")
    if kind is NomadKind.SIMULATED:
        async with fault_planet(directory, REGIONS) as planet, sweeping(planet) as sweep:
            yield sweep
        return
    with running_agents(require_nomad(), directory, REGIONS, config=AGENT) as running:
        async with fault_planet(directory, [], containers=False) as planet:
            for agent in running:
                await planet.connect(agent.region, agent.address, token=agent.token)
            async with sweeping(planet) as sweep:
                yield sweep


@asynccontextmanager
async def sweeping(planet: FaultPlanet) -> AsyncIterator[Sweep]:
    """Run an operator, and go once through a life without faults.

    The tenant's namespaces are there before, so that every life begins alike.
    """
    async with aiohttp.ClientSession() as session:
        for region in REGIONS:
            body = {"Name": TENANT}
            await ask(planet, session, region, "/v1/namespace", method="PUT", body=body)
        operator = await planet.start(*OPTIONS)
        await operator.until_ready()
        sweep = Sweep(planet, session, operator, OPTIONS)
        await sweep.rehearse()
        yield sweep
        await sweep.operator.stop()


async def test_any_write_may_be_the_last_one(
    kind: NomadKind, sweep: Sweep, record_property: Callable[[str, object], None]
) -> None:
    plans = {step: sweep.plans(step) for step in STEPS}
    rounds = max(map(len, plans.values())) if FULL else ROUNDS[kind]
    found, reached = [], 0

    for number in range(rounds):
        for step in STEPS:
            plan = plans[step][number % len(plans[step])]
            trace = await sweep.go(step, plan)
            reached += trace.reached
            differences = sweep.reference[step].compare(trace) if trace.reached else []
            if differences:
                lines = [f"{step}, killed at write {plan[0]}: {plan[1]}", *differences]
                found.append("\n    ".join([*lines, *trace.writes]))
                await sweep.reset()
                break

    tried[f"real servers, {kind} regions"] = reached
    record_property("plans", reached)
    assert not found, "\n".join(found)
    assert reached >= 0.8 * rounds * len(STEPS)
