"""One application in many regions: from apply to running jobs, and nothing more than is needed."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.lab.planet import Planet, condition, example, is_ready

from orrery.api.base import API_VERSION

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SHOP = ["fra", "was", "par", "sfo"]


def shop() -> dict[str, Any]:
    """Load the example with overrides, named `shop`, with shorter waits than people want."""
    (manifest,) = [m for m in example("03-") if m["kind"] == "GlobalDeployment"]
    manifest["spec"]["update"] = {"minHealthyTime": "1s"}
    for check in manifest["spec"]["healthChecks"]:
        check["interval"] = "1s"
    return manifest


def group(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["TaskGroups"][0]
    return found


async def test_deployment_is_registered_in_all_regions_within_two_seconds(
    planet: Planet, record_property: Callable[[str, object], None]
) -> None:
    loop = asyncio.get_running_loop()
    await planet.apply(shop())
    applied = loop.time()

    while not all(planet.job(region, "shop") for region in SHOP):
        assert loop.time() - applied < 2
        await asyncio.sleep(0.02)
    registered = loop.time() - applied

    record_property("apply_to_registered_ms", round(registered * 1000))
    body = await planet.until_ready("shop")
    assert body["status"]["display"]["regions"] == "4/4"
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"]


async def test_overridden_region_runs_the_overridden_values(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")
    override = shop()["spec"]["overrides"][0]

    counts = {region: group(planet.job(region, "shop") or {})["Count"] for region in SHOP}

    base = shop()["spec"]["scaling"]["count"]
    expected = dict.fromkeys(SHOP, base) | dict.fromkeys(
        override["regions"], override["scaling"]["count"]
    )
    assert counts == expected
    for region in SHOP:
        assert len(planet.running(region, "shop")) == expected[region]


async def test_kubectl_get_shows_the_planet_in_one_line(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")

    table = await _table(planet, "shop")

    columns = [c["name"].upper() for c in table["columnDefinitions"]]
    (row,) = table["rows"]
    shown = dict(zip(columns, row["cells"], strict=True))
    assert shown["NAME"] == "shop"
    assert shown["REGIONS"] == "4/4"
    assert shown["READY"] == "True"
    assert shown["STATUS"] == "healthy in 4 regions"


async def test_changing_one_override_is_one_register_and_at_most_two_hub_writes(
    planet: Planet,
) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")
    await _quiet(planet)
    versions = {region: (planet.job(region, "shop") or {})["Version"] for region in SHOP}
    registers = {region: planet.registers(region, "shop") for region in SHOP}
    writes = await planet.hub_writes()

    changed = shop()
    (region,) = changed["spec"]["overrides"][0]["regions"]
    changed["spec"]["overrides"][0]["scaling"]["count"] += 1
    await planet.apply(changed)
    await planet.until_ready("shop")
    await _quiet(planet)

    after = {r: (planet.job(r, "shop") or {})["Version"] for r in SHOP}
    assert after == versions | {region: versions[region] + 1}
    counted = {r: planet.registers(r, "shop") - registers[r] for r in SHOP}
    assert counted == dict.fromkeys(SHOP, 0) | {region: 1}
    assert await planet.hub_writes() - writes <= 2


async def test_applying_the_same_manifest_again_writes_nothing(planet: Planet) -> None:
    await planet.apply(shop())
    before = await planet.until_ready("shop")
    await _quiet(planet)
    registers = {region: planet.registers(region, "shop") for region in SHOP}
    writes = await planet.hub_writes()

    await planet.apply(shop())
    await _quiet(planet)

    assert await planet.hub_writes() == writes
    assert {region: planet.registers(region, "shop") for region in SHOP} == registers
    after = await planet.deployment("shop")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_scaling_and_routes_replace_no_running_instance(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")
    before = {region: planet.running(region, "shop") for region in SHOP}

    changed = copy.deepcopy(shop())
    changed["spec"]["scaling"]["count"] += 1
    changed["spec"]["routes"] = [{"port": changed["spec"]["ports"][0]["port"], "path": "/new"}]
    await planet.apply(changed)
    await planet.until_ready("shop")

    for region in SHOP:
        assert before[region] <= planet.running(region, "shop")


async def test_image_and_env_replace_the_instances(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")
    before = {region: planet.running(region, "shop") for region in SHOP}

    changed = copy.deepcopy(shop())
    changed["spec"]["env"] = [{"name": "RELEASE", "value": "2"}]
    await planet.apply(changed)
    await planet.until_ready("shop", within=180)

    for region in SHOP:
        assert not before[region] & planet.running(region, "shop")


async def test_every_example_runs_as_it_stands(planet: Planet) -> None:
    for number in ("01-", "02-", "04-", "05-", "06-"):
        manifests = example(number)
        await planet.apply(*manifests)
        (name,) = [m["metadata"]["name"] for m in manifests if m["kind"] == "GlobalDeployment"]

        await planet.until_ready(name)

        await planet.delete(name)
        assert all(planet.job(region, name) is None for region in SHOP)


async def test_missing_secret_is_named_and_cured_by_creating_it(planet: Planet) -> None:
    env = [{"name": "PASSWORD", "secretRef": {"name": "late", "key": "password"}}]
    manifest = shop() | {"metadata": {"name": "needy"}}
    manifest["spec"]["env"] = env
    await planet.apply(manifest)

    body = await planet.until(lambda b: bool(condition(b, "Ready")), "needy")
    assert condition(body, "Ready")["reason"] == "SecretNotFound"
    assert "spec.env[0].secretRef" in condition(body, "Ready")["message"]
    assert all(planet.job(region, "needy") is None for region in SHOP)

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}}
    await planet.apply(secret | {"stringData": {"password": "canary-7391"}})
    await planet.until_ready("needy")
    assert all("canary-7391" not in str(planet.job(region, "needy")) for region in SHOP)
    await planet.delete("needy")


async def test_unknown_region_is_named_and_the_known_ones_go_on(planet: Planet) -> None:
    manifest = shop() | {"metadata": {"name": "typo"}}
    manifest["spec"] |= {"placement": {"regions": ["fra", "wass"]}, "overrides": []}
    await planet.apply(manifest)

    def told(body: dict[str, Any]) -> bool:
        return 'region "wass" is not available' in condition(body, "Ready").get("message", "")

    body = await planet.until(told, "typo")
    assert 'did you mean "was"?' in condition(body, "Ready")["message"]
    await planet.until(lambda b: b["status"]["summary"]["ready"] == 1, "typo")
    assert planet.job("was", "typo") is None
    await planet.delete("typo")


async def test_dark_region_keeps_its_jobs_and_is_caught_up_on_return(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")
    await planet.kill("par")

    def dark(body: dict[str, Any]) -> bool:
        return bool(body["status"]["summary"]["unreachable"] == 1)

    body = await planet.until(dark, "shop")
    assert condition(body, "Ready")["status"] == "True"
    assert "par does not answer" in condition(body, "Degraded")["message"]

    changed = copy.deepcopy(shop())
    changed["spec"]["resources"] = {"cpuMHz": 60, "memoryMB": 40}
    await planet.apply(changed)
    await planet.until(
        lambda b: b["status"]["summary"]["ready"] == 3 and not dark_only_pending(b), "shop"
    )
    await planet.revive("par")
    await planet.until(lambda b: is_ready(b) and b["status"]["summary"]["ready"] == 4, "shop")
    assert group(planet.job("par", "shop") or {})["Tasks"][0]["Resources"]["CPU"] == 60


def dark_only_pending(body: dict[str, Any]) -> bool:
    """Tell whether the status still speaks of an older spec."""
    seen: int = body["status"]["observedGeneration"]
    return bool(seen != body["metadata"]["generation"])


async def test_deletion_stops_every_job_before_the_object_goes(planet: Planet) -> None:
    await planet.apply(shop())
    await planet.until_ready("shop")

    await planet.delete("shop")

    assert all(planet.job(region, "shop") is None for region in SHOP)


async def _quiet(planet: Planet, seconds: float = 3) -> None:
    """Wait until nothing has been written to the hub for some seconds."""
    loop = asyncio.get_running_loop()
    last, since = await planet.hub_writes(), loop.time()
    while loop.time() - since < seconds:
        await asyncio.sleep(0.25)
        now = await planet.hub_writes()
        if now != last:
            last, since = now, loop.time()


async def _table(planet: Planet, name: str) -> dict[str, Any]:
    """Ask for what `kubectl get gd NAME` prints."""
    path = f"/apis/{API_VERSION}/namespaces/default/globaldeployments/{name}"
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    async with planet.hub._session.get(path, headers={"Accept": accept}) as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = await reply.json()
        return found
