"""Updates of the Nomad servers: one at a time, and only when autopilot counts on all the others."""

import pytest
from tests.builders import a_class, a_managed_region
from tests.fakes.europe import FRA, IMAGE, Europe, europe

from orrery.ports import Document, ObjectRef

pytestmark = pytest.mark.looptime(noop_cycles=0)

NEWER = "docker.io/hashicorp/nomad:2.0.7"
BROKEN = "docker.io/hashicorp/nomad:broken"
SERVERS = ["fra-nomad-0", "fra-nomad-1", "fra-nomad-2"]


async def opened(eu: Europe) -> None:
    eu.world.apply(a_managed_region("fra"))
    await eu.opened()
    await eu.world.settle(60)
    eu.caretaker.pods.starts.clear()
    eu.caretaker.pods.seen_down.clear()


def stateful_set(eu: Europe) -> Document:
    return eu.cluster.objects[eu.caretaker.find("StatefulSet", "fra-nomad")]


def partition(eu: Europe) -> int:
    return int(stateful_set(eu)["spec"]["updateStrategy"]["rollingUpdate"]["partition"])


def images(eu: Europe) -> list[str]:
    """Name the images of the servers by ordinal, empty for one that is away."""
    refs = [ObjectRef("v1", "Pod", "orrery-fra", name) for name in SERVERS]
    pods = [eu.cluster.objects.get(ref) for ref in refs]
    return [pod["spec"]["containers"][0]["image"] if pod else "" for pod in pods]


def started(eu: Europe) -> list[str]:
    return sorted(eu.caretaker.pods.starts)


def told(eu: Europe) -> str:
    condition = eu.world.condition(FRA, "Reconciling")
    return condition["message"] if condition else ""


async def is_done(eu: Europe) -> None:
    def holds() -> bool:
        return set(images(eu)) == {NEWER} and not told(eu)

    await eu.world.until(holds, within=600)


async def test_a_change_starts_one_server_after_the_other_anew() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.apply(a_class(image=NEWER))
        await is_done(eu)

        assert eu.caretaker.pods.starts == dict.fromkeys(SERVERS, 1)
        assert max(map(len, eu.caretaker.pods.seen_down)) == 1
        assert partition(eu) == 0
        assert eu.phase == "Open"


async def test_the_region_says_how_far_its_servers_are_and_is_not_degraded() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.apply(a_class(image=NEWER))
        await eu.world.until(lambda: told(eu).startswith("updating servers: 1 of 3"))

        assert eu.world.condition(FRA, "Degraded") is None


async def test_an_update_lasts_until_the_last_server_is_settled_and_is_watched_closely() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.apply(a_class(image=NEWER))
        last = "updating servers: 3 of 3: the servers have just become ready"
        await eu.world.until(lambda: told(eu) == last, within=600)

        assert set(images(eu)) == {NEWER}
        member = eu.world.controller._fleet.member("fra")
        assert member is not None
        assert member.actor is not None
        checkup = member.actor.checkup
        assert checkup.urgent
        await is_done(eu)
        await eu.world.until(lambda: not checkup.urgent)
        ready = eu.world.condition(FRA, "Ready")
        assert ready
        assert ready["status"] == "True"


async def test_an_update_that_goes_its_way_is_never_told_as_a_degradation() -> None:
    async with europe() as eu:
        await opened(eu)
        degraded = set()

        def is_updated() -> bool:
            if condition := eu.world.condition(FRA, "Degraded"):
                degraded.add(condition["message"])
            return set(images(eu)) == {NEWER} and not told(eu)

        eu.world.apply(a_class(image=NEWER))
        await eu.world.until(is_updated, within=600)

        assert not degraded


