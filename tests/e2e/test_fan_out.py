"""One application in many regions: from apply to running jobs, and nothing more than is needed."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.lab.planet import EXAMPLES, Planet, condition, example, is_ready
from tests.lab.polling import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SHOP = ["fra", "was", "par", "sfo"]
OTHERS = [path.stem for path in sorted(EXAMPLES.glob("*.yaml")) if not path.stem.startswith("03-")]
"""The examples but the shop, which the other tests are about."""


def shop() -> dict[str, Any]:
    """Load the example with overrides, named `shop`, with shorter waits than people want."""
    (manifest,) = [m for m in example("03-") if m["kind"] == "GlobalDeployment"]
    manifest["spec"]["update"] = {"minHealthyTime": "1s"}
    for check in manifest["spec"]["healthChecks"]:
        check["interval"] = "1s"
    return manifest


def group(job: dict[str, Any] | None) -> dict[str, Any]:
    assert job
    found: dict[str, Any] = job["TaskGroups"][0]
    return found


def memory(job: dict[str, Any] | None) -> int:
    return int(group(job)["Tasks"][0]["Resources"]["MemoryMB"])


def versions(planet: Planet) -> dict[str, int]:
    """Read the version of the shop's job in each region."""
    return {region: (planet.job(region, "shop") or {})["Version"] for region in SHOP}


def registers(planet: Planet) -> dict[str, int]:
    """Count the registers of the shop in each region."""
    return {region: planet.registers(region, "shop") for region in SHOP}


async def test_deployment_is_registered_in_all_regions_within_two_seconds(
    planet: Planet, record_property: Callable[[str, object], None]
) -> None:
    loop = asyncio.get_running_loop()
    planet.apply(shop())
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
    planet.apply(shop())
    await planet.until_ready("shop")
    base, override = shop()["spec"], shop()["spec"]["overrides"][0]

    jobs = {region: planet.job(region, "shop") for region in SHOP}

    def expected(block: str, field: str) -> dict[str, int]:
        special = dict.fromkeys(override["regions"], override[block][field])
        return dict.fromkeys(SHOP, base[block][field]) | special

    counts = expected("scaling", "count")
    assert {region: group(job)["Count"] for region, job in jobs.items()} == counts
    assert {region: len(planet.running(region, "shop")) for region in SHOP} == counts
    sizes = {region: memory(job) for region, job in jobs.items()}
    assert sizes == expected("resources", "memoryMB")


async def test_kubectl_get_shows_the_planet_in_one_line(planet: Planet) -> None:
    planet.apply(shop())
    await planet.until_ready("shop")

    shown = planet.hub.table(shop())

    assert (shown["Name"], shown["Regions"], shown["Ready"]) == ("shop", "4/4", "True")
    assert shown["Status"] == "healthy in 4 regions"


async def test_changing_one_override_is_one_register_and_at_most_two_hub_writes(
    planet: Planet,
) -> None:
    planet.apply(shop())
    await planet.until_ready("shop")
    await _quiet(planet)
    before, counted, writes = versions(planet), registers(planet), await planet.hub_writes()

    changed = shop()
    (region,) = changed["spec"]["overrides"][0]["regions"]
    changed["spec"]["overrides"][0]["scaling"]["count"] += 1
    planet.apply(changed)
    await planet.until_ready("shop")
    await _quiet(planet)

    assert versions(planet) == before | {region: before[region] + 1}
    assert registers(planet) == counted | {region: counted[region] + 1}
    assert await planet.hub_writes() - writes <= 2


async def test_applying_the_same_manifest_again_writes_nothing(planet: Planet) -> None:
    planet.apply(shop())
    before = await planet.until_ready("shop")
    await _quiet(planet)
    counted, writes = registers(planet), await planet.hub_writes()

    planet.apply(shop())
    await _quiet(planet)

    assert await planet.hub_writes() == writes
    assert registers(planet) == counted
    after = planet.deployment("shop")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_scaling_and_routes_replace_no_running_instance(planet: Planet) -> None:
    planet.apply(shop())
    await planet.until_ready("shop")
    before = {region: planet.running(region, "shop") for region in SHOP}

    changed = copy.deepcopy(shop())
    changed["spec"]["scaling"]["count"] += 1
    changed["spec"]["routes"] = [{"port": changed["spec"]["ports"][0]["port"], "path": "/new"}]
    planet.apply(changed)
    await planet.until_ready("shop")

    for region in SHOP:
        assert before[region] <= planet.running(region, "shop")


async def test_image_and_env_replace_the_instances_a_few_at_a_time(planet: Planet) -> None:
    wide = shop()
    wide["spec"]["update"]["maxParallel"] = 2
    wide["spec"]["overrides"][0]["scaling"]["count"] = 4
    planet.apply(wide)
    await planet.until_ready("shop")
    before = {region: planet.running(region, "shop") for region in SHOP}

    changed = copy.deepcopy(wide)
    changed["spec"]["docker"]["image"] += ":2"
    changed["spec"]["env"] = [{"name": "RELEASE", "value": "2"}]
    planet.apply(changed)
    await planet.until_ready("shop", within=180)

    for region in SHOP:
        job = planet.job(region, "shop") or {}
        (task,) = group(job)["Tasks"]
        assert "docker.io/koyeb/demo:2" in str(task["Config"])
        assert task["Env"]["RELEASE"] == "2"
        new = [a for a in planet.instances(region, "shop") if a["JobVersion"] == job["Version"]]
        assert {a["ID"] for a in new} == planet.running(region, "shop")
        assert not before[region] & planet.running(region, "shop")
        assert len(new) == group(job)["Count"]
        assert max(in_flight(new)) == min(2, len(new))


