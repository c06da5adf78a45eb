"""A Managed region on a real cluster: built, checked, opened when a machine joins, and back.

The continent's cluster is the hub itself, made of one node whose pods are real.
"""

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.builders import a_deployment
from tests.faults.process import OperatorProcess, start_operator
from tests.lab.joining import UnpackedMachine
from tests.lab.node.cluster import Continent, a_continent, require_node
from tests.lab.node.images import NOMAD_IMAGE, envoy_image, nomad_image
from tests.lab.node.machines import a_machine
from tests.lab.polling import until
from tests.lab.verbs import orrery

from orrery import names
from orrery.adapters.nomad import NomadClientFactory
from orrery.api.base import API_VERSION
from orrery.planning.probing import read_output
from orrery.playground.hub import crd_folder, install_crds
from orrery.ports import Credentials, Document
from orrery.ports.values import decoded
from orrery.render.probe import CONNECTS

OF_MACHINES: Final = {
    "MachinesJoined",
    "DriverHealthy",
    "LatencyWithinBudget",
    "RegistryPull",
    "SmokeDeploy",
}
"""Checks that no region without a machine can pass."""

BUILDS: Final = 3600
"""Seconds for the first test, which waits for what has to be built."""

OPENS_WITHIN: Final = 300.0
"""Seconds from apply to Open that a user is promised, when the machines are there."""

JOINED_WITHIN: Final = 60.0
"""Of these, for a region that waits for its machines only: from the first one to Open."""

REGION: Final = "fra"
NAMESPACE: Final = "orrery-fra"

PROBER: Final = {
    "name": "prober",
    "nomadDriver": "raw_exec",
    "config": {"command": str(Path(sys.executable).with_name("orrery")), "args": "{args}"},
}
PROBE: Final = {"image": "registry.example/none:1", "driver": "prober"}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(BUILDS),
]


def a_world() -> list[Document]:
    """Describe a continent in the hub itself, a class and a region; a tenant's namespace, too."""

    def ours(kind: str, name: str, spec: dict[str, Any]) -> Document:
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}

    def namespace(name: str) -> Document:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}

    program = {"command": "{command}", "args": "{args}"}
    driver = {"name": "process", "nomadDriver": "raw_exec", "portMapping": False, "config": program}
    nomad = {
        "image": NOMAD_IMAGE,
        "storage": "1Gi",
        "resources": {"cpu": "50m", "memory": "512Mi"},
        "drivers": [driver, PROBER],
    }
    return [
        namespace(names.OPERATOR_NAMESPACE),
        namespace("team-a"),
        ours("Continent", "eu", {"cluster": {"local": True}}),
        ours("RegionClass", "standard", {"nomad": nomad, "probe": PROBE}),
        ours("Region", REGION, {"continent": "eu", "class": "standard"}),
    ]


@dataclass
class Europe:
    """A continent with its region, and the operator that builds it."""

    continent: Continent
    operator: OperatorProcess
    seen: list[str] = field(default_factory=list)

    async def region(self) -> Document:
        found = await self.continent.api.read(API_VERSION, "Region", REGION)
        assert found
        return found

    async def is_open(self) -> bool:
        return await self._phase() == "Open"

    async def waits_for_machines_only(self) -> bool:
        """Tell whether all that can pass without a machine does."""
        phase, checks = await self._phase(), await self.checks()
        gaps = {name for name, status in checks.items() if status not in {"Pass", "Skipped"}}
        return phase == "Checking" and gaps == OF_MACHINES

    async def checks(self) -> dict[str, str]:
        status = (await self.region()).get("status") or {}
        return {check["name"]: check["status"] for check in status.get("checks", ())}

    async def _phase(self) -> str:
        assert self.operator.alive, self.operator.said[-4000:]
        status = (await self.region()).get("status") or {}
        message = next((c["message"] for c in status.get("conditions", ())), "")
        if [message] != self.seen[-1:]:
            self.seen.append(message)
        return str(status.get("phase"))

    async def secret(self, name: str) -> dict[str, bytes]:
        found = await self.continent.api.read(
            "v1", "Secret", f"{REGION}-{name}", namespace=NAMESPACE
        )
        assert found
        return decoded(found)

    async def address(self) -> str:
        return str((await self.region())["status"]["controlPlane"]["address"])

    async def ready(self, kind: str, name: str) -> int:
        found = await self.continent.api.read("apps/v1", kind, name, namespace=NAMESPACE)
        return int((found or {}).get("status", {}).get("readyReplicas", 0))


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