async def test_no_server_is_touched_while_autopilot_misses_another_one() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.caretaker.pods.sick.add("fra-nomad-0")
        await eu.world.settle(1)

        eu.world.apply(a_class(image=NEWER))
        await eu.world.settle(300)

        assert not started(eu)
        assert partition(eu) == 3
        assert told(eu) == (
            "updating servers: 0 of 3: autopilot does not count fra-nomad-0.fra as a healthy voter"
        )
        eu.caretaker.pods.sick.clear()
        await is_done(eu)
        assert eu.caretaker.pods.starts == dict.fromkeys(SERVERS, 1)


async def test_an_update_that_waits_writes_nothing() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.caretaker.pods.sick.add("fra-nomad-0")
        eu.world.apply(a_class(image=NEWER))
        await eu.world.settle(180)  # Until the checks have been made once more, too.
        before = eu.settled()

        await eu.world.settle(600)

        assert eu.settled() == before


async def test_a_server_that_does_not_come_back_ends_the_update_until_it_is_mended() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.caretaker.pods.broken = lambda pod: (
            pod["spec"].get("containers", [{}])[0].get("image") == BROKEN
        )

        eu.world.apply(a_class(image=BROKEN))
        await eu.world.settle(300)

        assert started(eu) == ["fra-nomad-2"]
        assert told(eu) == "updating servers: 1 of 3: fra-nomad-2 is not ready"
        eu.world.apply(a_class(image=NEWER))
        await is_done(eu)
        assert eu.caretaker.pods.starts == {**dict.fromkeys(SERVERS, 1), "fra-nomad-2": 2}
        assert max(map(len, eu.caretaker.pods.seen_down)) == 1


async def test_a_change_that_is_taken_back_halfway_restarts_only_what_had_it() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.apply(a_class(image=NEWER))
        await eu.world.until(lambda: "fra-nomad-2" in eu.caretaker.pods.starts)

        eu.world.apply(a_class(image=IMAGE))
        await eu.world.settle(300)

        assert eu.caretaker.pods.starts == {"fra-nomad-2": 2}
        assert set(images(eu)) == {IMAGE}
        assert partition(eu) == 0


async def test_an_operator_that_is_started_anew_goes_on_where_the_update_rests() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.apply(a_class(image=NEWER))
        await eu.world.until(lambda: images(eu)[2] == NEWER)

        await eu.world.controller.stop()
        await eu.world.settle(600)
        rested = started(eu)
        eu.world.controller = eu.world.make_controller()
        await eu.world.controller.start()
        await is_done(eu)

        assert rested == ["fra-nomad-2"]
        assert eu.caretaker.pods.starts == dict.fromkeys(SERVERS, 1)


async def test_nothing_goes_on_while_the_region_cannot_be_asked() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.regions["fra"].dark = True

        eu.world.apply(a_class(image=NEWER))
        await eu.world.settle(300)

        assert not started(eu)
        assert partition(eu) == 3
        eu.world.regions["fra"].dark = False
        await is_done(eu)


async def test_servers_whose_certificates_have_expired_are_updated_without_autopilot() -> None:
    async with europe() as eu:
        short = a_class(image=IMAGE)
        short["spec"]["pki"] = {"certificateLifetime": "24h"}
        eu.world.apply(short)
        await opened(eu)
        await eu.world.controller.stop()
        eu.world.regions["fra"].dark = True
        eu.caretaker.idle |= {"StatefulSet", "Service", "Deployment", "Job"}
        eu.world.clock.ahead = 25 * 3600.0
        eu.caretaker.idle.clear()

        eu.world.controller = eu.world.make_controller()
        await eu.world.controller.start()
        await eu.world.settle(900)

        assert eu.caretaker.pods.starts == dict.fromkeys(SERVERS, 1)
        assert max(map(len, eu.caretaker.pods.seen_down)) == 1
        assert partition(eu) == 0


async def test_somebody_may_allow_an_update_that_autopilot_cannot_be_asked_about() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.regions["fra"].dark = True
        eu.world.apply(a_class(image=NEWER))
        await eu.world.settle(60)
        region = a_managed_region("fra")
        region["metadata"]["annotations"] = {
            "orrery.dev/update-unchecked-until": "2999-01-01T00:00:00Z"
        }

        eu.world.apply(region)
        await eu.world.until(lambda: set(images(eu)) == {NEWER}, within=900)

        assert max(map(len, eu.caretaker.pods.seen_down)) == 1


