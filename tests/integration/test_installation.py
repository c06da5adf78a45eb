"""The operator as it is installed: with the account that is rendered for it, and nothing else."""

import base64
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.builders import a_class, a_managed_region
from tests.faults.planet import FRA, NAMESPACE, FaultPlanet, a_shop, fault_planet
from tests.faults.sweep import ENV, SECRET
from tests.lab.faultproxy_journal import Match
from tests.lab.polling import until

from orrery.api.base import API_VERSION
from orrery.planning.rights import RIGHTS
from orrery.render.installation import (
    NAME,
    Installation,
    render_installation,
    render_local_rights,
)

INSTALLATION = Installation()
NARROW = "narrow"
"""The way to the hub on which the operator has nothing but its account's token."""

LOCAL = {
    "apiVersion": API_VERSION,
    "kind": "Continent",
    "metadata": {"name": "here"},
    "spec": {"cluster": {"local": True}},
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultPlanet]:
    async with fault_planet(tmp_path_factory.mktemp("planet"), [FRA]) as planet:
        manifests = [m for each in render_installation(INSTALLATION).values() for m in each]
        await planet.apply(*manifests, *render_local_rights(INSTALLATION, RIGHTS, "local"))
        yield planet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def way(planet: FaultPlanet) -> Path:
    """A kubeconfig that holds the token of the rendered account, as its pods have it."""
    document = yaml.safe_load(planet.hub.kubeconfig.read_text())
    authority = document["clusters"][0]["cluster"]["certificate-authority-data"]
    anonymous = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    target = await planet.proxy.open(NARROW, planet.hub.url, anonymous)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    account = f"/api/v1/namespaces/{INSTALLATION.namespace}/serviceaccounts/{NAME}"
    answer = await planet.api.call("POST", f"{account}/token", json=body)
    proxied = yaml.safe_load(planet.kubeconfig.read_text())
    proxied["clusters"][0]["cluster"]["server"] = target.address
    proxied["users"][0]["user"]["token"] = answer["status"]["token"]
    path = planet.directory / "narrow"
    path.write_text(yaml.safe_dump(proxied))
    return path


def refused(planet: FaultPlanet) -> list[str]:
    """List what the hub refused, each once."""
    entries = planet.proxy.journal.of(Match(target=NARROW))
    return sorted({f"{e.method} {e.path} {e.status}" for e in entries if e.status in {401, 403}})


async def test_its_account_may_do_all_that_it_does(planet: FaultPlanet, way: Path) -> None:
    await planet.apply(SECRET, LOCAL, a_class("managed", image="registry.example/nomad:2.0.6"))
    async with planet.operator("--probe-seconds", "1", way=way):
        await planet.until_open(FRA)
        await planet.apply(a_shop("shop", [FRA], env=ENV))
        await planet.until_ready("shop")
        await planet.apply(a_managed_region("ber", continent="here", **{"class": "managed"}))

        async def built() -> bool:
            return bool(await planet.api.list("v1", "Service", namespace="orrery-ber"))

        await until(built, told=lambda: refused(planet))
        await planet.delete("shop")
        await planet.until_gone("shop")
        await planet.until_quiet()

    asked = list(planet.proxy.journal.of(Match(target=NARROW)))
    assert len([e for e in asked if e.status == 200]) > 30
    assert refused(planet) == []


async def test_a_right_that_is_missing_is_named_and_keeps_it_from_being_ready(
    planet: FaultPlanet, way: Path
) -> None:
    role = next(
        m
        for each in render_installation(INSTALLATION).values()
        for m in each
        if m["kind"] == "ClusterRole" and "tenants" not in m["metadata"]["name"]
    )
    fewer = [rule for rule in role["rules"] if rule["resources"] != ["events"]]
    assert len(fewer) == len(role["rules"]) - 1
    await planet.apply({**role, "rules": fewer})
    try:
        operator = await planet.start(way=way, name="fewer")
        words = "the hub does not let us create events.events.k8s.io, everywhere"
        await until(lambda: "does not let us" in operator.said, told=lambda: operator.said[-2000:])
        found = re.findall(r"the hub does not let us ([^:]+): apply what", operator.said)
        assert found == [words.removeprefix("the hub does not let us ")]
        assert not await operator.is_ready()
        await operator.stop()
    finally:
        await planet.apply(role)


async def test_its_pods_are_admitted_where_pods_are_restricted(planet: FaultPlanet) -> None:
    (deployment,) = [
        m
        for each in render_installation(INSTALLATION).values()
        for m in each
        if m["kind"] == "Deployment"
    ]
    template: dict[str, Any] = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": "one", "namespace": INSTALLATION.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    pods = f"/api/v1/namespaces/{INSTALLATION.namespace}/pods?dryRun=All"

    made = await planet.api.call("POST", pods, json=pod)

    assert made["spec"]["serviceAccountName"] == NAME
    assert INSTALLATION.namespace != NAMESPACE
