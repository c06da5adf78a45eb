"""Regions that vanish, return, are edited by hand, or are not what they should be."""

import pytest
from tests.builders import a_deployment, a_region, region_secret
from tests.fakes.world import TENANT, a_world

from orrery.ports import Key, Kind, Secret

pytestmark = pytest.mark.looptime(noop_cycles=0)


def region_key(name: str) -> Key:
    return Key(Kind.REGION, "", name)


async def test_region_opens_and_tells_its_facts() -> None:
    async with a_world() as world:
        status = world.status(region_key("fra"))

        assert status["phase"] == "Open"
        assert status["nomad"] == {"version": "2.0.6", "region": "fra"}
        assert status["dataCenters"] == [{"name": "fra1", "machines": 1, "ready": 1}]
        assert status["capacity"] == {"cpuMHz": 4000, "memoryMB": 8192}


async def test_unreachable_region_keeps_its_jobs_and_the_deployment_stays_ready() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        index = world.regional(key)["was"]["index"]

        world.regions["was"].dark = True
        await world.settle(30)

        assert world.status(region_key("was"))["phase"] == "Unreachable"
        assert world.status(region_key("was"))["lastSeenTime"].startswith("2026-01-01T")
        told = [e for e in world.hub.events if e.key == region_key("was") and e.type == "Warning"]
        assert [e.reason for e in told] == ["RegionUnreachable"]
        ready, degraded = world.condition(key, "Ready"), world.condition(key, "Degraded")
        assert ready is not None
        assert ready["status"] == "True"
        assert degraded is not None
        assert "was does not answer" in degraded["message"]
        assert world.regional(key)["was"]["phase"] == "Unreachable"
        assert world.regional(key)["was"]["index"] == index
        assert world.status(key)["display"]["regions"] == "2/3"


async def test_returned_region_is_brought_to_the_current_spec() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["was"].dark = True
        await world.settle(30)

        world.apply(a_deployment(docker={"image": "registry.example/shop:2"}))
        await world.settle(30)
        world.regions["was"].dark = False
        await world.until(lambda: world.status(key)["display"]["regions"] == "3/3")

        job = world.job("was")
        assert job is not None
        assert job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] == "registry.example/shop:2"
        assert world.registers() == {"fra": 2, "par": 2, "was": 2}
        assert world.status(key)["display"]["regions"] == "3/3"


async def test_returned_region_that_is_up_to_date_gets_no_write() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        world.regions["was"].dark = True
        await world.settle(60)
        world.regions["was"].dark = False
        await world.until(lambda: world.is_ready(key) and not world.condition(key, "Degraded"))

        assert sum(world.registers().values()) == 0


async def test_lost_reply_is_followed_by_a_read_and_no_second_register() -> None:
    async with a_world(["fra"]) as world:
        world.regions["fra"].namespaces.add(TENANT)
        await world.restart_operator()
        await world.settle()
        world.regions["fra"].lose_replies = 1

        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        assert world.registers() == {"fra": 1}


async def test_edit_by_hand_is_repaired_and_reported() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        job = world.job("fra")
        assert job is not None
        groups = [{**job["TaskGroups"][0], "Count": 9}]

        world.regions["fra"].edit(TENANT, "shop", TaskGroups=groups)
        await world.settle(10)

        repaired = world.job("fra")
        assert repaired is not None
        assert repaired["TaskGroups"][0]["Count"] == 2
        event = next(e for e in world.hub.events if e.reason == "DriftRepaired")
        assert event.message.endswith("made there: TaskGroups[instances].Count: 2 -> 9")


async def test_stop_by_hand_is_repaired() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.regions["fra"].edit(TENANT, "shop", Stop=True)
        await world.settle(10)

        job = world.job("fra")
        assert job is not None
        assert not job.get("Stop")
        assert world.is_ready(key)


async def test_purge_by_hand_is_repaired() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.regions["fra"].forget(TENANT, "shop")
        await world.settle(10)

        assert world.job("fra") is not None
        assert world.is_ready(key)


async def test_foreign_job_is_never_touched() -> None:
    async with a_world() as world:
        world.regions["fra"].namespaces.add(TENANT)
        world.regions["fra"].edit(TENANT, "shop", Type="service", Meta={"owner": "somebody"})
        before = world.job("fra")

        key = world.apply(a_deployment())
        await world.settle(60)

        assert world.job("fra") == before
        assert world.regional(key)["fra"]["reason"] == "ForeignJob"
        ready = world.condition(key, "Ready")
        assert ready is not None
        assert "not managed by Orrery" in ready["message"]

        world.hub.delete(key)
        await world.until(lambda: key not in world.hub.objects)
        assert world.job("fra") == before