async def test_a_partition_that_somebody_lowers_is_raised_again() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.caretaker.pods.sick.add("fra-nomad-0")
        eu.world.apply(a_class(image=NEWER))
        await eu.world.settle(30)
        ref = eu.caretaker.find("StatefulSet", "fra-nomad")

        eu.cluster.edit(ref, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
        await eu.world.settle(900)

        assert started(eu) == ["fra-nomad-2"]
        assert partition(eu) == 2


async def test_a_single_server_is_updated_too() -> None:
    async with europe() as eu:
        eu.world.apply(a_class(image=IMAGE, servers=1))
        await opened(eu)

        eu.world.apply(a_class(image=NEWER, servers=1))
        await eu.world.settle(200)

        assert eu.caretaker.pods.starts == {"fra-nomad-0": 1}
        assert partition(eu) == 0


def a_saving_class(image: str) -> Document:
    return a_class(image=image, snapshots={"image": "registry.example/orrery:0.1.0"})


def jobs(eu: Europe) -> list[str]:
    return [r.name for r in eu.cluster.objects if r.kind == "Job" and "snapshot" in r.name]


async def test_a_snapshot_is_taken_before_a_change_touches_the_first_server() -> None:
    async with europe() as eu:
        eu.world.apply(a_saving_class(IMAGE))
        await opened(eu)
        eu.caretaker.idle.add("Job")

        eu.world.apply(a_saving_class(NEWER))
        await eu.world.settle(120)

        assert not started(eu)
        assert told(eu) == "updating servers: 0 of 3: a snapshot is taken first"
        eu.caretaker.idle.clear()
        await is_done(eu)
        assert len(jobs(eu)) == 1
        assert eu.caretaker.pods.starts == dict.fromkeys(SERVERS, 1)


async def test_a_snapshot_that_fails_holds_the_update_and_says_so() -> None:
    async with europe() as eu:
        eu.world.apply(a_saving_class(IMAGE))
        await opened(eu)
        eu.caretaker.idle.add("Job")
        eu.world.apply(a_saving_class(NEWER))
        await eu.world.until(lambda: bool(jobs(eu)))
        ref = eu.caretaker.find("Job", jobs(eu)[0])

        eu.cluster.set_status(ref, {"conditions": [{"type": "Failed", "status": "True"}]})
        await eu.world.settle(120)

        assert not started(eu)
        assert f"the snapshot before it failed, see {ref}" in told(eu)
        eu.cluster.remove(ref)
        eu.caretaker.idle.clear()
        await is_done(eu)


async def test_renewed_certificates_need_no_snapshot() -> None:
    async with europe() as eu:
        short = a_saving_class(IMAGE)
        short["spec"]["pki"] = {"certificateLifetime": "24h"}
        eu.world.apply(short)
        await opened(eu)

        eu.world.clock.ahead = 23 * 3600.0
        await eu.world.settle(3600)

        assert set(started(eu)) == set(SERVERS)
        assert not jobs(eu)


async def test_a_hub_that_forgot_the_region_goes_on_where_the_update_rests() -> None:
    async with europe() as eu:
        await opened(eu)
        eu.world.apply(a_class(image=NEWER))
        await eu.world.until(lambda: told(eu).startswith("updating servers: 1 of 3"))
        eu.caretaker.pods.sick.add("fra-nomad-0")

        await eu.world.controller.stop()
        del eu.world.hub.objects[FRA]["status"]
        partitions = set()
        await eu.world.restart_operator()
        for _ in range(120):
            await eu.world.settle(0.2)
            partitions.add(partition(eu))

        assert partitions == {2}
        assert images(eu) == [IMAGE, IMAGE, NEWER]
