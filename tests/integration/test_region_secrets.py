"""The Secrets of a region's control plane, on a real API server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.regionsecrets import NAMESPACE, SECRETS, SecretsOfRegion, ref

from orrery.adapters.kube import HubSource, KubeClusterFactory
from orrery.errors import Conflict, InvalidSpec
from orrery.names import ANNOTATION_ROTATE_AUTHORITY
from orrery.ports import ClusterAccess, ContinentalCluster, Document
from orrery.reconcile.regionsecrets import SecretsOutcome
from orrery.reconcile.secretfacts import decode

HOUR = timedelta(hours=1)
HOME = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


@dataclass
class Passes:
    """A region's passes over a real cluster."""

    region: SecretsOfRegion
    cluster: ContinentalCluster

    async def run(self) -> SecretsOutcome:
        outcome = await self.region.attempt(self.cluster)
        self.region.remembered = outcome.authority
        return outcome

    async def read(self, name: str) -> Document:
        found = await self.cluster.read(ref(name))
        assert found is not None
        return found

    async def versions(self) -> list[str]:
        return [(await self.read(name))["metadata"]["resourceVersion"] for name in SECRETS]

    async def remove(self) -> None:
        for name in SECRETS:
            found = await self.cluster.read(ref(name))
            if found is not None:
                await self.cluster.delete(ref(name), found["metadata"]["uid"])


@pytest.fixture
def access(kubeconfig: Path) -> ClusterAccess:
    return ClusterAccess(kubeconfig.read_text())


@pytest_asyncio.fixture
async def passes(access: ClusterAccess) -> AsyncIterator[Passes]:
    cluster = KubeClusterFactory(HubSource()).connect(access)
    await cluster.apply(HOME)
    found = Passes(SecretsOfRegion(), cluster)
    yield found
    await found.remove()
    await cluster.close()


async def test_secrets_are_made_once_and_an_authority_is_replaced(passes: Passes) -> None:
    first = await passes.run()
    versions = await passes.versions()
    assert await passes.run() == first
    assert await passes.versions() == versions

    passes.region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"
    for _ in range(3):
        last = await passes.run()
        passes.region.clock.moment += HOUR

    authority = decode(await passes.read("fra-ca"))
    assert last.authority != first.authority
    assert authority["previous"] == first.authority
    assert (authority["next.crt"], authority["next.key"]) == ("", "")
    assert authority["ca.crt"] == authority["tls.crt"] == last.operator.ca
    versions = await passes.versions()
    assert await passes.run() == last
    assert await passes.versions() == versions


class Contested:
    """A cluster in which somebody else is quicker, each time we apply something."""

    def __init__(self, cluster: ContinentalCluster, first: Callable[[], Awaitable[Any]]) -> None:
        self._cluster = cluster
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, manifest: Document) -> Document:
        await self._first()
        return await self._cluster.apply(manifest)


async def test_an_authority_that_somebody_changed_meanwhile_is_left_alone(passes: Passes) -> None:
    await passes.run()
    label = {"metadata": {"name": "fra-ca", "namespace": NAMESPACE, "labels": {"seen": "yes"}}}
    contested: Any = Contested(
        passes.cluster,
        lambda: passes.cluster.apply({"apiVersion": "v1", "kind": "Secret", **label}),
    )
    passes.region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"

    with pytest.raises(Conflict):
        await passes.region.attempt(contested)


async def test_an_authority_that_was_deleted_meanwhile_is_not_made_anew(passes: Passes) -> None:
    await passes.run()
    uid = (await passes.read("fra-ca"))["metadata"]["uid"]
    contested: Any = Contested(passes.cluster, lambda: passes.cluster.delete(ref("fra-ca"), uid))
    passes.region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"

    with pytest.raises(Conflict):
        await passes.region.attempt(contested)

    assert await passes.cluster.read(ref("fra-ca")) is None
    with pytest.raises(InvalidSpec, match="does not exist any more"):
        await passes.run()
