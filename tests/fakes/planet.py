"""A world whose one continent, a cluster in memory, hosts several Managed regions of a class."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.builders import a_class, a_managed_region, a_secret
from tests.fakes.caretaker import Caretaker, Status
from tests.fakes.europe import IMAGE, a_hosting_continent
from tests.fakes.world import World

from orrery.adapters.memory import MemoryCluster, MemoryHub, MemoryNomad
from orrery.names import LABEL_REGION
from orrery.ports import Key, Kind, ObjectRef

NAMES = ("fra", "lon", "mad", "par")
STANDARD = Key(Kind.REGION_CLASS, "", "standard")
NEWER = "docker.io/hashicorp/nomad:2.0.7"


def address(region: str) -> str:
    return f"203.0.113.{10 + sum(region.encode()) % 200}"


class RegionalCaretaker(Caretaker):
    """Gives each region a load balancer of its own; servers of *sick* images are never ready."""

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__(cluster, "")
        self.sick: set[str] = set()
        """Images whose pods do not become ready, and regions whose pods do not."""
        self.pods.broken = self._is_sick

    def _service(self, body: dict[str, Any]) -> Status | None:
        if body["spec"].get("type") != "LoadBalancer":
            return None
        region = body["metadata"]["labels"][LABEL_REGION]
        return {"loadBalancer": {"ingress": [{"ip": address(region)}]}}

    def _is_sick(self, pod: dict[str, Any]) -> bool:
        images = {each["image"] for each in pod["spec"].get("containers", ())}
        region = pod["metadata"]["name"].partition("-")[0]
        return bool(self.sick & {*images, region})


@dataclass
class Planet:
    """A world whose one continent hosts all regions."""

    world: World
    cluster: MemoryCluster
    caretaker: RegionalCaretaker
    names: Sequence[str]
    history: list[str] = field(default_factory=list)
    """Regions in the order in which their servers got another image."""

    def servers(self, region: str) -> dict[str, Any]:
        ref = ObjectRef("apps/v1", "StatefulSet", f"orrery-{region}", f"{region}-nomad")
        return self.cluster.objects[ref]

    def image(self, region: str) -> str:
        (image,) = {
            each["image"] for each in self.servers(region)["spec"]["template"]["spec"]["containers"]
        }
        return str(image)

    def is_updated(self, region: str) -> bool:
        """Whether all servers of the region are of the newest kind and ready."""
        body = self.servers(region)
        status, wanted = body["status"], body["spec"]["replicas"]
        counts = status["updatedReplicas"], status["readyReplicas"]
        seen = status["observedGeneration"] == body["metadata"]["generation"]
        return seen and counts == (wanted, wanted)

    def with_image(self, image: str) -> set[str]:
        return {name for name in self.names if self.image(name) == image}

    def record(self, region: str) -> dict[str, str]:
        ref = ObjectRef("v1", "ConfigMap", f"orrery-{region}", f"{region}-class")
        return dict(self.cluster.objects[ref]["data"])

    def change_class(self, image: str = NEWER, **rollout: Any) -> None:
        document = a_class(image=image)
        self.world.apply({**document, "spec": {**document["spec"], "rollout": rollout}})

    @property
    def sentence(self) -> str:
        found = self.world.condition(STANDARD, "Ready")
        return str(found["message"]) if found else ""

    @property
    def phase(self) -> str:
        found = self.world.condition(STANDARD, "Ready")
        return str(found["reason"]) if found else ""

    @property
    def counted(self) -> str:
        return str(self.world.status(STANDARD).get("display", {}).get("regions"))

    def writes(self) -> dict[str, int]:
        return {**self.cluster.writes, **self.world.hub.writes}

    async def opened(self) -> None:
        for name in self.names:
            self.world.apply(a_managed_region(name))
        await self.world.until(
            lambda: all(
                self.world.status(Key(Kind.REGION, "", name)).get("phase") == "Open"
                for name in self.names
            ),
            within=600,
        )
        await self.world.until(lambda: self.phase == "Succeeded", within=600)
        await self.world.settle(10)

    def watch(self) -> None:
        """Note each region whose servers have another image than when last looked at."""
        for name in self.names:
            if name not in self.history and self.image(name) != IMAGE:
                self.history.append(name)


@asynccontextmanager
async def planet(names: Sequence[str] = NAMES) -> AsyncIterator[Planet]:
    """Run a world in which everything but the regions exists."""
    cluster = MemoryCluster("eu", latency=0.005)
    hub = MemoryHub(latency=0.005, lag=0.02)
    nomads = {name: MemoryNomad(name, servers=3) for name in names}
    world = World(hub, nomads, clusters={"the way to eu": cluster})
    for name in names:
        world.address(name, f"https://{address(name)}:4646")
    secret = a_secret("eu-cluster", namespace="orrery-system", kubeconfig="the way to eu")
    hub.secrets["orrery-system", "eu-cluster"] = secret
    hub.apply(Kind.CONTINENT, a_hosting_continent())
    hub.apply(Kind.REGION_CLASS, a_class(image=IMAGE))
    caretaker = RegionalCaretaker(cluster)

    async def take_care() -> None:
        while True:
            caretaker.look()
            for name in names:
                world.regions[name].servers = caretaker.pods.health(name)
            await asyncio.sleep(2)

    await world.controller.start()
    task = asyncio.create_task(take_care())
    await world.settle()
    try:
        yield Planet(world, cluster, caretaker, names)
    finally:
        task.cancel()
        await world.controller.stop()
