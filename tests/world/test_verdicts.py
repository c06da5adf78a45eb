"""What is said of a region and of a job is true, also after something failed."""

from typing import Any

import pytest
from tests.builders import a_deployment, a_secret
from tests.fakes.world import TENANT, World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.errors import Refused, Unreachable
from orrery.ports import AgentFacts, Allocation, Key, Kind, Secret

pytestmark = pytest.mark.looptime(noop_cycles=0)

FRA = Key(Kind.REGION, "", "fra")
BAD = {"image": "registry.example/shop:bad"}
ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]


class Moody(MemoryNomad):
    """A region whose calls, but for the leader probe, may fail."""

    mood: Exception | None = None

    async def agent(self) -> AgentFacts:
        if self.mood:
            raise self.mood
        return await super().agent()


def cut_the_stream(world: World, region: str = "fra") -> None:
    """Break the connection of the event stream, as a restarted server does."""
    world.regions[region].break_streams()


@pytest.mark.parametrize(
    ("mood", "phase"),
    [
        pytest.param(Refused("NomadRefused", "the token is revoked"), "Pending", id="refused"),
        pytest.param(Unreachable("RegionUnreachable", "HTTP 502"), "Unreachable", id="silent"),
    ],
)
async def test_a_region_that_only_names_its_leader_is_not_open(mood: Exception, phase: str) -> None:
    async with a_world(["fra"], nomad=Moody) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = world.regions["fra"]
        assert isinstance(fra, Moody)

        fra.mood = mood
        cut_the_stream(world)
        await world.settle(60)
        assert world.status(FRA)["phase"] == phase
        world.forget_counts()
        await world.settle(600)
        assert world.status(FRA)["phase"] == phase
        assert world.hub.writes.total() == 0

        fra.mood = None
        await world.settle(30)
        assert world.status(FRA)["phase"] == "Open"


async def test_a_stream_that_breaks_now_and_then_is_back_soon_each_time() -> None:
    async with a_world(["fra"]) as world:
        fra = world.regions["fra"]
        for _ in range(8):
            before = fra.reads["events"]
            cut_the_stream(world)
            await world.settle(1.5)
            assert fra.reads["events"] == before + 1
            await world.settle(3600)


async def test_a_foreign_job_that_goes_away_makes_room() -> None:
    async with a_world(["fra"]) as world:
        fra = world.regions["fra"]
        fra.namespaces.add(TENANT)
        fra.edit(TENANT, "shop", Type="service", Meta={"owner": "x"})
        key = world.apply(a_deployment())
        await world.settle(60)
        assert world.regional(key)["fra"]["reason"] == "ForeignJob"

        fra.forget(TENANT, "shop")
        await world.settle(10)

        assert world.is_ready(key)


async def reverted(world: World, **spec: Any) -> Key:
    """Apply a bad image that Nomad goes back from."""
    key = world.apply(a_deployment(**spec))
    await world.until(lambda: world.is_ready(key))
    world.apply(a_deployment(docker=BAD, **spec))
    await world.settle(60)
    assert world.regional(key)["fra"]["reason"] == "Reverted"
    return key


async def test_a_reverted_job_shows_the_instances_that_run() -> None:
    async with a_world(["fra"]) as world:
        key = await reverted(world)

        assert world.regional(key)["fra"]["ready"] == "2/2"
        assert world.regional(key)["fra"]["phase"] == "Failed"


async def test_a_reverted_job_that_is_purged_is_registered_again() -> None:
    async with a_world(["fra"]) as world:
        await reverted(world)

        world.regions["fra"].forget(TENANT, "shop")
        await world.settle(30)

        assert world.job("fra") is not None


async def test_a_reverted_job_that_is_edited_is_judged_once_and_comes_to_rest() -> None:
    async with a_world(["fra"]) as world:
        key = await reverted(world)
        fra, job = world.regions["fra"], world.job("fra")
        assert job is not None

        fra.edit(TENANT, "shop", TaskGroups=[{**job["TaskGroups"][0], "Count": 9}])
        await world.settle(60)
        fra.reads.clear()
        await world.settle(300)

        assert world.regional(key)["fra"]["reason"] == "Reverted"
        assert fra.reads["read_job"] <= 1


