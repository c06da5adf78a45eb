"""A world with one continent, whose cluster in memory hosts Managed regions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.builders import a_class, a_secret
from tests.fakes.caretaker import Caretaker
from tests.fakes.world import World

from orrery.adapters.memory import MemoryCluster, MemoryHub, MemoryNomad
from orrery.api.base import API_VERSION
from orrery.ports import Key, Kind

ADDRESS = "203.0.113.10"
IMAGE = "docker.io/hashicorp/nomad:2.0.6"
FRA = Key(Kind.REGION, "", "fra")
EU = Key(Kind.CONTINENT, "", "eu")


@dataclass
class Europe:
    """A world with one continent, whose cluster hosts the region fra."""

    world: World
    cluster: MemoryCluster
    caretaker: Caretaker
    other: MemoryCluster
    """A cluster that has nothing to do with it."""

    def settled(self) -> dict[str, int]:
        """Count all writes so far."""
        return {**self.cluster.writes, **self.world.hub.writes}

    async def opened(self) -> None:
        await self.world.until(lambda: self.phase == "Open")

    @property
    def phase(self) -> str:
        return str(self.world.status(FRA).get("phase"))

    @property
    def sentence(self) -> str:
        condition = self.world.condition(FRA, "Ready")
        return condition["message"] if condition else ""

    @property
    def kinds(self) -> list[str]:
        return sorted({ref.kind for ref in self.cluster.objects})


def a_hosting_continent(**spec: object) -> dict[str, object]:
    cluster = {"kubeconfigSecretRef": {"name": "eu-cluster", "key": "kubeconfig"}}
    return {
        "apiVersion": API_VERSION,
        "kind": "Continent",
        "metadata": {"name": "eu"},
        "spec": {"cluster": cluster, **spec},
    }


@asynccontextmanager
async def europe() -> AsyncIterator[Europe]:
    """Run a world in which everything but the region exists."""
    cluster, other = MemoryCluster("eu", latency=0.005), MemoryCluster("other", latency=0.005)
    hub = MemoryHub(latency=0.005, lag=0.02)
    nomad = MemoryNomad("fra", servers=3)
    world = World(hub, {"fra": nomad}, clusters={"the way to eu": cluster, "another way": other})
    world.address("fra", f"https://{ADDRESS}:4646")
    secret = a_secret("eu-cluster", namespace="orrery-system", kubeconfig="the way to eu")
    hub.secrets["orrery-system", "eu-cluster"] = secret
    hub.apply(Kind.CONTINENT, a_hosting_continent())
    hub.apply(Kind.REGION_CLASS, a_class(image=IMAGE))
    caretaker = Caretaker(cluster, ADDRESS)

    async def take_care() -> None:
        while True:
            caretaker.look()
            nomad.servers = caretaker.pods.health("fra")
            await asyncio.sleep(0.5)

    await world.controller.start()
    task = asyncio.create_task(take_care())
    await world.settle()
    try:
        yield Europe(world, cluster, caretaker, other)
    finally:
        task.cancel()
        await world.controller.stop()
