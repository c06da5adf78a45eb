"""The operator dies at any write of a teardown: in the end nothing is left, and nothing stays."""

import asyncio
from functools import partial

import looptime
import pytest
from tests.builders import a_class, a_managed_region, a_secret
from tests.fakes.caretaker import Caretaker
from tests.fakes.europe import ADDRESS, FRA, IMAGE, a_hosting_continent
from tests.fakes.mortal import Fate, Ledger
from tests.world.crashes.plans import FULL
from tests.world.crashes.runner import MortalWorld, Scenario

from orrery.adapters.memory import MemoryCluster
from orrery.ports import Kind

STRIDE = 1 if FULL else 7
"""Every so many writes of a teardown is tried, unless all of them are."""


async def nothing(_: object) -> None:
    return


class MortalEurope(MortalWorld):
    """A continent with one Managed region, under an operator that may die."""

    def __init__(self, ledger: Ledger) -> None:
        self.cluster = MemoryCluster("eu", latency=0.005)
        super().__init__(ledger, Scenario("teardown", nothing, nothing, regions=("fra",)))
        self.clusters = {"the way to eu": self.cluster}
        self.address("fra", f"https://{ADDRESS}:4646")
        self._caretaker = asyncio.create_task(self._take_care(), name="caretaker")
        self._immortal.add(self._caretaker)

    def furnish(self) -> None:
        secret = a_secret("eu-cluster", namespace="orrery-system", kubeconfig="the way to eu")
        self.hub.secrets["orrery-system", "eu-cluster"] = secret
        self.hub.apply(Kind.CONTINENT, a_hosting_continent())
        self.hub.apply(Kind.REGION_CLASS, a_class(image=IMAGE))
        self.hub.apply(Kind.REGION, a_managed_region("fra", deletionPolicy="Teardown"))

    async def end(self) -> None:
        self._caretaker.cancel()
        self._immortal.discard(self._caretaker)
        await super().end()

    async def _take_care(self) -> None:
        caretaker = Caretaker(self.cluster, ADDRESS)
        while True:
            caretaker.look()
            self.regions["fra"].servers = caretaker.pods.health("fra")
            await asyncio.sleep(0.5)


def torn_down(number: int, fate: Fate | None) -> tuple[int, int, set[str]]:
    """Tear a region down; return how many writes that took, the deaths, and what is left."""

    async def run() -> tuple[int, int, set[str]]:
        world = MortalEurope(Ledger({number: fate} if fate else {}))
        await world.controller.start()
        await world.until(lambda: world.status(FRA).get("phase") == "Open")
        await world.quiet()
        world.ledger.counting = True
        world.hub.delete(FRA)
        await world.quiet()
        left = {str(ref) for ref in world.cluster.objects}
        left |= {str(key) for key in world.hub.objects if key == FRA}
        left |= {name for _, name in world.hub.secrets if name == "fra-region-credentials"}
        await world.end()
        return len(world.ledger.sent), world.deaths, left

    with asyncio.Runner(loop_factory=partial(looptime.new_event_loop, noop_cycles=0)) as runner:
        return runner.run(run())


@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("fate", [Fate.KILLED_BEFORE, Fate.KILLED_UNTOLD, Fate.KILLED_AFTER])
def test_any_write_of_a_teardown_may_be_the_last_one(fate: Fate) -> None:
    writes, _, left = torn_down(0, None)
    assert not left

    for number in range(1, writes + 1, STRIDE):
        _, deaths, left = torn_down(number, fate)

        assert deaths == 1
        assert not left, f"write {number} of {writes}"
