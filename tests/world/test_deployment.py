"""A GlobalDeployment from apply to delete, in a world in memory."""

from typing import Any

import pytest
from tests.builders import a_deployment, a_secret
from tests.fakes.world import TENANT, a_world

from orrery.adapters.memory import MemoryHub
from orrery.ports import Secret

pytestmark = pytest.mark.looptime(noop_cycles=0)


async def test_deployment_is_registered_in_every_region_it_names() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "was"]}))
        await world.until(lambda: world.is_ready(key))

        assert world.job("fra") is not None
        assert world.job("was") is not None
        assert world.job("par") is None
        assert world.status(key)["display"] == {
            "regions": "2/2",
            "status": "healthy in 2 regions",
        }


async def test_first_status_comes_within_a_second() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())

        await world.settle(1)

        assert world.status(key)["observedGeneration"] == 1


async def test_changing_one_override_registers_once_in_that_region_only() -> None:
    async with a_world() as world:
        override = {"name": "big", "regions": ["was"], "scaling": {"count": 3}}
        placement = {"regions": ["fra", "par", "was"]}
        key = world.apply(a_deployment(placement=placement, overrides=[override]))
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        changed = {**override, "scaling": {"count": 5}}
        world.apply(a_deployment(placement=placement, overrides=[changed]))
        await world.settle(60)

        assert world.is_ready(key)
        assert world.registers() == {"fra": 0, "par": 0, "was": 1}
        assert world.hub.writes.total() <= 2
        assert world.regional(key)["was"]["ready"] == "5/5"


async def test_applying_the_same_manifest_again_writes_nothing() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        world.apply(a_deployment())
        await world.settle(60)

        assert world.hub.writes.total() == 0
        assert sum(world.registers().values()) == 0


async def test_idle_world_writes_nothing_for_an_hour() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        await world.settle(30)
        world.forget_counts()

        await world.settle(3600)

        assert world.hub.writes.total() == 0
        assert all(nomad.writes.total() == 0 for nomad in world.regions.values())


async def test_restarted_operator_writes_nothing_when_nothing_changed() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        await world.restart_operator()
        await world.settle(120)

        assert world.hub.writes.total() == 0
        assert all(nomad.writes.total() == 0 for nomad in world.regions.values())
        assert world.is_ready(key)


async def test_rebuilt_hub_adopts_running_jobs_without_a_new_version() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        body = world.hub.objects.pop(key)
        world.forget_counts()
        await world.restart_operator()
        await world.settle(30)

        assert body["status"]
        world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        assert sum(world.registers().values()) == 0
        assert world.regions["fra"].versions_of(TENANT, "shop") == 1


async def test_deleting_stops_and_purges_the_jobs_before_the_object_goes() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.hub.delete(key)
        await world.until(lambda: key not in world.hub.objects)

        assert [world.job(region) for region in world.regions] == [None, None, None]


async def test_deleting_with_policy_orphan_leaves_the_jobs_running() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(deletionPolicy="Orphan"))
        await world.until(lambda: world.is_ready(key))

        world.hub.delete(key)
        await world.until(lambda: key not in world.hub.objects)

        assert world.job("fra") is not None
        assert world.regions["fra"].versions_of(TENANT, "shop") == 1


async def test_region_that_leaves_the_placement_is_cleaned_up() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "was"]}))
        await world.until(lambda: world.is_ready(key))

        world.apply(a_deployment(placement={"regions": ["fra"]}))
        await world.until(lambda: world.is_ready(key) and world.job("was") is None)

        assert set(world.regional(key)) == {"fra"}


async def test_unknown_region_is_named_with_a_suggestion_and_the_others_go_on() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "waz"]}))
        await world.settle(10)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["status"] == "False"
        assert ready["reason"] == "RegionNotAvailable"
        assert 'region "waz" is not available; did you mean "was"?' in ready["message"]
        assert world.job("fra") is not None
        assert world.job("was") is None


