"""The hub as the benchmark uses it: create, apply, look, count, and clear up by force."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from benchmarks.fanout.figures import Asked, api_requests
from benchmarks.fanout.regions import Regions
from benchmarks.fanout.workload import CRD, FAN_OUT, HUB_NAMESPACE, Document
from tests.lab.hub import running_hub

from orrery.adapters.kube import HubSource
from orrery.names import FINALIZER, LEASE, OPERATOR_NAMESPACE
from orrery.playground import objects
from orrery.playground.kubeapi import KubeApi, apply_options, collection, object_path
from orrery.playground.processes import await_ready
from orrery.playground.regions import RegionPlan

AT_ONCE: Final = 8
"""Requests in flight when many objects are made."""
METADATA: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class BenchHub:
    """A running hub with all regions in it."""

    kubeconfig: Path
    server: str
    session: aiohttp.ClientSession

    async def create(self, document: Document) -> None:
        """Create an object."""
        metadata = document["metadata"]
        place = collection(document["apiVersion"], document["kind"], metadata["namespace"])
        await self._call("POST", place, document)

    async def create_all(self, documents: Iterable[Document]) -> None:
        """Create many objects, a few at a time."""
        await _a_few_at_a_time(self.create(document) for document in documents)

    async def apply(self, document: Document) -> None:
        """Apply as kubectl does on the server's side: the API server counts it as APPLY."""
        query = apply_options("bench")
        await self._call("PATCH", object_path(document), document, kind=APPLY, query=query)

    async def read(self, document: Document) -> Document:
        """Read the object that *document* describes; empty when there is none."""
        found = await self._call("GET", object_path(document), missing=True)
        return dict(found or {})

    async def seed(
        self, documents: Mapping[str, Document], statuses: Mapping[str, Document]
    ) -> None:
        """Create deployments with the statuses that they would have got long ago."""

        async def make(name: str) -> None:
            document = documents[name]
            metadata = {**document["metadata"], "finalizers": [FINALIZER]}
            await self.create({**document, "metadata": metadata})
            path = f"{object_path(document)}/status"
            await self._call("PATCH", path, {"status": statuses[name]}, kind=MERGE)

        await _a_few_at_a_time(make(name) for name in documents)

    async def clear(self, api_version: str, kind: str) -> None:
        """Remove all objects of *kind* without a word to their operator, which must be stopped."""
        path = collection(api_version, kind, HUB_NAMESPACE)
        listed = await self._call("GET", path, accept=METADATA)
        names = [item["metadata"]["name"] for item in listed["items"] or ()]
        let_go = {"metadata": {"finalizers": None}}
        await _a_few_at_a_time(
            self._call("PATCH", f"{path}/{name}", let_go, kind=MERGE) for name in names
        )
        await self._call("DELETE", path)
        await self._call("DELETE", f"/apis/events.k8s.io/v1/namespaces/{HUB_NAMESPACE}/events")

    async def free_lease(self) -> None:
        """Take the lease from an operator that ended without giving it back."""
        path = f"{collection('coordination.k8s.io/v1', 'Lease', OPERATOR_NAMESPACE)}/{LEASE}"
        await self._call("DELETE", path, missing=True)

    async def open_regions(self) -> int:
        """Count the Regions that are open."""
        listed = await self._call("GET", collection("orrery.dev/v1alpha1", "Region"))
        return sum(item.get("status", {}).get("phase") == "Open" for item in listed["items"])

    async def requests(self) -> Counter[Asked]:
        """Count what the API server has been asked for so far, by everybody."""
        async with self.session.get(f"{self.server}/metrics") as reply:
            return api_requests(await reply.text())

    async def _call(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        kind: str = "application/json",
        accept: str = "application/json",
        query: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> Any:
        async with self.session.request(
            method,
            self.server + path,
            data=None if document is None else orjson.dumps(document),
            params=query,
            headers={"Content-Type": kind, "Accept": accept},
        ) as reply:
            text = await reply.read()
            if missing and reply.status == NOT_FOUND:
                return None
            if not reply.ok:
                raise RuntimeError(f"the hub: {method} {path}: {text.decode()[:500]}")
            return orjson.loads(text)


@asynccontextmanager
async def running_bench_hub(directory: Path, regions: Regions) -> AsyncIterator[BenchHub]:
    """Run a hub that knows *regions*."""
    async with running_hub(directory) as hub:
        async with KubeApi.of(hub.kubeconfig) as api:
            await _introduce(api, regions)
        access = await HubSource(str(hub.kubeconfig)).load()
        async with access.open_session() as session:
            yield BenchHub(hub.kubeconfig, access.server, session)


async def _introduce(api: KubeApi, regions: Regions) -> None:
    """Create what a playground has: namespaces, continents, a class, regions."""
    await api.apply(objects.render_namespace(name) for name in (OPERATOR_NAMESPACE, HUB_NAMESPACE))
    await api.apply(objects.render_continent(c) for c in sorted(set(regions.continents.values())))
    await api.apply([objects.render_region_class(containers=True)])
    for name, entry in regions.entries.items():
        address, texts = entry["nomadAddress"], _secret_texts(entry)
        plan = RegionPlan(name, entry["continent"])
        await api.apply(
            [
                objects.render_credentials(name, address, texts),
                objects.render_region(plan, address, tier="edge"),
            ]
        )
    await api.apply([CRD])
    peers = collection(FAN_OUT, "FanOut", HUB_NAMESPACE)
    await await_ready(lambda: api.answers(peers), what="the hub serves FanOut", deadline=30)


def _secret_texts(entry: Mapping[str, str]) -> dict[str, str]:
    files = {
        "token": entry["tokenFile"],
        "ca.crt": entry["caFile"],
        "tls.crt": entry["certFile"],
        "tls.key": entry["keyFile"],
    }
    return {key: Path(file).read_text(encoding="ascii") for key, file in files.items()}


async def _a_few_at_a_time(calls: Iterable[Any]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(call: Any) -> None:
        async with slots:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))
