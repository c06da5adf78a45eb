"""The playground's servers: closed to strangers, back after a power failure, gone after down."""

import asyncio
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.lab.requirements import require_nomad
from tests.unit.render.deployments import a_regional

from orrery.errors import Refused
from orrery.playground.failures import WrongState
from orrery.playground.hub import Hub, require_crds
from orrery.playground.kubeapi import KubeApi
from orrery.playground.lifecycle import Options, down, up
from orrery.playground.objects import STAND_IN
from orrery.playground.power import kill, revive
from orrery.playground.processes import await_end, await_ready, marked
from orrery.playground.state import Layout, NomadKind
from orrery.playground.status import Life, status
from orrery.render.driver import fill_driver

KINDS = [pytest.param(kind, id=kind.value) for kind in NomadKind]


def options(directory: Path, nomad: NomadKind | None = None, *, regions: int = 2) -> Options:
    return Options(directory=directory, continents=1, regions=regions, nomad=nomad, operator=False)


def needs(nomad: NomadKind) -> None:
    if nomad is NomadKind.REAL:
        require_nomad()


@pytest.fixture(scope="module", params=KINDS)
def playground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Run a hub and two regions without an operator."""
    needs(request.param)
    directory = tmp_path_factory.mktemp("playground")
    asyncio.run(up(options(directory, request.param), print))
    yield directory
    asyncio.run(down(directory))


def regions(playground: Path) -> dict[str, dict[str, Any]]:
    entries = json.loads((playground / "regions.json").read_text())
    return {entry["name"]: entry for entry in entries}


def read(file: str) -> str:
    return Path(file).read_text()


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def context(trusting: dict[str, Any], *, showing: dict[str, Any] | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=trusting["caFile"])
    if showing:
        made.load_cert_chain(showing["certFile"], showing["keyFile"])
    return made


async def ask(
    region: dict[str, Any],
    path: str,
    *,
    tls: ssl.SSLContext | None = None,
    token: bool = True,
    **request: Any,
) -> tuple[int, Any]:
    """Call a region as a client with all its credentials, unless told otherwise."""
    headers = {"X-Nomad-Token": read(region["tokenFile"])} if token else {}
    connector = aiohttp.TCPConnector(ssl=tls or context(region, showing=region))
    async with (
        aiohttp.ClientSession(region["nomadAddress"], connector=connector) as session,
        session.request(request.pop("method", "GET"), path, headers=headers, **request) as reply,
    ):
        return reply.status, await reply.json(content_type=None) if reply.ok else None


async def test_regions_file_tells_how_to_reach_each_region(playground: Path) -> None:
    found = regions(playground)

    assert list(found) == ["fra", "was"]
    assert {entry["continent"] for entry in found.values()} == {"eu"}
    for entry in found.values():
        os.kill(entry["pid"], 0)
        assert await ask(entry, "/v1/jobs") == (200, [])


def test_secrets_are_readable_by_their_owner_only(playground: Path) -> None:
    secret = [playground / "kubeconfig", playground / "regions.json"]
    for entry in regions(playground).values():
        secret += [Path(entry["tokenFile"]), Path(entry["keyFile"])]

    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


async def test_a_region_refuses_who_shows_no_certificate(playground: Path) -> None:
    region = regions(playground)["fra"]

    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await ask(region, "/v1/jobs", tls=context(region))


async def test_a_region_refuses_the_certificate_of_another(playground: Path) -> None:
    found = regions(playground)

    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await ask(found["fra"], "/v1/jobs", tls=context(found["fra"], showing=found["was"]))


async def test_a_region_refuses_who_has_no_token(playground: Path) -> None:
    region = regions(playground)["fra"]

    refused, _ = await ask(region, "/v1/nodes", token=False)
    code, machines = await ask(region, "/v1/nodes")

    assert refused == 403
    assert code == 200
    assert [machine["Datacenter"] for machine in machines] == ["fra1"]


async def test_the_hub_knows_regions_and_their_credentials(playground: Path) -> None:
    found = regions(playground)

    async with KubeApi.of(playground / "kubeconfig") as api:
        listed = await api.list("orrery.dev/v1alpha1", "Region")
        secrets = await api.list("v1", "Secret", namespace="orrery-system")

    addresses = {
        region["metadata"]["name"]: region["spec"]["controlPlane"]["external"]["nomadAddress"]
        for region in listed
    }
    bound = {
        secret["metadata"]["name"]: secret["metadata"]["annotations"]["orrery.dev/endpoint"]
        for secret in secrets
    }
    assert addresses == {name: entry["nomadAddress"] for name, entry in found.items()}
    assert bound == {f"{name}-nomad": entry["nomadAddress"] for name, entry in found.items()}


async def test_a_killed_region_comes_back_with_what_it_knew(playground: Path) -> None:
    before = regions(playground)["was"]
    namespace = {"Name": "kept", "Description": "before the power failure"}
    code, _ = await ask(before, "/v1/namespace", method="POST", json=namespace)
    assert code == 200

    await kill(playground, "was")
    report = await status(playground)
    assert {region.name: region.process for region in report.regions} == {
        "fra": Life.RUNNING,
        "was": Life.KILLED,
    }
    assert report.problems == ()
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(before, "/v1/status/leader")

    await revive(playground, "was")
    after = regions(playground)["was"]
    _, namespaces = await ask(after, "/v1/namespaces")
    assert "kept" in {namespace["Name"] for namespace in namespaces}
    assert after["nomadAddress"] == before["nomadAddress"]
    assert after["pid"] != before["pid"]


async def test_an_agent_that_dies_by_itself_is_reported(playground: Path) -> None:
    region = Layout.of(playground).require().region("fra")

    os.kill(region.process.pid, signal.SIGKILL)

    async def gone() -> bool:
        return not region.process.alive

    await await_ready(gone, what="the agent is gone", deadline=10)
    report = await status(playground)
    assert report.regions[0].process is Life.DIED
    assert report.problems == (
        f"fra (process {region.process.pid}) died; its log is {region.process.log}",
    )
    await revive(playground, "fra")
    assert (await status(playground)).problems == ()


async def test_an_operator_and_a_hub_that_die_are_reported(tmp_path: Path) -> None:
    planet = replace(options(tmp_path, NomadKind.SIMULATED, regions=1), operator=True)
    state = await up(planet, print)
    operator, server = state.operator, state.hub[-1]
    assert operator
    try:
        os.kill(operator.pid, signal.SIGKILL)
        await await_end(operator)
        without_operator = await status(tmp_path)
        os.kill(server.pid, signal.SIGKILL)
        await await_end(server)
        without_hub = await status(tmp_path)
    finally:
        await down(tmp_path)

    died = [
        f"{one.name} (process {one.pid}) died; its log is {one.log}" for one in (server, operator)
    ]
    assert (without_operator.operator, without_operator.hub) == (Life.DIED, Life.RUNNING)
    assert without_operator.problems == (died[1],)
    assert (without_hub.operator, without_hub.hub) == (Life.DIED, Life.DIED)
    assert without_hub.problems == tuple(died)
    assert [region.process for region in without_hub.regions] == [Life.RUNNING]
    assert marked(str(tmp_path)) == []


async def test_what_cannot_be_done_is_said(playground: Path) -> None:
    with pytest.raises(WrongState, match="already running"):
        await up(options(playground))
    with pytest.raises(WrongState, match="no region 'mars', it has fra, was"):
        await kill(playground, "mars")
    with pytest.raises(WrongState, match="'fra' runs already"):
        await revive(playground, "fra")


async def test_an_instance_outlives_its_killed_agent_and_ends_with_down(tmp_path: Path) -> None:
    needs(NomadKind.REAL)
    await up(options(tmp_path, NomadKind.REAL, regions=1), print)
    region = regions(tmp_path)["fra"]
    try:
        code, _ = await ask(region, "/v1/jobs", method="POST", json={"Job": stand_in_job()})
        assert code == 200
        address = await running_instance(region)
        await kill(tmp_path, "fra")
        assert (await fetch(address))["image"] == "shop:1.4"

        await revive(tmp_path, "fra")
        assert await running_instance(region) == address
    finally:
        await down(tmp_path)

    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(address)
    assert marked(str(tmp_path)) == []
    assert names_in(tmp_path) == [".lock", "logs"]


def stand_in_job() -> dict[str, Any]:
    regional = a_regional(docker={"image": "shop:1.4"}, ports=[{"port": 3000}])
    task = {
        "Name": "app",
        "Driver": STAND_IN.nomad_driver,
        "Config": fill_driver(STAND_IN, regional, region_class="playground"),
        "Resources": {"CPU": 100, "MemoryMB": 64},
    }
    check = {"Type": "http", "Path": "/", "Interval": 10**9, "Timeout": 10**9, "Name": "up"}
    service = {"Name": "shop", "PortLabel": "p3000", "Provider": "nomad", "Checks": [check]}
    group = {
        "Name": "instances",
        "Count": 1,
        "Networks": [{"DynamicPorts": [{"Label": "p3000"}]}],
        "Services": [service],
        "Tasks": [task],
    }
    return {"ID": "shop", "Datacenters": ["*"], "TaskGroups": [group]}


async def running_instance(region: dict[str, Any]) -> str:
    """Wait until the job's service is registered and answers; return its address."""
    found: list[str] = []

    async def answers() -> bool:
        _, services = await ask(region, "/v1/service/shop")
        found[:] = [f"http://{one['Address']}:{one['Port']}" for one in services or []]
        try:
            return bool(found) and bool(await fetch(found[0]))
        except aiohttp.ClientConnectionError:
            return False

    await await_ready(answers, what="the instance answers", deadline=30)
    return found[0]


