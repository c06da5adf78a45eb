"""Explain: what one region runs, field by field, and who said so."""

from typing import Any

import pytest
from tests.unit.render.deployments import a_regional

from orrery.api.globaldeployment import Update
from orrery.planning.split import explain
from orrery.regional import RegionalDeployment, RegionalEnv

UPDATE = Update.model_fields

EVERYTHING: dict[str, Any] = {
    "type": "WEB",
    "docker": {
        "image": "demo:1",
        "command": "/bin/shop",
        "args": ["-v", "-x"],
        "credentialsSecretRef": {"name": "registry"},
    },
    "env": [
        {"name": "LOG", "value": "info"},
        {"name": "EMPTY", "value": ""},
        {"name": "DB", "secretRef": {"name": "db", "key": "password"}},
    ],
    "ports": [{"port": 80, "protocol": "http"}, {"port": 81}],
    "routes": [{"path": "/", "port": 80}, {"path": "/admin", "port": 80}],
    "resources": {"cpuMHz": 200, "memoryMB": 300, "memoryMaxMB": 400},
    "scaling": {"count": 3},
    "healthChecks": [{"type": "http", "port": 80, "path": "/up"}, {"type": "tcp", "port": 81}],
    "update": {"maxParallel": 2},
    "driver": "podman",
    "placement": {"dataCenters": {"preferred": ["fra1", "fra2"], "spread": False}},
}
"""A spec in which everything is said that an override could, and more."""

WRITTEN = {
    "type": "WEB",
    "docker.image": "demo:1",
    "docker.command": "/bin/shop",
    "docker.args": "-v -x",
    "docker.credentialsSecretRef": "registry",
    "ports": "80/http, 81/tcp",
    "routes": "/ -> 80, /admin -> 80",
    "resources.cpuMHz": "200",
    "resources.memoryMB": "300",
    "resources.memoryMaxMB": "400",
    "scaling.count": "3",
    "healthChecks": "http 80/up, tcp 81",
    "update.maxParallel": "2",
    "driver": "podman",
    "placement.dataCenters.preferred": "fra1, fra2",
    "placement.dataCenters.spread": "false",
    "env.LOG": "info",
    "env.EMPTY": "",
    "env.DB": 'key "password" of Secret "db"',
}
"""What `explain` shows of it."""


def rows(regional: RegionalDeployment) -> dict[str, tuple[str, str]]:
    return {row.field: (row.value, row.source) for row in explain(regional)}


def test_explain_marks_what_nobody_wrote_as_default() -> None:
    fra = a_regional()

    told = rows(fra)
    written = {field: row for field, row in told.items() if row[1] != "default"}
    assert written == {"type": ("WORKER", "spec"), "docker.image": ("demo:1", "spec")}
    update = {field for field in told if field.startswith("update.")}
    assert update == {f"update.{field.alias or name}" for name, field in UPDATE.items()}
    assert {field: told[field][0] for field in told.keys() - written.keys() - update} == {
        "docker.command": "",
        "docker.args": "",
        "docker.credentialsSecretRef": "",
        "ports": "",
        "routes": "",
        "resources.cpuMHz": "100",
        "resources.memoryMB": "256",
        "resources.memoryMaxMB": "",
        "scaling.count": "1",
        "healthChecks": "",
        "driver": "",
        "placement.dataCenters.preferred": "",
        "placement.dataCenters.spread": "true",
    }


def test_explain_marks_what_the_user_wrote_with_its_value() -> None:
    fra = a_regional(**EVERYTHING)

    told = {field: row for field, row in rows(fra).items() if row[1] != "default"}
    assert told == {field: (value, "spec") for field, value in WRITTEN.items()}
    assert fra.provenance.keys() == WRITTEN.keys()


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        pytest.param({"docker": {"image": "demo:2"}}, "docker.image", "demo:2", id="image"),
        pytest.param({"scaling": {"count": 9}}, "scaling.count", "9", id="count"),
        pytest.param({"resources": {"cpuMHz": 900}}, "resources.cpuMHz", "900", id="cpu"),
        pytest.param({"resources": {"memoryMB": 90}}, "resources.memoryMB", "90", id="memory"),
        pytest.param(
            {"resources": {"memoryMaxMB": 900}}, "resources.memoryMaxMB", "900", id="memory-limit"
        ),
        pytest.param({"env": [{"name": "LOG", "value": "9"}]}, "env.LOG", "9", id="variable"),
    ],
)
def test_an_override_is_named_as_the_source_of_what_it_sets_and_of_nothing_else(
    override: dict[str, Any], field: str, value: str
) -> None:
    fra = a_regional(**EVERYTHING, overrides=[{"name": "o", "regions": ["fra"], **override}])

    expected = {name: (text, "spec") for name, text in WRITTEN.items()}
    told = {name: row for name, row in rows(fra).items() if row[1] != "default"}
    assert told == {**expected, field: (value, "override o")}


def test_a_region_runs_what_the_spec_says() -> None:
    fra = a_regional(**EVERYTHING)

    assert (fra.namespace, fra.name, fra.type) == ("team-a", "shop", "WEB")
    assert (fra.image, fra.command, fra.args) == ("demo:1", "/bin/shop", ("-v", "-x"))
    assert (fra.credentials_secret, fra.driver) == ("registry", "podman")
    assert (fra.count, fra.cpu_mhz, fra.memory_mb, fra.memory_max_mb) == (3, 200, 300, 400)
    assert fra.env[2] == RegionalEnv("LOG", "info", None, "spec.env[0]")
    assert [v.field for v in fra.env] == ["spec.env[2]", "spec.env[1]", "spec.env[0]"]
    assert [(p.port, p.protocol) for p in fra.ports] == [(80, "http"), (81, "tcp")]
    assert [(r.path, r.port) for r in fra.routes] == [("/", 80), ("/admin", 80)]
    assert [(c.type, c.port) for c in fra.health_checks] == [("http", 80), ("tcp", 81)]
    assert (fra.data_centers.preferred, fra.data_centers.spread) == (["fra1", "fra2"], False)
