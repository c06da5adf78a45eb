"""A small planet whose hub and regions are each behind the fault proxy.

The hub is real, the operator is the real process. Regions are simulated ones in the loop of the
test, so that a test can look into them, or real Nomad agents; either way the operator reaches them
over TLS, through the proxy alone. What the test itself does goes past the proxy.
"""

import asyncio
import base64
import copy
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from tests.builders import a_deployment
from tests.faults.process import ORRERY, OperatorProcess, start_operator
from tests.lab.certificates import Certificates, make_certificates
from tests.lab.faultproxy import FaultProxy
from tests.lab.hub import running_hub
from tests.lab.planet import condition, is_ready
from tests.lab.polling import until

from orrery.adapters.pki import KeyPair, write_file, write_key_pair
from orrery.api.base import API_VERSION
from orrery.names import OPERATOR_NAMESPACE
from orrery.playground import objects
from orrery.playground.hub import Hub
from orrery.playground.kubeapi import KubeApi, kubeconfig
from orrery.playground.regions import RegionPlan
from orrery.ports import Document
from orrery.sim import Machine, Served, SimulatedRegion, serve

FULL: Final = os.environ.get("ORRERY_FAULTS") == "full"
"""Whether faults may last as long, and crowds be as large, as in the worst of cases."""

HUB: Final = "hub"
"""Name of the hub among the proxy's targets; the others are called as the regions are."""

TOKEN: Final = "c0ffee00-0000-4000-8000-00000000fa17"
NAMESPACE: Final = "default"
TENANT: Final = "orrery-default"
CONTINENT: Final = "eu"
FRA: Final = "fra"
WAS: Final = "was"

STOPS_ALLOWED: Final = {"orrery.dev/allow-stops-until": "2099-01-01T00:00:00Z"}
"""Tests stop more jobs in a short time than people do."""


@dataclass(eq=False)
class FaultPlanet:
    """A running planet; operators are started by `operator`."""

    directory: Path
    certificates: Certificates
    api: KubeApi
    proxy: FaultProxy
    served: Served
    hub: Hub
    kubeconfig: Path
    """Leads to the hub through the proxy."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Management tokens of the regions."""
    operators: list[OperatorProcess] = field(default_factory=list)

    def region(self, name: str) -> SimulatedRegion:
        return self.served.region(name)

    def job(self, region: str, name: str) -> dict[str, Any] | None:
        """Look up a job in a region, None when it is not there."""
        simulated = self.region(region)
        job = simulated.core.tables.jobs.get((TENANT, name))
        return copy.deepcopy(simulated.document(job)) if job else None

    def edit(self, region: str, name: str, **group: Any) -> None:
        """Change the first group of a job, as a person with Nomad's own command line would."""
        job = self.job(region, name)
        assert job is not None
        groups = [{**job["TaskGroups"][0], **group}]
        self.region(region).register({**job, "TaskGroups": groups})

    async def apply(self, *manifests: Document) -> None:
        """Apply manifests as `kubectl apply --server-side` does."""
        await self.api.apply(manifests)

    async def delete(self, name: str) -> None:
        """Ask for the end of a deployment, and do not wait for it."""
        await self.api.delete(API_VERSION, "GlobalDeployment", name, namespace=NAMESPACE)

    async def deployments(self) -> dict[str, dict[str, Any]]:
        """Read all deployments, by name."""
        found = await self.api.list(API_VERSION, "GlobalDeployment", namespace=NAMESPACE)
        return {body["metadata"]["name"]: dict(body) for body in found}

    async def until(
        self,
        holds: Callable[[Mapping[str, Any]], bool],
        names: Collection[str],
        *,
        within: float = 60,
    ) -> None:
        """Wait until all deployments of *names* are in a state; one that is gone is empty."""
        waiting: dict[str, Any] = {}

        async def look() -> bool:
            found = await self.deployments()
            waiting.clear()
            bodies = {name: found.get(name, {}) for name in names}
            waiting.update({n: b.get("status") for n, b in bodies.items() if not holds(b)})
            return not waiting

        await until(look, seconds=within, pause=0.1, told=lambda: waiting)

    async def until_ready(self, *names: str, within: float = 60) -> None:
        await self.until(is_ready, names, within=within)

    async def until_gone(self, *names: str, within: float = 60) -> None:
        await self.until(lambda body: not body, names, within=within)

    async def until_quiet(self, *, seconds: float = 1.5, within: float = 60) -> None:
        """Wait until nothing has been written through the proxy for a while."""
        loop, journal = asyncio.get_running_loop(), self.proxy.journal
        begin = loop.time()

        def quiet() -> bool:
            last = max((entry.time for entry in journal.writes), default=begin)
            return loop.time() - max(last, begin) >= seconds

        await until(quiet, seconds=within, told=lambda: [str(e) for e in journal.writes[-10:]])

    async def until_open(self, *names: str, within: float = 60) -> None:
        """Wait until regions can be used."""

        async def are_open() -> bool:
            return all([await self.phase(name) == "Open" for name in names])

        await until(are_open, seconds=within, pause=0.2)

    async def phase(self, region: str) -> str:
        return str((await self.status(region)).get("phase", ""))

    async def status(self, region: str) -> dict[str, Any]:
        body = await self.api.read(API_VERSION, "Region", region)
        return dict((body or {}).get("status", {}))

    async def ready_condition(self, region: str) -> dict[str, Any]:
        """Read what a Region says of itself."""
        return condition({"status": await self.status(region)}, "Ready")

    async def events(self, name: str, reason: str) -> list[Document]:
        """Read the Kubernetes events of one *reason* about a deployment."""
        found = await self.api.list("events.k8s.io/v1", "Event", namespace=NAMESPACE)
        return [e for e in found if e["regarding"]["name"] == name and e["reason"] == reason]

    async def connect(self, name: str, upstream: str, token: str = TOKEN) -> None:
        """Put the proxy before a region's Nomad at *upstream*, and tell the hub of it."""
        target = await self.proxy.open(name, upstream)
        await self.add_region(name, target.address, token=token)

    async def add_region(
        self, name: str, address: str, *, token: str = TOKEN, authority: str = ""
    ) -> None:
        """Create a Region for a Nomad with a certificate of *authority*, by default the lab's."""
        self.tokens[name] = token
        certificate, key = self.certificates.client(f"client-of-{name}")
        texts = {
            "token": token,
            "ca.crt": authority or self.certificates.ca_file.read_text(),
            "tls.crt": certificate.read_text(),
            "tls.key": key.read_text(),
        }
        region = objects.render_region(RegionPlan(name, CONTINENT), address, tier="core")
        metadata = {**region["metadata"], "annotations": STOPS_ALLOWED}
        await self.apply(
            objects.render_credentials(name, address, texts), {**region, "metadata": metadata}
        )

    async def way_to_hub(self, name: str = HUB) -> Path:
        """Open a port before the hub under a *name* of its own; return a kubeconfig for it."""
        target = self.proxy.targets.get(name) or await self.proxy.open(
            name, self.hub.url, _context_of(self.hub.kubeconfig)
        )
        return _write_kubeconfig(self.directory / f"by-{name}", target.address, self.certificates)

    async def start(
        self,
        *options: str,
        name: str = "operator",
        way: Path | None = None,
        program: Sequence[str] = ORRERY,
    ) -> OperatorProcess:
        """Start an operator, and do not wait for it."""
        log = self.directory / f"{name}.log"
        running = await start_operator(way or self.kubeconfig, log, *options, program=program)
        self.operators.append(running)
        return running

    @asynccontextmanager
    async def operator(
        self,
        *options: str,
        name: str = "operator",
        way: Path | None = None,
        program: Sequence[str] = ORRERY,
    ) -> AsyncIterator[OperatorProcess]:
        """Run an operator that is ready, and end it."""
        running = await self.start(*options, name=name, way=way, program=program)
        try:
            await running.until_ready()
            yield running
        finally:
            if running.alive:
                await running.stop()


