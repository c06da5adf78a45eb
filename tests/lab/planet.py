"""A whole playground for tests, and independent eyes on it: the API server and python-nomad."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import nomad
import yaml

from orrery.api.base import API_VERSION
from orrery.playground import lifecycle, power
from orrery.playground.kubeapi import KubeApi
from orrery.playground.lifecycle import Options
from orrery.playground.state import Layout, NomadKind, State
from orrery.ports import Document

EXAMPLES = Path(__file__).parents[2] / "examples"
TENANT = "orrery-default"


class Planet:
    """A running playground."""

    def __init__(self, directory: Path, state: State, hub: KubeApi) -> None:
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

    def running(self, region: str, name: str) -> set[str]:
        """Name the running instances of a job."""
        found = self.nomad(region).job.get_allocations(name)
        return {a["ID"] for a in found if a["ClientStatus"] == "running"}

    def registers(self, region: str, name: str) -> int:
        """Count the registers of a job by the evaluations that they made."""
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

    async def apply(self, *manifests: Document) -> None:
        """Apply manifests as `kubectl apply --server-side` does, in namespace default."""
        await self.hub.apply([_in_default(manifest) for manifest in manifests])

    async def deployment(self, name: str) -> dict[str, Any]:
        """Read a GlobalDeployment; empty when it is gone."""
        found = await self.hub.read(API_VERSION, "GlobalDeployment", name, namespace="default")
        return dict(found or {})

    async def delete(self, name: str) -> None:
        """Delete a GlobalDeployment and wait until it is gone."""
        await self.hub.delete(API_VERSION, "GlobalDeployment", name, namespace="default")
        await self.until(lambda body: not body, name)

    async def until(
        self, holds: Callable[[dict[str, Any]], bool], name: str, *, within: float = 90
    ) -> dict[str, Any]:
        """Wait until a GlobalDeployment is in a state; fail with its status when it never is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            body = await self.deployment(name)
            if holds(body):
                return body
            if loop.time() > deadline:
                raise AssertionError(f"not within {within} s: {json.dumps(body.get('status'))}")
            await asyncio.sleep(0.1)

    async def until_ready(self, name: str, *, within: float = 90) -> dict[str, Any]:
        """Wait until a GlobalDeployment is ready for the spec that it has now."""
        return await self.until(is_ready, name, within=within)

    async def kill(self, region: str) -> None:
        await power.kill(self.directory, region)

    async def revive(self, region: str) -> None:
        await power.revive(self.directory, region)


@asynccontextmanager
async def running_planet(
    directory: Path, kind: NomadKind, *, regions: int = 4
) -> AsyncIterator[Planet]:
    """Bring a playground up for a test, and take it down."""
    options = Options(directory=directory, regions=regions, nomad=kind)
    state = await lifecycle.up(options, print)
    try:
        async with KubeApi.of(Layout.of(directory).kubeconfig) as hub:
            yield Planet(directory, state, hub)
    finally:
        await lifecycle.down(directory)


def example(name: str) -> list[dict[str, Any]]:
    """Load the manifests of a numbered example."""
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


def _in_default(manifest: Document) -> Document:
    metadata = {"namespace": "default", **manifest["metadata"]}
    return {**manifest, "metadata": metadata}