async def ask(address: str, context: ssl.SSLContext) -> bytes:
    """Send a call to a front door; return what it says, nothing when it turns the caller away."""
    try:
        reader, writer = await asyncio.open_connection(address, 4646, ssl=context)
        writer.write(b"GET /v1/status/leader HTTP/1.1\r\nHost: fra\r\n\r\n")
        await writer.drain()
        return await reader.read(100)
    except (ssl.SSLError, ConnectionError):
        return b""


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


async def probed(europe: Europe) -> Sequence[float]:
    """Wait until the machine has been probed; return how long its connects took."""
    leaf, token = await europe.secret("operator-tls"), await europe.secret("bootstrap-token")
    ca, certificate, key = (leaf[name].decode() for name in ("ca.crt", "tls.crt", "tls.key"))
    address = f"https://{await europe.address()}:4646"
    client = NomadClientFactory().connect(
        Credentials(address, token["token"].decode(), ca, certificate, key)
    )

    async def printed() -> Sequence[float]:
        listed = await client.list_allocations(
            names.system_namespace(names.INSTALL_DEFAULT), names.PROBE_JOB
        )
        ended = [one for one in listed if one.client_status == "complete"]
        texts = [await client.read_log(one.id, names.PROBE_JOB) for one in ended]
        europe.seen.append(str([(one.client_status, one.message) for one in listed]))
        return read_output(texts[-1]).seconds if texts else ()

    try:
        return await until(printed, told=lambda: europe.seen[-1])
    finally:
        await client.close()


def sleepers() -> list[str]:
    """Name the processes that the deployment runs on this machine."""
    found = Path("/proc").glob("[0-9]*/cmdline")
    return sorted(str(path) for path in found if "/bin/sleep\0" + "3600" in _text(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # The process has ended meanwhile.
        return ""


async def servers_updated(europe: Europe) -> int:
    """Change the class and wait until all servers have it; return the fewest that were ready."""
    (class_,) = [document for document in a_world() if document["kind"] == "RegionClass"]
    class_["spec"]["nomad"]["resources"]["memory"] = "520Mi"
    await europe.continent.api.apply([class_])
    fewest, messages, degraded = 3, [""], set()

    async def is_done() -> bool:
        nonlocal fewest
        found = await europe.continent.api.read(
            "apps/v1", "StatefulSet", "fra-nomad", namespace=NAMESPACE
        )
        assert found
        fewest = min(fewest, int(found["status"].get("readyReplicas", 0)))
        assert await europe.is_open(), europe.seen
        conditions = {
            c["type"]: c["message"] for c in (await europe.region())["status"]["conditions"]
        }
        message = conditions.get("Reconciling", "")
        degraded.add(conditions.get("Degraded", ""))
        if message != messages[-1]:
            messages.append(message)
        memory = found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        status = found["status"]
        seen = status["observedGeneration"] == found["metadata"]["generation"]
        same = seen and status["currentRevision"] == status["updateRevision"]
        return bool(memory == "520Mi" and same and not message)

    await until(is_done, seconds=400, told=lambda: messages)
    europe.seen += messages
    for number in (1, 2):
        assert any(m.startswith(f"updating servers: {number} of 3") for m in messages), messages
    assert degraded == {""}
    return fewest


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


async def test_the_token_stands_in_no_status_and_no_log(europe: Europe) -> None:
    token = (await europe.secret("bootstrap-token"))["token"].decode()
    key = base64.b64encode((await europe.secret("ca"))["tls.key"]).decode()

    told = europe.operator.said + json.dumps(await europe.region())

    assert token not in told
    assert key[:60] not in told
    assert "Traceback" not in europe.operator.said
