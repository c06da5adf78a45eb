"""The operator starts again: what it does not know yet is not gone, and old news is no news."""

from typing import Any

import pytest
from tests.builders import a_deployment, a_region
from tests.fakes.world import World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.engine.queue import Priority
from orrery.errors import Unreachable
from orrery.ports import Allocation, Key, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)

MANY = [f"r{number:02}" for number in range(20)]
"""More than are looked at side by side."""


def listen(world: World, key: Key) -> list[dict[str, Any]]:
    """Collect the statuses that are written to an object."""
    written: list[dict[str, Any]] = []
    write = world.hub.write_status

    async def heard(about: Key, uid: str, status: Any) -> None:
        if about == key:
            written.append(status)
        await write(about, uid, status)

    world.hub.write_status = heard  # type: ignore[assignment,method-assign]  # hands through
    return written


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {"overrides": [{"name": "last", "regions": [MANY[-1]], "scaling": {"count": 3}}]},
            id="override-of-the-last-region",
        ),
    ],
)
async def test_a_restart_writes_no_status(spec: dict[str, Any]) -> None:
    async with a_world(MANY) as world:
        key = world.apply(a_deployment(**spec))
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)
        written = listen(world, key)

        await world.restart_operator()
        await world.settle(120)

        assert written == []


async def test_what_was_deleted_meanwhile_is_stopped_before_the_object_goes() -> None:
    async with a_world(MANY) as world:
        key = world.apply(a_deployment(placement={"regions": MANY[-2:]}))
        await world.until(lambda: world.is_ready(key))
        await world.controller.stop()
        world.hub.observer = None

        world.hub.delete(key)
        await world.restart_operator()
        await world.settle(60)

        assert key not in world.hub.objects
        assert not [region for region in MANY if world.job(region)]


async def test_a_crash_before_the_first_status_leaks_no_job() -> None:
    async with a_world(["fra"]) as world:
        write = world.hub.write_status
        calls = []

        async def once(key: Key, uid: str, status: Any) -> None:
            if key.kind is Kind.GLOBAL_DEPLOYMENT:
                calls.append(key)
                if len(calls) > 1:
                    raise Unreachable("HubUnreachable", "down")
            await write(key, uid, status)

        world.hub.write_status = once  # type: ignore[method-assign]  # a hub that goes down
        key = world.apply(a_deployment())
        await world.until(lambda: world.job("fra") is not None)
        await world.controller.stop()
        world.hub.write_status = write  # type: ignore[method-assign]
        world.hub.observer = None

        world.hub.delete(key)
        await world.restart_operator()
        await world.settle(60)

        assert key not in world.hub.objects
        assert world.job("fra") is None


async def test_a_region_with_an_invalid_spec_keeps_its_jobs_and_their_owner() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "was"]}))
        await world.until(lambda: world.is_ready(key))
        await world.controller.stop()
        world.hub.observer = None
        region = Key(Kind.REGION, "", "was")
        spec = dict(world.hub.objects[region]["spec"])
        world.hub.apply(Kind.REGION, {**a_region("was"), "spec": {**spec, "surprise": 1}})

        await world.restart_operator()
        await world.settle(30)
        world.hub.delete(key)
        await world.settle(60)

        assert world.job("was") is not None
        assert key in world.hub.objects

        world.hub.apply(Kind.REGION, a_region("was"))
        await world.settle(60)

        assert world.job("was") is None
        assert key not in world.hub.objects


async def test_what_is_listed_does_not_overtake_what_users_change() -> None:
    async with a_world(["fra"]) as world:
        body = {"metadata": {"name": "x", "namespace": "n", "uid": "1"}, "kind": "x", "spec": {}}
        considered: list[Priority] = []
        consider = world.controller._consider

        def heard(key: Key, priority: Priority) -> None:
            considered.append(priority)
            consider(key, priority)

        world.controller._consider = heard  # type: ignore[method-assign]  # listens only

        world.controller.observe(Kind.GLOBAL_DEPLOYMENT, None, body)
        body["metadata"]["generation"] = 2  # type: ignore[index]
        world.controller.observe(Kind.GLOBAL_DEPLOYMENT, "MODIFIED", body)

        assert considered == [Priority.RESYNC, Priority.USER]


async def test_a_status_that_somebody_overwrote_is_written_again_by_the_sweep() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)

        uid = world.hub.objects[key]["metadata"]["uid"]
        await world.hub.write_status(key, uid, {"display": {"regions": "0/1", "status": "old"}})
        await world.settle(1500)

        assert world.status(key)["display"]["status"] == "healthy in 1 region"


async def test_a_batch_job_that_has_run_is_not_run_again_when_nomad_forgets_it() -> None:
    class Ended(MemoryNomad):
        async def list_allocations(self, namespace: str, job_id: str) -> list[Allocation]:
            found = await super().list_allocations(namespace, job_id)
            return [Allocation(a.id, a.job_version, "complete", "run", None, a.node) for a in found]

    async with a_world(["fra"], nomad=Ended) as world:
        key = world.apply(a_deployment(type="BATCH", ports=[]))
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)
        world.forget_counts()

        world.regions["fra"].forget("orrery-team-a", "shop")
        await world.settle(3000)
        await world.restart_operator()
        await world.settle(3000)

        assert world.registers() == {"fra": 0}
        assert world.is_ready(key)

        world.apply(a_deployment(type="BATCH", ports=[], docker={"image": "registry.example/x:2"}))
        await world.settle(30)

        assert world.registers() == {"fra": 1}
