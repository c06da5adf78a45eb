"""The Job that sets up the ACL system: with a token that is stored, and that nobody sees."""

from typing import Any

import pytest
from tests.unit.render.region.blueprints import a_blueprint

from orrery.render.region.blueprint import Blueprint
from orrery.render.region.bootstrap import render_bootstrap


def job(blueprint: Blueprint | None = None) -> Any:
    (found,) = render_bootstrap(blueprint or a_blueprint())
    return found


def pod(blueprint: Blueprint | None = None) -> Any:
    return job(blueprint)["spec"]["template"]["spec"]


def secret_of(path: str) -> str:
    """Name the Secret whose key is mounted at *path*."""
    folder = path.rpartition("/")[0]
    (mount,) = (m for m in pod()["containers"][0]["volumeMounts"] if m["mountPath"] == folder)
    (volume,) = (v for v in pod()["volumes"] if v["name"] == mount["name"])
    return str(volume["secret"]["secretName"])


def test_the_token_is_the_stored_one() -> None:
    args = pod()["containers"][0]["args"]

    assert args[:2] == ["acl", "bootstrap"]
    assert args[-1].endswith("/token")
    assert secret_of(args[-1]) == "fra-bootstrap-token"


def test_any_server_is_asked_as_the_operator_and_must_prove_who_it_is() -> None:
    flags = dict(a.split("=", 1) for a in pod()["containers"][0]["args"] if a.startswith("-"))

    assert flags["-address"] == "https://fra-nomad.orrery-fra.svc:4646"
    assert flags["-tls-server-name"] == "server.fra.nomad"
    for flag in ("-ca-cert", "-client-cert", "-client-key"):
        assert secret_of(flags[flag]) == "fra-operator-tls"


def test_a_failed_try_is_repeated_and_an_ended_job_goes_away() -> None:
    spec = job()["spec"]

    assert spec["backoffLimit"] > 0
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["ttlSecondsAfterFinished"] > 0
    assert pod()["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"nomad": {"image": "nomad:2.0.7"}}, id="image"),
        pytest.param({"continent": {"registry": {"mirror": "mirror.example"}}}, id="mirror"),
    ],
)
def test_a_job_that_would_differ_has_another_name(change: dict[str, Any]) -> None:
    assert job()["metadata"]["name"] == job(a_blueprint())["metadata"]["name"]
    assert job()["metadata"]["name"] != job(a_blueprint(**change))["metadata"]["name"]


def test_an_address_that_moves_asks_for_no_second_job() -> None:
    assert job() == job(a_blueprint(address="198.51.100.9", nomad={"servers": 5}))