@asynccontextmanager
async def fault_planet(
    directory: Path, regions: Sequence[str], *, containers: bool = True
) -> AsyncIterator[FaultPlanet]:
    """Run a hub and simulated *regions*, each behind the proxy; no operator runs yet."""
    certificates = make_certificates(directory / "lab", "lab")
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running_hub(directory))
        api = await stack.enter_async_context(KubeApi.of(hub.kubeconfig))
        simulated = [_simulated(name) for name in regions]
        served = await stack.enter_async_context(serve(simulated))
        proxy = FaultProxy(front_context(certificates))
        stack.push_async_callback(proxy.close)
        planet = FaultPlanet(directory, certificates, api, proxy, served, hub, hub.kubeconfig)
        planet.kubeconfig = await planet.way_to_hub()
        stack.push_async_callback(_end_all, planet)
        await api.apply([objects.render_namespace(OPERATOR_NAMESPACE)])
        await api.apply([objects.render_continent(CONTINENT)])
        await api.apply([objects.render_region_class(containers=containers)])
        for name in regions:
            await planet.connect(name, served.address(name))
        yield planet


def a_shop(name: str, regions: Sequence[str], **spec: Any) -> dict[str, Any]:
    """Make a deployment for *regions*, in the namespace of these tests."""
    whole = {"placement": {"regions": list(regions)}, "scaling": {"count": 1}, **spec}
    return a_deployment(name, namespace=NAMESPACE, **whole)


def front_context(certificates: Certificates) -> ssl.SSLContext:
    """Show the lab's certificate, and demand one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca_file)
    context.load_cert_chain(*certificates.server("front"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _simulated(name: str) -> SimulatedRegion:
    machine = Machine(f"{name}-machine", datacenter=f"{name}1", cpu_mhz=200_000, memory_mb=999_999)
    return SimulatedRegion(name, nodes=[machine], token=TOKEN, event_buffer=10_000)


def _write_kubeconfig(path: Path, server: str, certificates: Certificates) -> Path:
    certificate, key = (file.read_text() for file in certificates.client("operator"))
    authority = certificates.ca_file.read_text()
    user = KeyPair(certificate, key)
    write_file(path, kubeconfig(server, authority=authority, user=user, name="proxied"))
    return path


def _context_of(config: Path) -> ssl.SSLContext:
    """Read from a kubeconfig how its user speaks to the API server."""
    document = yaml.safe_load(config.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    pair = KeyPair(_decoded(user["client-certificate-data"]), _decoded(user["client-key-data"]))
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*write_key_pair(Path(folder), "user", pair))
    return context


async def _end_all(planet: FaultPlanet) -> None:
    for running in planet.operators:
        running.kill()
        await running.ended()


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
