"""Forecasts of a planet in memory, and the state that the operator would have brought it to."""

from typing import Any

from tests.builders import a_deployment
from tests.unit.cli.hubs import Planet

from orrery.api.regionclass import DOCKER
from orrery.api.validation import validate_deployment
from orrery.cli.forecast import Forecast, Settings, foresee
from orrery.planning.placement import RegionCandidate
from orrery.planning.split import split
from orrery.reconcile.assignment import assignment_of

SETTINGS = Settings("orrery", "orrery-system")


async def foreseen(planet: Planet, settings: Settings = SETTINGS, **spec: Any) -> Forecast:
    deployment = validate_deployment(a_deployment(**spec))
    (forecast,) = await foresee(planet.hub, planet.factory, [deployment], settings)
    return forecast


async def apply(planet: Planet, **spec: Any) -> dict[str, str]:
    """Bring all regions to a spec, as the operator does; return what it remembers of each."""
    left = {}
    deployment = validate_deployment(a_deployment(**spec))
    regions = [RegionCandidate(name, "eu") for name in planet.regions]
    for name, regional in split(
        deployment.spec, namespace="team-a", name="shop", regions=regions
    ).items():
        assignment = assignment_of(
            regional,
            deployment,
            install="orrery",
            drivers=(DOCKER,),
            region_class="standard",
            secrets={},
        )
        assert assignment.document
        assert assignment.submission
        nomad = planet.regions[name]
        nomad.namespaces.add("orrery-team-a")
        await nomad.register_job(
            assignment.document, expected_index=0, submission=assignment.submission
        )
        nomad.writes.clear()
        left[name] = assignment.digest
    planet.hub.writes.clear()
    return left


def actions(forecast: Forecast) -> dict[str, str]:
    return {region: outcome.action.value for region, outcome in forecast.outcomes.items()}
