"""A continent whose cluster is the hub itself, made of one real node, and its one region."""

import asyncio
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.process import OperatorProcess
from tests.lab.node.cluster import Continent
from tests.lab.node.images import NOMAD_IMAGE
from tests.lab.polling import until

from orrery import names
from orrery.adapters.nomad import NomadClientFactory
from orrery.api.base import API_VERSION
from orrery.planning.probing import read_output
from orrery.ports import Credentials, Document
from orrery.ports.values import decoded

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


async def ask(address: str, context: ssl.SSLContext) -> bytes:
    """Send a call to a front door; return what it says, nothing when it turns the caller away."""
    try:
        reader, writer = await asyncio.open_connection(address, 4646, ssl=context)
        writer.write(b"GET /v1/status/leader HTTP/1.1\r\nHost: fra\r\n\r\n")
        await writer.drain()
        return await reader.read(100)
    except (ssl.SSLError, ConnectionError):
        return b""


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
    assert degraded == {""}, degraded
    return fewest


async def containers(europe: Europe) -> dict[str, str]:
    """Name the container of each server and front door that is ready."""
    pods = await europe.continent.api.list("v1", "Pod", namespace=NAMESPACE)
    return {
        pod["metadata"]["name"]: status["containerID"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", ())
        if status["ready"] and ("nomad" in pod["metadata"]["name"] or "door" in status["name"])
    }
