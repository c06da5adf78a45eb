"""A definition that is removed takes its objects with it, and no job: restored, all is adopted."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from tests.faults.planet import HUB, FaultPlanet, a_shop, fault_planet
from tests.faults.process import OperatorProcess
from tests.lab.faultproxy_journal import Match
from tests.lab.planet import condition
from tests.lab.polling import until

from orrery.playground import objects
from orrery.playground.hub import crd_folder, install_crds

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

REGIONS = ("fra", "was")
SHOPS = ("one", "two", "three")
CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    async with fault_planet(tmp_path_factory.mktemp("planet"), REGIONS) as planet:
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(planet: FaultPlanet) -> AsyncIterator[OperatorProcess]:
    options = ("--no-leader-election", "--probe-seconds", "1", "--resync-seconds", "5")
    async with planet.operator(*options) as operator:
        yield operator


@pytest_asyncio.fixture(loop_scope="module")
async def versions(planet: FaultPlanet, operator: OperatorProcess) -> Mapping[str, Any]:
    """Have deployments run, and say in which version each job is; the journal begins anew."""
    await apply_shops(planet)
    await planet.until_ready(*SHOPS)
    await planet.until_quiet()
    planet.proxy.journal.begin()
    return versions_of(planet)


async def test_the_end_of_the_definition_of_deployments_stops_nothing(
    planet: FaultPlanet, operator: OperatorProcess, versions: Mapping[str, Any]
) -> None:
    """Every object is being deleted then, as if a user had asked for it."""
    name = "globaldeployments.orrery.dev"
    await planet.api.delete(*CRD, name)
    await planet.until(is_held, SHOPS)
    await planet.until_quiet()
    assert planet.proxy.journal.updates() == {}

    await apply_shops(planet, deletionPolicy="Orphan")
    await gone(planet, name)
    await until(lambda: "the hub does not know GlobalDeployment" in operator.said)
    await restore(planet)
    await apply_shops(planet)
    await planet.until_ready(*SHOPS)
    await planet.until_quiet()

    assert operator.alive
    assert "install Orrery's CRDs" in operator.said
    assert planet.proxy.journal.updates() == {}
    assert versions_of(planet) == versions


async def test_the_end_of_the_definition_of_regions_changes_no_job(
    planet: FaultPlanet, operator: OperatorProcess, versions: Mapping[str, Any]
) -> None:
    await planet.api.delete(*CRD, "regions.orrery.dev")
    await gone(planet, "regions.orrery.dev")
    await until(lambda: "the hub does not know Region" in operator.said)

    await restore(planet)
    await planet.until_open(*REGIONS)
    await planet.apply(a_shop("probe", REGIONS))
    await planet.until_ready("probe", *SHOPS)
    await planet.delete("probe")
    await planet.until_gone("probe")
    await planet.until_quiet()

    assert operator.alive
    done = {what for what in planet.proxy.journal.updates() if not what.endswith(" probe")}
    assert done == set()
    assert versions_of(planet) == versions


async def test_an_operator_that_waits_for_a_definition_asks_calmly(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """Many requests a second would be what brings a hub down that is about to be restored."""
    asked = [e.time for e in planet.proxy.journal.of(Match(target=HUB, method="GET"))]

    assert len(asked) / (asked[-1] - asked[0]) < 20
    assert "this is a bug" not in operator.said


async def apply_shops(planet: FaultPlanet, **spec: Any) -> None:
    await planet.apply(*(a_shop(name, REGIONS, **spec) for name in SHOPS))


async def gone(planet: FaultPlanet, definition: str) -> None:
    async def is_gone() -> bool:
        return await planet.api.read(*CRD, definition) is None

    await until(is_gone, pause=0.2)


async def restore(planet: FaultPlanet) -> None:
    """Install the definitions, and create what else a planet needs."""
    await install_crds(planet.api, crd_folder())
    await planet.apply(objects.render_continent("eu"))
    await planet.apply(objects.render_region_class(containers=True))
    for name in REGIONS:
        await planet.add_region(name, planet.proxy.targets[name].address)


def is_held(body: Mapping[str, Any]) -> bool:
    """Tell whether an object is being deleted, and says that this is not what its user wanted."""
    leaving = "deletionTimestamp" in body.get("metadata", {})
    return leaving and condition(body, "Ready").get("reason") == "DefinitionLeaving"


def versions_of(planet: FaultPlanet) -> dict[str, Any]:
    jobs = {f"{region} {name}": planet.job(region, name) for region in REGIONS for name in SHOPS}
    return {where: (job["Version"], job["Stop"]) if job else None for where, job in jobs.items()}