async def test_only_an_unknown_region_registers_nothing() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(placement={"regions": ["nowhere"]}))
        await world.settle(10)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["message"] == (
            'spec.placement.regions: region "nowhere" is not available; there are: fra, par, was'
        )
        assert sum(world.registers().values()) == 0


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            {"placement": {"regionSelector": {"matchLabels": {"tier": "gold"}}}},
            'spec.placement.regionSelector: "tier=gold" matches no region; labels of regions: none',
            id="selector-that-matches-nothing",
        ),
        pytest.param(
            {"env": [{"name": "A", "secretRef": {"name": "absent", "key": "k"}}]},
            'spec.env[0].secretRef.name: Secret "absent" does not exist in this namespace',
            id="missing-secret",
        ),
        pytest.param(
            {"env": [{"name": "A", "secretRef": {"name": "there", "key": "absent"}}]},
            'spec.env[0].secretRef.key: Secret "there" has no key "absent"',
            id="missing-key",
        ),
        pytest.param({"docker": {"image": "a b"}}, "spec.docker.image", id="image-with-spaces"),
        pytest.param({"scaling": {"count": -1}}, "spec.scaling.count", id="negative-count"),
        pytest.param({"surprise": 1}, "spec.surprise", id="unknown-field"),
        pytest.param({"driver": "warp"}, "warp", id="unknown-driver"),
    ],
)
async def test_bad_spec_is_explained_and_registers_nothing(spec: dict[str, Any], said: str) -> None:
    async with a_world() as world:
        world.hub.secrets["team-a", "there"] = a_secret("there", k="v")
        key = world.apply(a_deployment(**spec))
        await world.settle(30)

        ready = world.condition(key, "Ready")
        assert ready is not None
        assert ready["status"] == "False"
        assert said in ready["message"]
        assert sum(world.registers().values()) == 0


async def test_secret_travels_as_a_variable_and_never_in_the_job() -> None:
    async with a_world() as world:
        world.hub.secrets["team-a", "db"] = a_secret("db", password="hunter2-canary")
        env = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]
        key = world.apply(a_deployment(env=env))
        await world.until(lambda: world.is_ready(key))

        variable = world.regions["fra"].variables[TENANT, "nomad/jobs/shop"]
        assert "hunter2-canary" in variable.items.values()
        assert "hunter2-canary" not in str(world.job("fra"))
        assert "hunter2-canary" not in str(world.hub.objects)

        world.hub.delete(key)
        await world.until(lambda: key not in world.hub.objects)
        assert world.regions["fra"].variables == {}


async def test_changed_secret_reaches_the_regions_without_a_register() -> None:
    async with a_world() as world:
        world.hub.secrets["team-a", "db"] = a_secret("db", password="old")
        env = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]
        key = world.apply(a_deployment(env=env))
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        world.hub.secrets["team-a", "db"] = a_secret("db", password="new")
        await world.settle(1300)

        assert set(world.regions["fra"].variables[TENANT, "nomad/jobs/shop"].items.values()) == {
            "new"
        }
        assert sum(world.registers().values()) == 0


async def test_bug_is_told_on_the_object_and_the_next_pass_recovers() -> None:
    class Buggy(MemoryHub):
        broken = True

        async def read_secret(self, namespace: str, name: str) -> Secret | None:
            if self.broken and namespace == "team-a":
                raise ZeroDivisionError
            return await super().read_secret(namespace, name)

    hub = Buggy()
    async with a_world(hub=hub) as world:
        hub.secrets["team-a", "db"] = a_secret("db", password="x")
        env = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]
        key = world.apply(a_deployment(env=env))
        await world.settle(20)

        reconciling = world.condition(key, "Reconciling")
        assert reconciling is not None
        assert reconciling["reason"] == "InternalError"

        hub.broken = False
        await world.until(lambda: world.is_ready(key), within=600)


async def test_paused_deployment_is_observed_and_not_written() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment(paused=True))
        await world.settle(30)

        reconciling = world.condition(key, "Reconciling")
        assert reconciling is not None
        assert reconciling["reason"] == "Paused"
        assert sum(world.registers().values()) == 0
