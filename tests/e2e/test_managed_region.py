"""A Managed region on a real cluster: built, checked, opened when a machine joins, and back.

The continent's cluster is the hub itself, made of one node whose pods are real.
"""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.builders import a_deployment
from tests.e2e.managed import (
    BUILDS,
    JOINED_WITHIN,
    NAMESPACE,
    OPENS_WITHIN,
    REGION,
    Europe,
    a_world,
    ask,
    containers,
    probed,
    servers_updated,
    sleepers,
)
from tests.faults.process import start_operator
from tests.lab.joining import UnpackedMachine
from tests.lab.node.cluster import a_continent, require_node
from tests.lab.node.images import envoy_image, nomad_image
from tests.lab.node.machines import a_machine
from tests.lab.polling import until
from tests.lab.verbs import orrery

from orrery.api.base import API_VERSION
from orrery.playground.hub import crd_folder, install_crds
from orrery.render.probe import CONNECTS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(BUILDS),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def europe(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    nomad_binary: Path,
) -> AsyncIterator[Europe]:
    await require_node(request.config)
    envoy = envoy_image()
    if envoy is None:
        pytest.skip("needs an envoy binary: put one on PATH, or set ORRERY_ENVOY to it")
    directory = tmp_path_factory.mktemp("europe")
    images = [nomad_image(nomad_binary), envoy]
    async with a_continent(directory, images=images) as continent:
        await install_crds(continent.api, crd_folder())
        await continent.api.apply(a_world())
        operator = await start_operator(
            continent.kubeconfig, directory / "operator.log", "--no-leader-election"
        )
        yield Europe(continent, operator)
        await operator.stop()


async def test_a_region_is_built_unattended_and_waits_for_machines_only(europe: Europe) -> None:
    await until(europe.waits_for_machines_only, seconds=OPENS_WITHIN, told=lambda: europe.seen)

    assert "MachinesJoined: no machine has joined" in europe.seen[-1]

    assert await europe.ready("StatefulSet", "fra-nomad") >= 2
    assert await europe.ready("Deployment", "fra-front-door") >= 1
    status = (await europe.region())["status"]
    assert status["controlPlane"]["bootstrapped"] is True
    assert status["nomad"]["region"] == REGION


async def test_the_front_door_takes_no_caller_without_a_certificate(europe: Europe) -> None:
    context = ssl.create_default_context(cadata=(await europe.secret("ca"))["tls.crt"].decode())

    answer = await ask(await europe.address(), context)

    assert answer == b""


async def test_a_machine_joins_through_the_front_door_the_region_opens_and_runs_a_deployment(
    europe: Europe, tmp_path: Path, nomad_binary: Path
) -> None:
    bundle = tmp_path / "bundle.tar"
    given = ("--machine", "node1", "--data-center", "fra1", "-o", str(bundle))
    said = await orrery("region", "bundle", REGION, *given, kubeconfig=europe.continent.kubeconfig)
    assert said.code == 0, said.error
    async with a_machine(europe.continent.room, europe.continent.network) as machine:
        own = str(machine.address)
        unpacked = UnpackedMachine(
            tmp_path / "machine",
            nomad_binary,
            {
                "bind_addr": own,
                "advertise": {"http": own, "rpc": own},
                "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
            },
        )
        unpacked.unpack(bundle)
        sleep = {"image": "none", "command": "/bin/sleep", "args": ["3600"]}
        await europe.continent.api.apply(
            [
                a_deployment(
                    "sleeper",
                    type="WORKER",
                    docker=sleep,
                    ports=[],
                    scaling={"count": 1},
                    placement={"regions": [REGION]},
                )
            ]
        )

        async def waits() -> bool:
            await is_ready()
            return f'region "{REGION}" is not open yet' in europe.seen[-1]

        async def is_ready() -> bool:
            found = await europe.continent.api.read(
                API_VERSION, "GlobalDeployment", "sleeper", namespace="team-a"
            )
            europe.seen.append(str((found or {}).get("status", {}).get("display")))
            return bool((found or {}).get("status", {}).get("summary", {}).get("ready") == 1)

        await until(waits, seconds=30, told=lambda: europe.seen[-1])
        machine.start("nomad", *unpacked.command, log=tmp_path / "log")
        await until(europe.is_open, seconds=JOINED_WITHIN, told=lambda: europe.seen)
        await until(is_ready, seconds=120, told=lambda: europe.seen[-1])

        assert set((await europe.checks()).values()) == {"Pass", "Skipped"}
        machines = (await europe.region())["status"]["dataCenters"]
        assert machines == [{"name": "fra1", "machines": 1, "ready": 1}]
        assert len(await probed(europe)) == CONNECTS

        before = sleepers()
        fewest = await servers_updated(europe)

        assert fewest == 2
        assert before
        assert sleepers() == before


