"""A whole playground for tests, and independent eyes on it: the API server and python-nomad."""

import json
import re
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import nomad
import yaml
from tests.lab.polling import until
from tests.lab.rest import Rest, connected

from orrery.api.base import API_VERSION
from orrery.playground import lifecycle, power
from orrery.playground.lifecycle import Options
from orrery.playground.state import Layout, NomadKind, State
from orrery.ports import Document

EXAMPLES = Path(__file__).parents[2] / "examples"
TENANT = "orrery-default"
PATIENCE = 90.0


class Planet:
    """A running playground."""

    def __init__(self, directory: Path, state: State, hub: Rest) -> None:
        self.directory = directory
        self.hub = hub
        self._state = state

    @property
    def real(self) -> bool:
        return self._state.nomad_kind is NomadKind.REAL

    @property
    def regions(self) -> list[dict[str, str]]:
        text = Layout.of(self.directory).regions_file.read_text(encoding="utf-8")
        entries: list[dict[str, str]] = json.loads(text)
        return entries

    def nomad(self, region: str) -> nomad.Nomad:
        """Connect to a region with somebody else's client."""
        entry = next(e for e in self.regions if e["name"] == region)
        host, _, port = entry["nomadAddress"].removeprefix("https://").partition(":")
        return nomad.Nomad(
            host=host,
            port=int(port),
            secure=True,
            verify=entry["caFile"],
            cert=(entry["certFile"], entry["keyFile"]),
            token=Path(entry["tokenFile"]).read_text(encoding="utf-8").strip(),
            namespace=TENANT,
            timeout=10,
        )

    def job(self, region: str, name: str) -> dict[str, Any] | None:
        """Read a job as its region has it, None when it is not there."""
        try:
            found: dict[str, Any] = self.nomad(region).job.get_job(name)
        except nomad.api.exceptions.URLNotFoundNomadException:
            return None
        return found

    def instances(self, region: str, name: str) -> list[dict[str, Any]]:
        """List the instances of a job, oldest first."""
        found: list[dict[str, Any]] = self.nomad(region).job.get_allocations(name)
        return sorted(found, key=lambda a: int(a["CreateIndex"]))

    def running(self, region: str, name: str) -> set[str]:
        """Name the running instances of a job."""
        return {a["ID"] for a in self.instances(region, name) if a["ClientStatus"] == "running"}

    def registers(self, region: str, name: str) -> int:
        """Count the registers of a job so far; a simulated region counts those of all its jobs.

        A real region shows them by their evaluations, which it keeps for an hour. A simulated one
        forgets all but the newest of these, and counts requests instead.
        """
        if not self.real:
            counted: dict[str, int] = self._admin(region)["counters"]["writes"]
            return counted.get("PUT /v1/jobs", 0) + counted.get("PUT /v1/job/:id", 0)
        found = self.nomad(region).job.get_evaluations(name)
        return sum(e["TriggeredBy"] == "job-register" for e in found)

    async def hub_writes(self) -> int:
        """Read from the operator's metrics how often it wrote to the hub, its lease aside."""
        url = f"http://127.0.0.1:{self._state.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            lines = (await reply.text()).splitlines()
        written = [
            line
            for line in lines
            if line.startswith("orrery_hub_writes_total{") and 'kind="Lease"' not in line
        ]
        return round(sum(float(line.rpartition(" ")[2]) for line in written))

    def apply(self, *manifests: Document) -> None:
        """Apply manifests as `kubectl apply --server-side` does, in namespace default."""
        for manifest in manifests:
            reply = self.hub.apply(manifest)
            assert reply.ok, reply.message

    def deployment(self, name: str) -> dict[str, Any]:
        """Read a GlobalDeployment; empty when it is gone."""
        reply = self.hub.read(_a_deployment(name))
        assert reply.ok or reply.status == 404, reply.message
        return reply.body if reply.ok else {}

    async def delete(self, name: str) -> None:
        """Delete a GlobalDeployment and wait until it is gone."""
        self.hub.delete(_a_deployment(name))
        await self.until(lambda body: not body, name)

    async def until(
        self, holds: Callable[[dict[str, Any]], bool], name: str, *, within: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until a GlobalDeployment is in a state; fail with its status when it never is."""
        body: dict[str, Any] = {}

        def look() -> bool:
            nonlocal body
            body = self.deployment(name)
            return holds(body)

        await until(look, seconds=within, pause=0.1, told=lambda: body.get("status"))
        return body

    async def until_ready(self, name: str, *, within: float = PATIENCE) -> dict[str, Any]:
        """Wait until a GlobalDeployment is ready for the spec that it has now."""
        return await self.until(is_ready, name, within=within)

    async def kill(self, region: str) -> None:
        await power.kill(self.directory, region)

    async def revive(self, region: str) -> None:
        await power.revive(self.directory, region)

    def _admin(self, region: str) -> dict[str, Any]:
        """Look behind the scenes of a simulated region; its log tells where that is."""
        log = Layout.of(self.directory).log_of(region).read_text(encoding="utf-8")
        address = re.findall(r"counters at (\S+)", log)[-1]
        with urllib.request.urlopen(f"{address}/sim/v1/regions/{region}", timeout=10) as reply:
            shown: dict[str, Any] = json.load(reply)
        return shown


@asynccontextmanager
async def running_planet(
    directory: Path, kind: NomadKind, *, regions: int = 4
) -> AsyncIterator[Planet]:
    """Bring a playground up for a test, and take it down."""
    options = Options(directory=directory, regions=regions, nomad=kind)
    state = await lifecycle.up(options, print)
    try:
        with connected(Layout.of(directory).kubeconfig) as hub:
            yield Planet(directory, state, hub)
    finally:
        await lifecycle.down(directory)


def example(name: str) -> list[dict[str, Any]]:
    """Load the example whose file name begins with *name*."""
    (path,) = EXAMPLES.glob(f"{name}*.yaml")
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


def is_ready(body: Mapping[str, Any]) -> bool:
    """Tell whether an object is ready for the spec that it has now."""
    conditions = body.get("status", {}).get("conditions", ())
    generation = body.get("metadata", {}).get("generation")
    return any(
        c["type"] == "Ready" and c["status"] == "True" and c["observedGeneration"] == generation
        for c in conditions
    )


def condition(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Read one condition; empty when it is absent."""
    conditions = body.get("status", {}).get("conditions", ())
    return next((dict(c) for c in conditions if c["type"] == kind), {})


def _a_deployment(name: str) -> Document:
    """Name a GlobalDeployment in namespace default."""
    return {"apiVersion": API_VERSION, "kind": "GlobalDeployment", "metadata": {"name": name}}
