"""A whole world in memory: world in, run, world out. Time is the loop's, virtual under looptime."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.builders import a_class, a_continent, a_region, endpoint, region_secret
from tests.fakes.clock import LoopClock
from tests.fakes.mortal import Remote

from orrery.adapters.memory import (
    MemoryCluster,
    MemoryClusterFactory,
    MemoryFactory,
    MemoryHub,
    MemoryNomad,
)
from orrery.adapters.pki import CryptographyPki
from orrery.config import Config
from orrery.ports import Key, Kind
from orrery.reconcile.controller import Controller
from orrery.reconcile.inventory import key_of
from orrery.telemetry import Telemetry

INSTALL = "orrery"
TENANT = "orrery-team-a"


class World:
    """A hub, regions, and the controller between them."""

    def __init__(
        self,
        hub: MemoryHub,
        regions: Mapping[str, MemoryNomad],
        *,
        config: Config | None = None,
        clusters: Mapping[str, MemoryCluster] | None = None,
    ) -> None:
        self.hub = hub
        self.clusters = clusters or {}
        self.config = config or Config()
        self.clock = LoopClock()
        self.regions = regions
        self._addresses = {name: endpoint(name) for name in regions}
        self.controller = self.make_controller()

    def address(self, region: str, address: str) -> None:
        """Have a region's Nomad answer at *address*, from the next start of an operator on."""
        self._addresses[region] = address
        self.controller = self.make_controller()

    def furnish(self) -> None:
        """Create the continent, the class and the regions."""
        self.hub.apply(Kind.CONTINENT, a_continent("eu"))
        self.hub.apply(Kind.REGION_CLASS, a_class())
        for name in self.regions:
            self.hub.secrets["orrery-system", f"{name}-nomad"] = region_secret(name)
            self.hub.apply(Kind.REGION, a_region(name))

    async def settle(self, seconds: float = 5) -> None:
        """Let everything that is due within *seconds* happen."""
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], bool], *, within: float = 120) -> None:
        """Wait for a state of the world; fail when it does not come."""
        deadline = asyncio.get_running_loop().time() + within
        while not holds():
            assert asyncio.get_running_loop().time() < deadline, "the world did not get there"
            await asyncio.sleep(0.05)

    def apply(self, document: Mapping[str, Any]) -> Key:
        """Apply an object as a user does."""
        return self.hub.apply(Kind(document["kind"]), document)

    def key(self, document: Mapping[str, Any]) -> Key:
        """Name the object that *document* is."""
        return key_of(Kind(document["kind"]), document)

    def status(self, key: Key) -> dict[str, Any]:
        """Read an object's status; empty before the first."""
        return dict(self.hub.objects[key].get("status") or {})

    def condition(self, key: Key, kind: str) -> dict[str, Any] | None:
        """Read one condition of an object."""
        found = [c for c in self.status(key).get("conditions", ()) if c["type"] == kind]
        return found[0] if found else None

    def regional(self, key: Key) -> dict[str, dict[str, Any]]:
        """Read a deployment's state by region."""
        continents = self.status(key).get("continents", ())
        return {name: s for c in continents for name, s in c["regions"].items()}

    def is_ready(self, key: Key) -> bool:
        """Tell whether the object is ready for the spec it has now."""
        found = self.condition(key, "Ready")
        generation = self.hub.objects[key]["metadata"]["generation"]
        return bool(
            found and found["status"] == "True" and found["observedGeneration"] == generation
        )

    def job(self, region: str, name: str = "shop") -> dict[str, Any] | None:
        """Look at a tenant's job in a region."""
        return self.regions[region].job(TENANT, name)

    def registers(self) -> dict[str, int]:
        """Count the registers of each region."""
        return {name: nomad.writes["register"] for name, nomad in self.regions.items()}

    def forget_counts(self) -> None:
        """Count from here."""
        self.hub.writes.clear()
        for nomad in self.regions.values():
            nomad.writes.clear()

    async def restart_operator(self) -> None:
        """End the operator and start another one, which knows what its watch lists at first."""
        await self.controller.stop()
        self.controller = self.make_controller()
        for key, body in list(self.hub.objects.items()):
            self.controller.observe(key.kind, None, body)
        await self.controller.start()

    def sees(self, target: str, remote: Remote) -> Any:
        """Show a remote as the operator sees it: *target* is ``hub`` or a region's name."""
        del target
        return remote

    def make_controller(self) -> Controller:
        """Make the controller of a new process of the operator."""
        self.telemetry = Telemetry()
        nomads = {
            self._addresses[name]: self.sees(name, nomad) for name, nomad in self.regions.items()
        }
        controller = Controller(
            hub=self.sees("hub", self.hub),
            nomad=MemoryFactory(nomads),
            clusters=MemoryClusterFactory(
                {text: self.sees(text, cluster) for text, cluster in self.clusters.items()}
            ),
            pki=CryptographyPki(),
            clock=self.clock,
            config=self.config,
            telemetry=self.telemetry,
            random=Random(7),
        )
        self.hub.observer = controller.observe
        return controller


@asynccontextmanager
async def a_world(
    regions: Sequence[str] = ("fra", "par", "was"),
    *,
    hub: MemoryHub | None = None,
    nomad: Callable[[str], MemoryNomad] = MemoryNomad,
    config: Config | None = None,
) -> AsyncIterator[World]:
    """Run a world whose regions exist and are open."""
    hub = hub or MemoryHub(latency=0.005, lag=0.02)
    world = World(hub, {name: nomad(name) for name in regions}, config=config)
    for region in world.regions.values():
        region.latency = 0.01
    world.furnish()
    await world.controller.start()
    await world.settle()
    try:
        yield world
    finally:
        await world.controller.stop()