@pytest.mark.parametrize("pod", ["fra-nomad-0", "front-door"])
async def test_a_pod_that_is_killed_comes_back_and_the_region_stays_usable(
    europe: Europe, pod: str
) -> None:
    pods = await europe.continent.api.list("v1", "Pod", namespace=NAMESPACE)
    name = next(p["metadata"]["name"] for p in pods if pod in p["metadata"]["name"])

    async def restarts() -> int:
        found = await europe.continent.api.read("v1", "Pod", name, namespace=NAMESPACE)
        statuses = (found or {}).get("status", {}).get("containerStatuses") or [{}]
        return int(statuses[0].get("restartCount", 0)) if statuses[0].get("ready") else -1

    before = await restarts()
    await europe.continent.kill(NAMESPACE, name)

    async def is_back() -> bool:
        return await restarts() > before and await europe.is_open()

    await until(is_back, seconds=120, told=lambda: europe.seen)


async def test_a_kubelet_that_is_killed_comes_back_and_so_does_what_fell_meanwhile(
    europe: Europe,
) -> None:
    before = await containers(europe)
    start = europe.continent.kill_kubelet()
    await europe.continent.kill(NAMESPACE, "fra-nomad-1")
    assert await europe.is_open(), "two of three servers are enough"
    start()

    async def is_back() -> bool:
        after = await containers(europe)
        fell = "fra-nomad-1"
        return after.keys() == before.keys() and after[fell] != before[fell]

    await until(is_back, seconds=120, told=lambda: europe.seen)
    await until(europe.is_open, seconds=120, told=lambda: europe.seen)

    after = await containers(europe)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {"fra-nomad-1"}, "what ran was not restarted"


async def test_the_token_stands_in_no_status_and_no_log(europe: Europe) -> None:
    token = (await europe.secret("bootstrap-token"))["token"].decode()
    key = base64.b64encode((await europe.secret("ca"))["tls.key"]).decode()

    told = europe.operator.said + json.dumps(await europe.region())

    assert token not in told
    assert key[:60] not in told
    assert "Traceback" not in europe.operator.said


async def test_a_region_is_torn_down_once_no_job_runs_and_leaves_nothing(europe: Europe) -> None:
    api = europe.continent.api
    region = next(document for document in a_world() if document["kind"] == "Region")
    await api.apply([{**region, "spec": {**region["spec"], "deletionPolicy": "Teardown"}}])

    async def is_guarded() -> bool:
        return bool((await europe.region())["metadata"].get("finalizers"))

    await until(is_guarded)
    await api.delete(API_VERSION, "Region", REGION)

    async def is_held() -> bool:
        conditions = (await europe.region())["status"]["conditions"]
        europe.seen.append(str([c["message"] for c in conditions]))
        return "job runs" in europe.seen[-1] and "sleeper" in europe.seen[-1]

    await until(is_held, told=lambda: europe.seen[-3:])
    assert await api.read("v1", "Namespace", NAMESPACE)
    await api.delete(API_VERSION, "GlobalDeployment", "sleeper", namespace="team-a")

    async def is_gone() -> bool:
        return await api.read(API_VERSION, "Region", REGION) is None

    await until(is_gone, seconds=180, told=lambda: europe.seen[-3:])
    assert await api.read("v1", "Namespace", NAMESPACE) is None
    assert not await api.list("v1", "PersistentVolumeClaim", namespace=NAMESPACE)