async def fetch(address: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(address) as reply:
        facts: dict[str, Any] = await reply.json()
        return facts


UP_FLAGS = ("--continents=1", "--regions=1", "--no-operator")


def up_command(directory: Path) -> subprocess.Popen[str]:
    """Run `up` as a user would."""
    code = "from orrery.cli.playground import playground; playground()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, "up", f"--directory={directory}", *UP_FLAGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    pytest.fail(f"`up` ended without saying '{words}', it said:\n{''.join(said)}")


def test_ctrl_c_takes_down_what_was_started(tmp_path: Path) -> None:
    with up_command(tmp_path) as process:
        read_until(process, "regions: starting")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "taking down what was started" in said
    assert marked(str(tmp_path)) == []


async def test_leftovers_of_a_crash_are_removed_by_the_next_up(tmp_path: Path) -> None:
    with up_command(tmp_path) as process:
        await asyncio.to_thread(read_until, process, "regions: starting")
        process.kill()
    left = {process.pid for process in marked(str(tmp_path))}
    assert left

    await up(options(tmp_path, regions=1), print)

    assert not left & {process.pid for process in marked(str(tmp_path))}
    await down(tmp_path)
    assert marked(str(tmp_path)) == []


async def test_a_hub_is_closed_to_strangers(shared_hub: Hub) -> None:
    authority = shared_hub.kubeconfig.parent / "hub" / "ca.pem"
    async with KubeApi(shared_hub.url, ssl.create_default_context(cafile=authority)) as stranger:
        with pytest.raises(Refused, match="forbidden"):
            await stranger.list("v1", "Secret")


async def test_a_hub_serves_all_four_kinds(kubeconfig: Path) -> None:
    require_crds()
    async with KubeApi.of(kubeconfig) as api:
        for kind in ("Continent", "Region", "RegionClass", "GlobalDeployment"):
            assert await api.list("orrery.dev/v1alpha1", kind) == []