async def test_auto_revert_is_reported_and_never_fought() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        world.apply(a_deployment(docker={"image": "registry.example/shop:bad"}))
        await world.settle(900)

        assert world.registers() == {"fra": 2}
        state = world.regional(key)["fra"]
        assert state["phase"] == "Failed"
        assert state["reason"] == "Reverted"

        await world.restart_operator()
        await world.settle(900)
        assert world.registers() == {"fra": 2}

        world.apply(a_deployment(docker={"image": "registry.example/shop:3"}))
        await world.until(lambda: world.is_ready(key))


async def test_orphaned_job_is_reported_and_left_alone() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        del world.hub.objects[key]

        await world.restart_operator()
        await world.settle(700)

        assert world.status(region_key("fra"))["orphans"] == {
            "count": 1,
            "names": ["team-a/shop"],
        }
        assert world.job("fra") is not None


async def test_secret_for_another_address_is_refused_and_nothing_is_sent() -> None:
    async with a_world() as world:
        elsewhere = {"nomadAddress": "https://evil.example:4646"}
        region = a_region("fra")
        region["spec"]["controlPlane"]["external"].update(elsewhere)
        reads = world.regions["fra"].reads.copy()

        world.apply(region)
        await world.settle(10)

        ready = world.condition(region_key("fra"), "Ready")
        assert ready is not None
        assert ready["reason"] == "CredentialsInvalid"
        assert "https://evil.example:4646" in ready["message"]
        assert "t0ken" not in str(world.hub.objects)
        assert world.regions["fra"].reads["list_jobs"] == reads["list_jobs"]


async def test_incomplete_secret_is_named_key_by_key() -> None:
    async with a_world() as world:
        whole = region_secret("fra")
        partial = Secret(
            whole.namespace, whole.name, whole.type, whole.annotations, {"token": b"x"}
        )
        world.hub.secrets["orrery-system", "fra-nomad"] = partial

        await world.restart_operator()
        await world.settle(10)

        stalled = world.condition(region_key("fra"), "Stalled")
        assert stalled is not None
        assert "lacks ca.crt, tls.crt, tls.key" in stalled["message"]


async def test_unsupported_nomad_keeps_the_region_closed() -> None:
    async with a_world() as world:
        world.regions["fra"].version = "1.9.3"

        await world.restart_operator()
        await world.settle(10)

        ready = world.condition(region_key("fra"), "Ready")
        assert ready is not None
        assert ready["reason"] == "NomadUnsupported"
        assert "Nomad 1.9.3 is too old" in ready["message"]


async def test_region_whose_nomad_became_unsupported_keeps_its_jobs_and_says_why() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()
        world.regions["fra"].version = "1.9.3"

        await world.restart_operator()
        await world.settle(30)

        assert world.regional(key)["fra"]["phase"] == "Unreachable"
        assert world.job("fra") is not None
        assert sum(world.registers().values()) == 0


async def test_region_without_its_class_waits_and_its_deployments_say_so() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment(placement={"regions": ["fra", "par"]}))
        par = a_region("par")
        par["spec"]["class"] = "absent"
        world.apply(par)
        await world.settle(10)

        ready = world.condition(region_key("par"), "Ready")
        assert ready is not None
        assert ready["reason"] == "ClassNotFound"
        assert "RegionClass" in world.regional(key)["par"]["message"]
        assert world.regional(key)["fra"]["phase"] == "Healthy"


async def test_deleted_region_leaves_its_jobs_running() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.forget_counts()

        world.hub.delete(region_key("was"))
        await world.settle(30)

        assert world.job("was") is not None
        assert world.regions["was"].writes.total() == 0
        assert set(world.regional(key)) == {"fra", "par"}


async def test_a_region_that_turns_us_away_is_shut_at_once_and_not_taken_for_silent() -> None:
    async with a_world(["fra"]) as world:
        world.regions["fra"].version = "1.9.3"
        world.regions["fra"].break_streams()
        await world.settle(5)

        condition = world.condition(region_key("fra"), "Ready")

        assert condition
        assert (condition["status"], condition["reason"]) == ("False", "NomadUnsupported")


async def test_a_second_region_on_one_nomad_is_refused_and_writes_nothing_there() -> None:
    async with a_world() as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        before = dict(world.regions["was"].writes)

        twin = a_region("was3")
        twin["spec"]["controlPlane"] = a_region("was")["spec"]["controlPlane"]
        world.apply(twin)
        await world.settle(60)

        stalled = world.condition(region_key("was3"), "Stalled")
        assert stalled is not None
        assert stalled["message"] == (
            "spec.controlPlane.external.nomadAddress: https://nomad.was.example:4646 is the Nomad "
            'of region "was" already: two regions on one Nomad undo each other\'s work'
        )
        assert world.status(region_key("was"))["phase"] == "Open"
        assert dict(world.regions["was"].writes) == before
