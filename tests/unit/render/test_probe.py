"""The probe job: one small run on every machine, behind everything else."""

from typing import Any

import pytest
from tests.builders import a_managed_region, a_region

from orrery import names
from orrery.api.region import ControlPlaneStatus
from orrery.api.regionclass import DOCKER, Driver, ProbeClass
from orrery.api.validation import validate_region
from orrery.render.probe import probed_address, render_probe


def rendered(driver: Driver = DOCKER, address: str = "203.0.113.10:4647") -> dict[str, Any]:
    probe = ProbeClass(image="registry.example/orrery:1")
    job = render_probe(
        probe, address=address, install="orrery", driver=driver, region_class="standard"
    )
    return dict(job)


def test_it_runs_once_on_every_machine_whatever_its_pool() -> None:
    job = rendered()

    assert (job["Type"], job["Datacenters"], job["NodePool"]) == ("sysbatch", ["*"], "all")


def test_it_stands_behind_every_other_job() -> None:
    assert rendered()["Priority"] == 1


def test_it_times_connects_to_the_front_door_by_the_classes_driver() -> None:
    (task,) = rendered()["TaskGroups"][0]["Tasks"]

    assert task["Driver"] == "docker"
    assert task["Config"] == {
        "image": "registry.example/orrery:1",
        "command": "orrery",
        "args": ["probe", "--address", "203.0.113.10:4647", "--count", "20", "--linger", "20"],
    }


@pytest.mark.parametrize("tenant", ["system", "team-a", "s"])
def test_its_namespace_is_no_tenants(tenant: str) -> None:
    namespace = rendered()["Namespace"]

    assert namespace != names.nomad_namespace("orrery", tenant)
    assert names.hub_namespace("orrery", namespace) is None


def test_machines_of_a_managed_region_are_probed_at_its_load_balancer() -> None:
    region = validate_region(a_managed_region("fra"))
    told = ControlPlaneStatus(namespace="orrery-fra", address="203.0.113.10")

    assert probed_address(region, told) == "203.0.113.10:4647"
    assert probed_address(region, None) == ""


def test_machines_of_an_external_region_are_probed_at_the_address_that_is_known() -> None:
    region = validate_region(a_region("fra"))

    assert probed_address(region, None) == "nomad.fra.example:4646"
