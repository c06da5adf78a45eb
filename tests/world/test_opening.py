"""A region is checked before it is opened, step by step; what runs there is always carried on."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.builders import a_deployment, a_managed_region
from tests.fakes.europe import FRA, Europe, europe
from tests.fakes.world import World, a_world

from orrery import names
from orrery.planning.opening import share
from orrery.ports import Node

pytestmark = pytest.mark.looptime(noop_cycles=0)

MACHINE = Node(
    id="n1",
    name="n1",
    datacenter="fra1",
    status="ready",
    eligible=True,
    drivers=frozenset({"docker"}),
    cpu_mhz=4000,
    memory_mb=8192,
)
INTERNAL = {"name": "internal", "namespaceSelector": {"matchLabels": {"cohort": "internal"}}}


def check(world: World, name: str) -> Mapping[str, Any]:
    return next(c for c in world.status(FRA)["checks"] if c["name"] == name)


def region(annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    made = a_managed_region("fra", **spec)
    made["metadata"]["annotations"] = dict(annotations or {})
    return made


def stage(eu: Europe) -> str | None:
    return str((eu.world.status(FRA).get("opening") or {}).get("stage"))


async def until_phase(eu: Europe, phase: str, *, within: float = 120) -> None:
    await eu.world.until(lambda: eu.phase == phase, within=within)


async def test_a_region_without_machines_says_so_and_opens_when_one_joins() -> None:
    async with europe() as eu:
        nomad = eu.world.regions["fra"]
        nomad.set_machines()
        eu.world.apply(region())
        await until_phase(eu, "Checking")
        await eu.world.settle(300)

        assert eu.phase == "Checking"
        assert "MachinesJoined: no machine has joined" in eu.sentence
        display = eu.world.status(FRA)["display"]
        assert display["machines"] == "0/0"
        assert "MachinesJoined: no machine has joined" in display["status"]

        nomad.set_machines(MACHINE)
        await until_phase(eu, "Open")

        done = sum(c["status"] == "Pass" for c in eu.world.status(FRA)["checks"])
        assert eu.world.status(FRA)["display"]["checks"] == f"{done}/{done}"


async def test_a_deployment_waits_for_a_region_that_is_not_open_and_comes_by_itself() -> None:
    async with europe() as eu:
        nomad = eu.world.regions["fra"]
        nomad.set_machines()
        eu.world.apply(region())
        await until_phase(eu, "Checking")

        key = eu.world.apply(a_deployment(placement={"regions": ["fra"]}))
        await eu.world.settle(60)

        assert eu.world.job("fra") is None
        condition = eu.world.condition(key, "Ready")
        assert condition
        assert condition["message"] == (
            'region "fra" is not open yet; it comes there by itself when that changes'
        )

        nomad.set_machines(MACHINE)
        await eu.world.until(lambda: eu.world.is_ready(key))
        assert eu.world.job("fra") is not None


async def test_stages_admit_by_label_then_by_share_and_wait_for_soak_and_approval() -> None:
    late = next(f"team-{n}" for n in range(100) if share(f"team-{n}") >= 50)
    early = next(f"team-{n}" for n in range(100) if share(f"team-{n}") < 50)
    half = {"name": "half", "percent": 50, "approval": "Required"}
    stages = [{**INTERNAL, "soak": "10m"}, half]
    async with europe() as eu:
        eu.world.hub.namespace_labels = {"insiders": {"cohort": "internal"}, late: {}, early: {}}
        keys = {
            namespace: eu.world.apply(a_deployment(namespace=namespace))
            for namespace in ("insiders", early, late)
        }

        def placed() -> set[str]:
            nomad = eu.world.regions["fra"]
            return {n for n in keys if nomad.job(f"orrery-{n}", "shop") is not None}

        eu.world.apply(region(opening={"stages": stages}))
        await until_phase(eu, "Opening")
        await eu.world.settle(120)
        assert stage(eu) == "internal"
        assert placed() == {"insiders"}
        assert "stage internal to soak until" in eu.sentence

        await eu.world.settle(900)
        assert stage(eu) == "internal"
        assert '"half" to be approved' in eu.sentence
        assert eu.world.status(FRA)["opening"]["waitsForApproval"] == "half"

        approval = {names.ANNOTATION_APPROVE_OPENING: "half"}
        eu.world.apply(region(approval, opening={"stages": stages}))
        await until_phase(eu, "Open")
        await eu.world.settle(10)
        assert placed() == {"insiders", early, late}


async def test_a_share_is_admitted_and_the_rest_waits() -> None:
    late = next(f"team-{n}" for n in range(100) if share(f"team-{n}") >= 50)
    early = next(f"team-{n}" for n in range(100) if share(f"team-{n}") < 50)
    stages = [{"name": "half", "percent": 50, "soak": "1h"}]
    async with europe() as eu:
        eu.world.apply(region(opening={"stages": stages}))
        await until_phase(eu, "Opening")
        eu.world.apply(a_deployment(namespace=early))
        waiting = eu.world.apply(a_deployment(namespace=late))
        await eu.world.settle(60)

        nomad = eu.world.regions["fra"]
        assert nomad.job(f"orrery-{early}", "shop") is not None
        assert nomad.job(f"orrery-{late}", "shop") is None
        condition = eu.world.condition(waiting, "Ready")
        assert condition
        assert "is opened step by step, and not to this namespace yet" in condition["message"]

        await until_phase(eu, "Open", within=4000)
        await eu.world.until(lambda: eu.world.is_ready(waiting))


async def test_a_namespace_that_gets_the_label_is_admitted() -> None:
    async with europe() as eu:
        eu.world.hub.namespace_labels = {"team-a": {}}
        eu.world.apply(region(opening={"stages": [{**INTERNAL, "soak": "5h"}]}))
        await until_phase(eu, "Opening")
        key = eu.world.apply(a_deployment())
        await eu.world.settle(120)
        assert eu.world.job("fra") is None

        eu.world.hub.namespace_labels = {"team-a": {"cohort": "internal"}}
        await eu.world.until(lambda: eu.world.is_ready(key))


async def test_a_check_that_fails_stops_the_opening_and_its_cure_goes_on() -> None:
    stages = [{**INTERNAL, "soak": "10m"}]
    async with europe() as eu:
        nomad = eu.world.regions["fra"]
        eu.world.apply(region(opening={"stages": stages}))
        await until_phase(eu, "Opening")

        nomad.clock_ahead = 600
        await eu.world.settle(3600)
        assert eu.phase == "Opening"
        assert "ClockSkew: the region's clock is more than 30s ahead of the hub's" in eu.sentence
        assert check(eu.world, "ClockSkew")["status"] == "Fail"

        nomad.clock_ahead = 0.0
        await eu.world.until(lambda: "to soak until" in eu.sentence)
        await eu.world.settle(300)
        assert eu.phase == "Opening", "it soaks anew"
        await until_phase(eu, "Open", within=900)


async def test_a_region_that_is_open_stays_open_and_is_degraded() -> None:
    async with europe() as eu:
        eu.world.apply(region())
        await eu.opened()
        nomad = eu.world.regions["fra"]

        nomad.admits = True
        await eu.world.settle(1300)
        assert eu.phase == "Open"
        degraded = eu.world.condition(FRA, "Degraded")
        assert degraded
        assert degraded["reason"] == "ChecksFailing"
        assert "MTLSEnforced" in degraded["message"]

        nomad.admits = False
        await eu.world.until(lambda: eu.world.condition(FRA, "Degraded") is None)


async def test_a_check_that_is_disabled_does_not_count() -> None:
    async with europe() as eu:
        eu.world.regions["fra"].set_machines()
        eu.world.apply(region())
        await until_phase(eu, "Checking")

        eu.world.apply(region(checks={"disabled": ["MachinesJoined", "DriverHealthy"]}))
        await until_phase(eu, "Open")

        assert check(eu.world, "MachinesJoined")["status"] == "Skipped"


async def test_each_data_center_needs_its_machines() -> None:
    async with europe() as eu:
        wanted = [{"name": "fra1"}, {"name": "fra2", "minMachines": 2}]
        eu.world.apply(region(dataCenters=wanted))
        await until_phase(eu, "Checking")
        await eu.world.settle(30)

        assert "MachinesJoined: ready machines: fra2 has 0 of 2" in eu.sentence


async def test_manual_opening_waits_for_an_approval_of_everyone() -> None:
    async with europe() as eu:
        eu.world.apply(region(opening={"mode": "Manual"}))
        await until_phase(eu, "Checking")
        await eu.world.settle(120)
        assert eu.phase == "Checking"
        assert eu.world.status(FRA)["opening"]["waitsForApproval"] == "everyone"

        approval = {names.ANNOTATION_APPROVE_OPENING: "everyone"}
        eu.world.apply(region(approval, opening={"mode": "Manual"}))
        await until_phase(eu, "Open")


async def test_open_at_once_skips_the_stages_but_no_check() -> None:
    stages = [{**INTERNAL, "soak": "10h", "approval": "Required"}]
    async with europe() as eu:
        nomad = eu.world.regions["fra"]
        nomad.set_machines()
        eu.world.apply(region({names.ANNOTATION_OPEN: "everyone"}, opening={"stages": stages}))
        await until_phase(eu, "Checking")
        await eu.world.settle(120)
        assert eu.phase == "Checking"

        nomad.set_machines(MACHINE)
        await until_phase(eu, "Open")


@pytest.mark.parametrize("by", ["true", "yes", "spec"])
async def test_a_cordoned_region_carries_on_what_runs_and_takes_nothing_new(by: str) -> None:
    cordoned = (
        region(lifecycle="Cordoned") if by == "spec" else region({names.ANNOTATION_CORDON: by})
    )
    async with europe() as eu:
        eu.world.apply(region())
        await eu.opened()
        here = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(here))

        eu.world.apply(cordoned)
        await until_phase(eu, "Cordoned")
        new = eu.world.apply(a_deployment("cart", placement={"regions": ["fra"]}))
        eu.world.apply(a_deployment(scaling={"count": 5}))
        await eu.world.settle(30)

        shop = eu.world.job("fra")
        assert shop
        assert shop["TaskGroups"][0]["Count"] == 5
        assert eu.world.job("fra", "cart") is None
        condition = eu.world.condition(new, "Ready")
        assert condition
        assert "is cordoned and takes nothing new" in condition["message"]

        eu.world.hub.delete(here)
        await eu.world.until(lambda: here not in eu.world.hub.objects)
        assert eu.world.job("fra") is None

        eu.world.apply(region())
        await until_phase(eu, "Open")
        await eu.world.until(lambda: eu.world.is_ready(new))


@pytest.mark.parametrize("phase", ["Checking", "Opening", "Open", "Cordoned"])
async def test_a_restart_in_any_phase_changes_nothing(phase: str) -> None:
    stages = [{**INTERNAL, "soak": "50h"}]
    async with europe() as eu:
        eu.world.hub.namespace_labels = {"team-a": {"cohort": "internal"}}
        if phase == "Checking":
            eu.world.regions["fra"].set_machines()
        specs: dict[str, dict[str, Any]] = {
            "Opening": {"opening": {"stages": stages}},
            "Cordoned": {"lifecycle": "Cordoned"},
        }
        eu.world.apply(region(**specs.get(phase, {})))
        await until_phase(eu, phase)
        eu.world.apply(a_deployment())
        await eu.world.settle(400)
        before = eu.settled()
        status, job = eu.world.status(FRA), eu.world.job("fra")

        await eu.world.restart_operator()
        await eu.world.settle(600)

        assert eu.world.status(FRA) == status
        assert eu.world.job("fra") == job
        assert eu.settled() == before


async def test_a_hub_that_lost_its_memory_carries_on_what_runs_in_a_closed_region() -> None:
    async with europe() as eu:
        eu.world.apply(region())
        await eu.opened()
        key = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(key))
        await eu.world.settle(60)
        nomad = eu.world.regions["fra"]
        started, registers = nomad.instances_started(), nomad.writes["register"]

        await eu.world.controller.stop()
        for body in eu.world.hub.objects.values():
            body.pop("status", None)
        nomad.set_machines()
        eu.world.controller = eu.world.make_controller()
        for known, body in list(eu.world.hub.objects.items()):
            eu.world.controller.observe(known.kind, None, body)
        await eu.world.controller.start()
        await until_phase(eu, "Checking")
        await eu.world.settle(600)

        assert eu.phase == "Checking"
        job = eu.world.job("fra")
        assert job
        assert not job.get("Stop")
        assert nomad.instances_started() == started
        assert nomad.writes["register"] == registers

        eu.world.apply(a_deployment(scaling={"count": 4}))
        await eu.world.until(lambda: nomad.writes["register"] == registers + 1)


async def test_rest_after_the_opening_means_no_write() -> None:
    stages = [{**INTERNAL, "soak": "5m"}, {"name": "few", "percent": 10, "soak": "5m"}]
    async with europe() as eu:
        eu.world.apply(region(opening={"stages": stages}))
        await until_phase(eu, "Open", within=1000)
        await eu.world.settle(700)
        before = eu.settled()

        await eu.world.settle(3600)

        assert eu.settled() == before


async def test_an_external_region_is_open_as_it_always_was_and_shows_its_checks() -> None:
    async with a_world(["fra"]) as world:
        await world.settle(60)

        assert world.status(FRA)["phase"] == "Open"
        assert "opening" not in world.status(FRA)
        assert check(world, "NomadQuorum")["status"] == "Pass"


async def test_a_check_costs_one_request_a_minute_at_rest_and_no_call_to_the_hub() -> None:
    async with a_world(["fra"]) as world:
        await world.settle(120)
        nomad = world.regions["fra"]
        nomad.reads.clear()

        await world.settle(3600)

        assert nomad.reads["autopilot"] in range(57, 66)
        assert nomad.reads["admits_strangers"] in range(5, 8)
        assert nomad.reads["agent"] == 0


async def test_a_region_opened_by_an_earlier_release_stays_open() -> None:
    async with europe() as eu:
        eu.world.apply(region())
        await eu.opened()
        await eu.world.settle(60)

        await eu.world.controller.stop()
        status = eu.world.hub.objects[FRA]["status"]
        for unknown in ("opening", "checks", "display"):
            status.pop(unknown)
        eu.world.regions["fra"].set_machines()
        await eu.world.restart_operator()
        await eu.world.settle(120)

        assert eu.phase == "Open"
        assert eu.world.status(FRA)["opening"]["opened"]
