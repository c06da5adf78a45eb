"""What the operator and real regions say to each other is said by simulated ones, too.

That is what makes thousands of plans count that are only tried on simulated regions.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from tests.faults.planet import FaultPlanet, fault_planet
from tests.lab.nomad import NomadAgent, running_agents
from tests.lab.polling import until
from tests.lab.sleepers import AGENT, NAMESPACE, TENANT, a_sleeper, all_is_over, sleeper_class
from tests.lab.traces import Recorder, Replay, Step, unknown

from orrery.playground import objects

REGIONS = ("fra", "was")
SHOP = "shop"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys", "namespace": NAMESPACE},
    "stringData": {"key": "s3cret"},
}
BIGGER = {"name": "bigger", "regions": ["was"]}
ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def agents(
    nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[NomadAgent]]:
    folder = tmp_path_factory.mktemp("regions")
    with running_agents(nomad_binary, folder, REGIONS, config=AGENT) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorders(
    agents: Sequence[NomadAgent], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Recorder]]:
    """Go through the life of a deployment, and write down what is said."""
    async with fault_planet(tmp_path_factory.mktemp("planet"), []) as planet:
        await planet.apply(sleeper_class(objects.REGION_CLASS, agents[0]))
        made = {a.region: Recorder(planet.proxy, a.region, a.token) for a in agents}
        for recorder in made.values():
            recorder.begin()
        for agent in agents:
            await planet.connect(agent.region, agent.address, token=agent.token)
        async with planet.operator("--probe-seconds", "1"):
            await planet.until_open(*REGIONS)
            await live(planet, made, agents[0])
        yield made


async def live(planet: FaultPlanet, recorders: dict[str, Recorder], agent: NomadAgent) -> None:
    """Create, update, override, scale; edit, stop and purge behind the operator's back; delete."""
    await planet.apply(SECRET)
    for count, overridden, env in (
        (1, 2, ENV),
        (1, 2, [*ENV, {"name": "RELEASE", "value": "2"}]),
        (1, 3, [*ENV, {"name": "RELEASE", "value": "3"}]),
        (2, 3, [*ENV, {"name": "RELEASE", "value": "3"}]),
        (2, 4, [*ENV, {"name": "RELEASE", "value": "3"}]),
    ):
        overrides = [{**BIGGER, "scaling": {"count": overridden}}]
        await planet.apply(a_sleeper(SHOP, REGIONS, count=count, overrides=overrides, env=env))
        await planet.until_ready(SHOP)
    fra = recorders[agent.region]
    await until_at_rest(planet, agent)
    job = await fra.ask("GET", f"/v1/job/{SHOP}?namespace={TENANT}")
    (group,) = job["TaskGroups"]
    edited = {**job, "TaskGroups": [{**group, "Count": 1}]}
    await fra.ask("PUT", "/v1/jobs", {"Job": edited})
    await until_mended(planet, fra, agent)
    await fra.ask("DELETE", f"/v1/job/{SHOP}?namespace={TENANT}")
    await until_mended(planet, fra, agent)
    await fra.ask("DELETE", f"/v1/job/{SHOP}?namespace={TENANT}&purge=true")
    await until_mended(planet, fra, agent)
    await planet.delete(SHOP)
    await planet.until_gone(SHOP)
    await planet.until_quiet()


async def until_mended(planet: FaultPlanet, recorder: Recorder, agent: NomadAgent) -> None:
    """Wait until the operator has registered what was changed, and all is well again."""
    said = len(recorder.steps)

    def registered() -> bool:
        return any(step.method == "POST" for step in recorder.steps[said:])

    await until(registered, told=lambda: [str(step) for step in recorder.steps[-10:]])
    await until_at_rest(planet, agent)


async def until_at_rest(planet: FaultPlanet, agent: NomadAgent) -> None:
    await until(lambda: asyncio.to_thread(all_is_over, agent))
    await planet.until_ready(SHOP)
    await planet.until_quiet()


@pytest.mark.parametrize("region", REGIONS)
async def test_a_simulated_region_answers_what_the_real_one_did(
    region: str,
    recorders: dict[str, Recorder],
    record_property: Callable[[str, object], None],
) -> None:
    recorder = recorders[region]
    record_property("requests", len(recorder.steps))

    found = await Replay.of(recorder).run()

    assert not found, "\n".join(found)


@pytest.mark.parametrize("region", REGIONS)
async def test_a_trace_holds_every_kind_of_write(
    region: str, recorders: dict[str, Recorder]
) -> None:
    steps = recorders[region].steps

    written = {(step.method, step.path) for step in steps if writes(step)}

    job, variable = f"/v1/job/{SHOP}", f"/v1/var/nomad/jobs/{SHOP}"
    assert written >= {
        ("POST", "/v1/namespace"),
        ("PUT", variable),
        ("POST", job),
        ("DELETE", job),
        ("DELETE", variable),
    }
    assert unknown(steps) == []


def writes(step: Step) -> bool:
    return step.writes and 200 <= step.status < 300
