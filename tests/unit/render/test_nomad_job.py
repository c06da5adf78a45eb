"""The Nomad job: closed, stamped with constants, and stable where Nomad would restart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.deployments import a_regional

from orrery.api.regionclass import DOCKER, Driver
from orrery.errors import InvalidSpec
from orrery.render.nomad_job import describe_job, render_job

HOST = Driver(name="host", nomad_driver="raw_exec", port_mapping=False, config={"x": "{image}"})
PORTS: dict[str, Any] = {
    "ports": [{"port": 3000, "protocol": "http"}, {"port": 80, "protocol": "tcp"}]
}


def render(driver: Driver = DOCKER, description: str = "", **spec: Any) -> dict[str, Any]:
    return dict(
        render_job(
            a_regional(**spec),
            install="orrery",
            driver=driver,
            region_class="standard",
            description=description,
        )
    )


def group(job: dict[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = job["TaskGroups"][0]
    return rendered


def test_the_stamp_holds_constants_only_and_the_server_fills_in_its_region() -> None:
    job = render(description=describe_job("team-a", "shop", "0123456789"))

    assert job["Meta"] == {
        "orrery_install": "orrery",
        "orrery_namespace": "team-a",
        "orrery_name": "shop",
    }
    assert (job["ID"], job["Name"], job["Namespace"]) == ("shop", "shop", "orrery-team-a")
    assert job["UI"] == {
        "Description": "Managed by Orrery: GlobalDeployment team-a/shop, revision 0123456789"
    }
    assert "Region" not in job


@pytest.mark.parametrize(
    ("kind", "job_type", "has_update", "has_reschedule", "replaces"),
    [
        ("WEB", "service", True, True, True),
        ("WORKER", "service", True, True, True),
        ("BATCH", "batch", False, False, False),
        ("SYSTEM", "system", True, False, True),
    ],
)
def test_each_type_gets_the_blocks_that_nomad_takes(
    kind: str, job_type: str, *, has_update: bool, has_reschedule: bool, replaces: bool
) -> None:
    job = render(type=kind, **PORTS)

    assert job["Type"] == job_type
    assert ("Update" in group(job)) is has_update
    assert ("ReschedulePolicy" in group(job)) is has_reschedule
    assert group(job)["Disconnect"]["Replace"] is replaces


def test_ports_become_networks_and_services_with_routes_as_tags() -> None:
    routes = [{"port": 3000, "path": "/b"}, {"port": 3000, "path": "/a"}]

    rendered = group(render(type="WEB", routes=routes, **PORTS))

    assert rendered["Networks"] == [
        {"DynamicPorts": [{"Label": "p80", "To": 80}, {"Label": "p3000", "To": 3000}]}
    ]
    assert [
        (s["Name"], s["Provider"], s["PortLabel"], s["Tags"]) for s in rendered["Services"]
    ] == [
        ("shop-80", "nomad", "p80", ["orrery.protocol=tcp"]),
        (
            "shop-3000",
            "nomad",
            "p3000",
            ["orrery.protocol=http", "orrery.route=/a", "orrery.route=/b"],
        ),
    ]


def test_a_driver_without_port_mapping_listens_on_the_allocated_port() -> None:
    rendered = group(render(HOST, **PORTS))

    assert {port["To"] for port in rendered["Networks"][0]["DynamicPorts"]} == {0}


def test_without_ports_there_is_no_network() -> None:
    assert group(render())["Networks"] == []


@given(st.permutations(PORTS["ports"]))
def test_the_order_of_ports_changes_nothing_that_restarts(ports: list[dict[str, Any]]) -> None:
    rendered = group(render(HOST, ports=ports))

    assert rendered == group(render(HOST, **PORTS))


def test_health_checks_decide_the_update_and_restart_only_with_a_grace_period() -> None:
    checks = [
        {"port": 3000, "path": "/up", "interval": "5s", "timeout": "1500ms", "gracePeriod": "1m"},
        {"port": 3000, "type": "tcp"},
    ]

    rendered = group(render(type="WEB", healthChecks=checks, **PORTS))

    assert rendered["Update"]["HealthCheck"] == "checks"
    assert rendered["Services"][1]["Checks"] == [
        {
            "Name": "http-1",
            "Type": "http",
            "Interval": 5_000_000_000,
            "Timeout": 1_500_000_000,
            "Path": "/up",
            "CheckRestart": {"Limit": 3, "Grace": 60_000_000_000},
        },
        {
            "Name": "tcp-2",
            "Type": "tcp",
            "Interval": 10_000_000_000,
            "Timeout": 2_000_000_000,
        },
    ]
    assert group(render())["Update"]["HealthCheck"] == "task_states"


def test_canaries_promote_themselves_and_a_bad_version_is_reverted() -> None:
    update = group(render(update={"canary": 1, "maxParallel": 2, "minHealthyTime": "3s"}))["Update"]

    assert update == {
        "MaxParallel": 2,
        "Canary": 1,
        "AutoPromote": True,
        "AutoRevert": True,
        "HealthCheck": "task_states",
        "MinHealthyTime": 3_000_000_000,
        "HealthyDeadline": 300_000_000_000,
        "ProgressDeadline": 600_000_000_000,
    }
    assert group(render())["Update"]["AutoPromote"] is False


def test_data_centers_are_preferred_and_spread() -> None:
    job = render(placement={"dataCenters": {"preferred": ["fra2", "fra1", "fra3"]}})

    assert [a["RTarget"] for a in job["Affinities"]] == ["fra1,fra2,fra3"]
    targets = job["Spreads"][0]["SpreadTarget"]
    assert [(t["Value"], t["Percent"]) for t in targets] == [
        ("fra1", 34),
        ("fra2", 33),
        ("fra3", 33),
    ]


def test_data_centers_are_spread_unless_told_otherwise() -> None:
    assert render()["Spreads"] == [
        {"Attribute": "${node.datacenter}", "Weight": 50, "SpreadTarget": []}
    ]
    assert render(placement={"dataCenters": {"spread": False}})["Spreads"] == []
    assert render(type="SYSTEM")["Spreads"] == []


@given(st.integers(1, 50))
def test_spread_targets_always_add_up(number: int) -> None:
    preferred = [f"dc{i}" for i in range(number)]

    job = render(placement={"dataCenters": {"preferred": preferred}})

    assert sum(target["Percent"] for target in job["Spreads"][0]["SpreadTarget"]) == 100


def test_secrets_are_read_through_a_template_and_never_stand_in_the_job() -> None:
    job = render(
        env=[
            {"name": "LOG", "value": "info"},
            {"name": "DB", "secretRef": {"name": "db", "key": "password"}},
        ],
        docker={"image": "ghcr.io/x:1", "credentialsSecretRef": {"name": "pull"}},
    )

    task = group(job)["Tasks"][0]
    assert task["Env"] == {"LOG": "info"}
    (template,) = task["Templates"]
    assert template["EmbeddedTmpl"] == (
        '{{ with nomadVar "nomad/jobs/shop" }}\n'
        "DB={{ .env_DB.Value | toJSON }}\n"
        "ORRERY_REGISTRY_USERNAME={{ .registry_username.Value | toJSON }}\n"
        "ORRERY_REGISTRY_PASSWORD={{ .registry_password.Value | toJSON }}\n"
        "{{ end }}\n"
    )
    assert template["Envvars"] is True
    assert template["ChangeMode"] == "restart"
    assert template["DestPath"].startswith("secrets/")


def test_a_variable_may_not_take_the_place_of_the_registrys_credentials() -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.env\[0\]\.name: ORRERY_REGISTRY_PASSWORD"):
        render(
            env=[{"name": "ORRERY_REGISTRY_PASSWORD", "value": "x"}],
            docker={"image": "ghcr.io/x:1", "credentialsSecretRef": {"name": "pull"}},
        )


def test_resources_are_those_of_the_region() -> None:
    resources = {"cpuMHz": 500, "memoryMB": 300, "memoryMaxMB": 600}

    task = group(render(resources=resources))["Tasks"][0]

    assert task["Resources"] == {"CPU": 500, "MemoryMB": 300, "MemoryMaxMB": 600}
