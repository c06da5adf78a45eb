"""What a playground creates is valid, and each token is bound to its region's address."""

import base64

import pytest

from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import Driver, RegionClass
from orrery.playground.objects import (
    render_continent,
    render_credentials,
    render_region,
    render_region_class,
    tiers,
)
from orrery.playground.regions import CONTINENTS, plan_regions

ADDRESS = "https://127.0.0.1:10240"


def body(manifest: dict[str, object]) -> dict[str, object]:
    return {key: manifest[key] for key in ("metadata", "spec")}


@pytest.mark.parametrize("number", range(8))
def test_regions_are_valid(number: int) -> None:
    plan = plan_regions(continents=3, regions=8)[number]

    region = Region.model_validate(body(dict(render_region(plan, ADDRESS, tier="core"))))

    assert region.metadata.name == plan.name
    assert region.nomad_address == ADDRESS
    assert region.metadata.labels == {"orrery.dev/continent": plan.continent, "tier": "core"}


@pytest.mark.parametrize("name", CONTINENTS)
def test_continents_are_valid(name: str) -> None:
    Continent.model_validate(body(dict(render_continent(name))))


def test_with_a_container_engine_the_class_runs_containers() -> None:
    driver = first_driver(dict(render_region_class(containers=True)))

    assert (driver.nomad_driver, driver.port_mapping) == ("docker", True)


def test_without_a_container_engine_the_class_runs_stand_ins() -> None:
    driver = first_driver(dict(render_region_class(containers=False)))

    assert (driver.nomad_driver, driver.port_mapping) == ("raw_exec", False)
    assert "--port={port}" in driver.config["args"]


def first_driver(document: dict[str, object]) -> Driver:
    return RegionClass.model_validate(body(document)).spec.nomad.drivers[0]


def test_a_token_is_bound_to_its_address() -> None:
    secret = render_credentials("fra", ADDRESS, {"token": "t", "ca.crt": "c"})

    assert secret["metadata"]["annotations"] == {"orrery.dev/endpoint": ADDRESS}
    assert base64.b64decode(secret["data"]["token"]) == b"t"


def test_the_first_region_of_each_continent_is_core() -> None:
    plans = plan_regions(continents=2, regions=4)

    assert tiers(plans) == {"fra": "core", "was": "core", "par": "edge", "sfo": "edge"}