def in_flight(instances: list[dict[str, Any]]) -> list[int]:
    """Count, when each instance was started, those that were not yet healthy, itself included."""
    return [
        sum(
            other["CreateIndex"] <= one["CreateIndex"] < other["DeploymentStatus"]["ModifyIndex"]
            for other in instances
        )
        for one in instances
    ]


@pytest.fixture(scope="module")
def examples(planet: Planet) -> dict[str, str]:
    """Apply the examples all at once, since each has its waits; name what each deploys."""
    deployed = {}
    for file in OTHERS:
        manifests = example(file)
        planet.apply(*manifests)
        (deployed[file],) = [
            m["metadata"]["name"] for m in manifests if m["kind"] == "GlobalDeployment"
        ]
    return deployed


@pytest.mark.parametrize("file", OTHERS)
async def test_every_example_runs_as_it_stands(
    planet: Planet, examples: dict[str, str], file: str
) -> None:
    name = examples[file]

    await planet.until_ready(name)

    await planet.delete(name)
    assert all(planet.job(region, name) is None for region in SHOP)


async def test_missing_secret_is_named_and_cured_by_creating_it(planet: Planet) -> None:
    env = [{"name": "PASSWORD", "secretRef": {"name": "late", "key": "password"}}]
    manifest = shop() | {"metadata": {"name": "needy"}}
    manifest["spec"]["env"] = env
    planet.apply(manifest)

    body = await planet.until(lambda b: bool(condition(b, "Ready")), "needy")
    assert condition(body, "Ready")["reason"] == "SecretNotFound"
    assert "spec.env[0].secretRef" in condition(body, "Ready")["message"]
    assert all(planet.job(region, "needy") is None for region in SHOP)

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}}
    planet.apply(secret | {"stringData": {"password": "canary-7391"}})
    await planet.until_ready("needy")
    assert all("canary-7391" not in str(planet.job(region, "needy")) for region in SHOP)
    await planet.delete("needy")


async def test_unknown_region_is_named_and_the_known_ones_go_on(planet: Planet) -> None:
    manifest = shop() | {"metadata": {"name": "typo"}}
    manifest["spec"] |= {"placement": {"regions": ["fra", "wass"]}, "overrides": []}
    planet.apply(manifest)

    def told(body: dict[str, Any]) -> bool:
        return 'region "wass" is not available' in condition(body, "Ready").get("message", "")

    body = await planet.until(told, "typo")
    assert 'did you mean "was"?' in condition(body, "Ready")["message"]
    await planet.until(lambda b: b["status"]["summary"]["ready"] == 1, "typo")
    assert planet.job("was", "typo") is None
    await planet.delete("typo")


async def test_dark_region_keeps_its_jobs_and_is_caught_up_on_return(planet: Planet) -> None:
    planet.apply(shop())
    await planet.until_ready("shop")
    changed = copy.deepcopy(shop())
    changed["spec"]["resources"] = {"cpuMHz": 60, "memoryMB": 40}

    def dark(body: dict[str, Any]) -> bool:
        return bool(body["status"]["summary"]["unreachable"] == 1)

    await planet.kill("par")
    try:
        body = await planet.until(dark, "shop")
        planet.apply(changed)
        await planet.until(
            lambda b: b["status"]["summary"]["ready"] == 3 and not dark_only_pending(b), "shop"
        )
    finally:
        await planet.revive("par")

    assert condition(body, "Ready")["status"] == "True"
    assert "par does not answer" in condition(body, "Degraded")["message"]
    await planet.until(lambda b: is_ready(b) and b["status"]["summary"]["ready"] == 4, "shop")
    assert memory(planet.job("par", "shop")) == 40


def dark_only_pending(body: dict[str, Any]) -> bool:
    """Tell whether the status still speaks of an older spec."""
    seen: int = body["status"]["observedGeneration"]
    return bool(seen != body["metadata"]["generation"])


async def test_deletion_stops_every_job_before_the_object_goes(planet: Planet) -> None:
    planet.apply(shop())
    await planet.until_ready("shop")

    await planet.delete("shop")

    assert all(planet.job(region, "shop") is None for region in SHOP)


async def _quiet(planet: Planet, seconds: float = 3) -> None:
    """Wait until nothing has been written to the hub for some seconds."""
    loop = asyncio.get_running_loop()
    last, since = await planet.hub_writes(), loop.time()

    async def quiet() -> bool:
        nonlocal last, since
        now = await planet.hub_writes()
        if now != last:
            last, since = now, loop.time()
        return loop.time() - since >= seconds

    await until(quiet, pause=0.25, told=lambda: f"{last} writes to the hub, and more")