async def test_a_corrected_secret_gives_a_reverted_version_another_try() -> None:
    async with a_world(["fra"]) as world:
        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="wrong")
        await reverted(world, env=ENV)
        world.forget_counts()

        world.hub.secrets["team-a", "keys"] = a_secret("keys", key="right")
        await world.settle(1500)

        assert world.registers() == {"fra": 1}
        assert [dict(v.items) for v in world.regions["fra"].variables.values()] == [
            {"env_KEY": "right"}
        ]


async def test_a_job_that_nomad_has_not_scheduled_yet_is_not_healthy() -> None:
    class Slow(MemoryNomad):
        scheduled = False

        async def list_allocations(self, namespace: str, job_id: str) -> Any:
            found = await super().list_allocations(namespace, job_id)
            return found if self.scheduled else []

        async def list_deployments(self, namespace: str, job_id: str) -> Any:
            await self._read("list_deployments")
            return []

    async with a_world(["fra"], nomad=Slow) as world:
        manifest = a_deployment(type="SYSTEM")
        del manifest["spec"]["scaling"]
        key = world.apply(manifest)
        await world.settle(60)
        assert world.regional(key)["fra"]["phase"] in {"Pending", "Updating"}
        assert not world.is_ready(key)

        fra = world.regions["fra"]
        assert isinstance(fra, Slow)
        fra.scheduled = True
        await world.settle(60)
        assert world.is_ready(key)


async def test_instances_that_find_no_place_say_why() -> None:
    class Full(MemoryNomad):
        async def list_allocations(self, namespace: str, job_id: str) -> list[Allocation]:
            await self._read("list_allocations")
            return []

    async with a_world(["fra"], nomad=Full) as world:
        world.regions["fra"].full = True
        key = world.apply(a_deployment())
        await world.settle(30)

        degraded = world.condition(key, "Degraded")
        assert degraded is not None
        assert degraded["reason"] == "NoRoom"
        assert degraded["message"] == (
            "fra: instances find no place: 1 machine looked at, 1 full (1 out of memory)"
        )


async def test_a_hub_that_denies_a_secret_is_named_on_the_deployment() -> None:
    async with a_world(["fra"]) as world:
        read = world.hub.read_secret

        async def denied(namespace: str, name: str) -> Secret | None:
            if namespace == "team-a":
                raise Refused("HubForbidden", "secrets is forbidden")
            return await read(namespace, name)

        world.hub.read_secret = denied  # type: ignore[method-assign]  # another role, not our code
        key = world.apply(a_deployment(env=ENV))
        await world.settle(30)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["reason"] == "HubRefused"
        assert ready["message"] == "secrets is forbidden"


async def test_a_bug_in_a_regions_pass_is_told_on_the_deployment() -> None:
    class Broken(MemoryNomad):
        async def list_allocations(self, namespace: str, job_id: str) -> Any:
            raise ValueError("a bug")

    async with a_world(["fra"], nomad=Broken) as world:
        key = world.apply(a_deployment())
        await world.settle(60)

        assert world.regional(key)["fra"]["reason"] == "InternalError"


async def test_a_region_without_an_answer_says_what_it_will_get_on_return() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["was"].dark = True
        await world.settle(30)
        left = "was does not answer, the jobs there are left as they are"
        assert world.status(key)["display"]["status"] == left

        world.apply(a_deployment(scaling={"count": 5}))
        await world.settle(30)

        assert world.status(key)["display"]["status"] == (
            f"{left}; was will get the current spec on return"
        )


async def test_a_paused_region_does_not_make_the_others_look_ill() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.apply(a_deployment(paused=True, scaling={"count": 5}))
        await world.settle(30)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["reason"] == "Paused"
        assert ready["message"] == "fra, was have an older spec, nothing is written"


async def test_a_paused_deployment_is_observed_after_a_restart_too() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.apply(a_deployment(paused=True))
        await world.settle(5)
        world.regions["was"].dark = True
        await world.settle(60)
        await world.restart_operator()
        await world.settle(30)

        world.regions["was"].dark = False
        await world.settle(60)

        assert world.regional(key)["was"]["phase"] == "Healthy"
