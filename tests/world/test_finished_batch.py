"""A batch job that ran to its end stays so when Nomad has forgotten it, whatever its secrets do."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.builders import a_deployment, a_secret
from tests.fakes.world import TENANT, World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.ports import Allocation

pytestmark = pytest.mark.looptime(noop_cycles=0)

ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]


class Ended(MemoryNomad):
    """A region in which everything runs to its end at once."""

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        found = await super().list_allocations(namespace, job_id)
        return [Allocation(a.id, a.job_version, "complete", "run", None, a.node) for a in found]


async def restart(world: World) -> None:
    await world.restart_operator()


async def rotate(world: World) -> None:
    world.hub.secrets["team-a", "keys"] = a_secret("keys", key="an0ther")


@pytest.mark.parametrize("happens", [restart, rotate])
async def test_a_batch_job_that_has_run_is_not_run_again_because_of_its_secret(
    happens: Callable[[World], Awaitable[None]],
) -> None:
    async with a_world(["fra"], nomad=Ended) as world:
        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="s3cret")
        key = world.apply(a_deployment(type="BATCH", ports=[], env=ENV))
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)
        world.regions["fra"].forget(TENANT, "shop")
        await world.settle(60)
        world.forget_counts()

        await happens(world)
        await world.settle(3000)

        assert world.registers() == {"fra": 0}
        assert world.is_ready(key)
