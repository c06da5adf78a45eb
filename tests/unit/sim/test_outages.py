"""Machines fall silent and come back: instances are lost or waited for, as their group says."""

from typing import Any

import pytest
from tests.unit.sim.planet import Planet, a_job

from orrery.sim import Machine, Timing
from orrery.sim.records import Allocation

SECOND = 1_000_000_000
HOUR = 3600 * SECOND

WAITS = {"LostAfter": HOUR}
AT_ONCE = {"Unlimited": True, "Delay": 0, "DelayFunction": "constant"}
LATER = AT_ONCE | {"Delay": 100 * SECOND}
"""A second at the pace of these tests."""


def a_planet(*names: str) -> Planet:
    return Planet(*(Machine(name) for name in names or ("one", "two")))


def running(planet: Planet, **fields: Any) -> Allocation:
    """Run one instance; return it."""
    planet.region.register(a_job(**fields))
    planet.live(1)
    (instance,) = planet.running()
    return instance


def other(name: str) -> str:
    return {"one": "two", "two": "one"}[name]


def seen(planet: Planet) -> list[tuple[str, str, str]]:
    """Show instances, oldest first: where, what is wanted of them, how they are."""
    return [(a.node_name, a.desired_status, a.client_status) for a in planet.instances()]


def status_of(planet: Planet, name: str) -> str:
    nodes = planet.region.core.tables.nodes.values()
    return next(node.status for node in nodes if node.machine.name == name)


def triggers(planet: Planet) -> list[tuple[str, str]]:
    evaluations = planet.region.core.tables.evaluations.values()
    return [(e.trigger, e.status) for e in evaluations]


def test_instance_that_nobody_waits_for_is_lost_and_replaced_at_once() -> None:
    planet = a_planet()
    first = running(planet)

    planet.region.set_node(first.node_name, status="down")
    planet.live(1)

    lost, new = planet.instances()
    assert status_of(planet, first.node_name) == "down"
    assert (lost.desired_status, lost.client_status) == ("stop", "lost")
    assert lost.desired_description == "alloc is lost since its node is down"
    assert (new.node_name, new.client_status) == (other(first.node_name), "running")
    assert (lost.next, new.previous, new.name) == (new.id, lost.id, lost.name)
    assert new.attempts == ()


def test_lost_instance_ends_when_its_machine_comes_back() -> None:
    planet = a_planet()
    where = running(planet).node_name
    planet.region.set_node(where, status="down")
    planet.live(1)

    planet.region.set_node(where)
    planet.live(1)

    assert seen(planet) == [(where, "stop", "complete"), (other(where), "run", "running")]
    assert status_of(planet, where) == "ready"


def test_instance_that_is_waited_for_becomes_unknown_and_stays() -> None:
    planet = a_planet()
    where = running(planet, Disconnect=WAITS | {"Replace": False}).node_name

    planet.region.set_node(where, status="down")
    planet.live(20)
    away = (status_of(planet, where), seen(planet))
    planet.region.set_node(where)
    planet.live(1)

    assert away == ("disconnected", [(where, "run", "unknown")])
    assert seen(planet) == [(where, "run", "running")]
    assert ("max-disconnect-timeout", "canceled") in triggers(planet)
    summary = planet.region.summary(planet.job())["Summary"]["instances"]
    assert (summary["Running"], summary["Unknown"], summary["Lost"]) == (1, 0, 0)


def test_instance_that_is_unknown_tells_so() -> None:
    planet = a_planet()
    running(planet, Disconnect=WAITS)

    planet.region.set_node(planet.running()[0].node_name, status="down")
    planet.live(0.1)

    (instance,) = planet.instances()
    assert instance.client_description == "alloc is unknown since its node is disconnected"
    assert instance.healthy
    assert planet.job().status == "running"


@pytest.mark.parametrize(("policy", "seconds"), [(AT_ONCE, 0.0), (LATER, 1.0)])
def test_unknown_instance_is_replaced_as_the_reschedule_policy_says(
    policy: dict[str, Any], seconds: float
) -> None:
    planet = a_planet()
    first = running(planet, Disconnect=WAITS, ReschedulePolicy=policy)
    planet.region.set_node(first.node_name, status="down")

    planet.live(seconds * 0.9)
    before = len(planet.instances())
    planet.live(0.2)

    old, new = planet.instances()
    assert before == 1
    assert (old.desired_status, old.client_status, old.next) == ("run", "unknown", new.id)
    assert (new.client_status, new.previous) == ("running", first.id)
    assert [attempt[1] for attempt in new.attempts] == [first.id]


def test_policy_without_attempts_replaces_nothing_while_it_waits() -> None:
    planet = a_planet()
    never = {"Attempts": 0, "Unlimited": False}
    running(planet, Disconnect=WAITS, ReschedulePolicy=never)

    planet.region.set_node(planet.running()[0].node_name, status="down")
    planet.live(10)

    assert [a.client_status for a in planet.instances()] == ["unknown"]


@pytest.mark.parametrize(
    ("reconcile", "kept"),
    [
        ("best_score", "original"),
        ("longest_running", "original"),
        ("keep_original", "original"),
        ("keep_replacement", "replacement"),
    ],
)
def test_one_is_kept_when_the_machine_comes_back(reconcile: str, kept: str) -> None:
    planet = a_planet()
    disconnect = WAITS | {"Reconcile": reconcile}
    first = running(planet, Disconnect=disconnect, ReschedulePolicy=AT_ONCE)
    planet.region.set_node(first.node_name, status="down")
    planet.live(1)

    planet.region.set_node(first.node_name)
    planet.live(1)

    original, replacement = planet.instances()
    stays, goes = (original, replacement) if kept == "original" else (replacement, original)
    assert (stays.desired_status, stays.client_status) == ("run", "running")
    assert (goes.desired_status, goes.client_status) == ("stop", "complete")
    assert goes.desired_description == (
        "alloc not needed due to disconnected client reconnect"
        if kept == "original"
        else "alloc not needed due to job update"
    )
    assert len(planet.running()) == 1


def test_original_that_was_kept_is_replaced_again_when_it_goes_again() -> None:
    planet = a_planet()
    first = running(planet, Disconnect=WAITS, ReschedulePolicy=AT_ONCE)
    for _ in range(2):
        planet.region.set_node(first.node_name, status="down")
        planet.live(1)
        planet.region.set_node(first.node_name)
        planet.live(1)

    assert [a.id for a in planet.running()] == [first.id]
    assert len(planet.instances()) == 3


def test_newer_version_is_kept_instead_of_the_original() -> None:
    planet = a_planet()
    first = running(planet, Disconnect=WAITS, ReschedulePolicy=AT_ONCE)
    planet.region.set_node(first.node_name, status="down")
    planet.region.register(a_job(image="shop/web:2", Disconnect=WAITS, ReschedulePolicy=AT_ONCE))
    planet.live(1)

    planet.region.set_node(first.node_name)
    planet.live(1)

    (kept,) = planet.running()
    assert (kept.job_version, kept.node_name) == (1, other(first.node_name))
    assert planet.deployments()[-1].status == "successful"


def test_wait_ends_and_the_instance_is_lost() -> None:
    planet = a_planet()
    first = running(planet, Disconnect={"LostAfter": 100 * SECOND}, ReschedulePolicy=LATER)
    planet.region.set_node(first.node_name, status="down")
    planet.live(0.9)
    waiting = (status_of(planet, first.node_name), seen(planet))

    planet.live(0.5)

    assert waiting == ("disconnected", [(first.node_name, "run", "unknown")])
    assert seen(planet) == [
        (first.node_name, "stop", "lost"),
        (other(first.node_name), "run", "running"),
    ]
    assert status_of(planet, first.node_name) == "down"


def test_successor_is_not_doubled_when_the_wait_ends() -> None:
    planet = a_planet()
    first = running(planet, Disconnect={"LostAfter": 200 * SECOND}, ReschedulePolicy=LATER)

    planet.region.set_node(first.node_name, status="down")
    planet.live(5)

    assert seen(planet) == [
        (first.node_name, "stop", "lost"),
        (other(first.node_name), "run", "running"),
    ]


@pytest.mark.parametrize("disconnect", [None, WAITS])
def test_without_room_elsewhere_the_successor_waits_for_the_machine(
    disconnect: dict[str, Any] | None,
) -> None:
    planet = a_planet("only")
    running(planet, Disconnect=disconnect, ReschedulePolicy=AT_ONCE)
    planet.region.set_node("only", status="down")
    planet.live(1)
    queued = planet.region.summary(planet.job())["Summary"]["instances"]["Queued"]
    blocked = ("queued-allocs", "blocked") in triggers(planet)

    planet.region.set_node("only")
    planet.live(1)

    assert (queued, blocked) == (1, True)
    assert len(planet.running()) == 1
    assert not planet.region.core.blocked
    assert "blocked" not in {status for _, status in triggers(planet)}
    assert planet.region.summary(planet.job())["Summary"]["instances"]["Queued"] == 0


def test_machine_that_takes_no_work_keeps_what_it_has() -> None:
    planet = a_planet("only")
    running(planet)

    planet.region.set_node("only", eligible=False)
    planet.region.register(a_job(count=2))
    planet.live(1)
    meanwhile = len(planet.running())
    planet.region.set_node("only")
    planet.live(1)

    assert meanwhile == 1
    assert len(planet.running()) == 2


def test_system_job_leaves_a_lost_machine_and_returns_to_it() -> None:
    planet = a_planet()
    planet.region.register(a_job() | {"Type": "system"})
    planet.live(1)

    planet.region.set_node("one", status="down")
    planet.live(1)
    down = {a.node_name for a in planet.running()}
    planet.region.set_node("one")
    planet.live(1)

    assert down == {"two"}
    assert sorted(a.node_name for a in planet.running()) == ["one", "two"]


def test_system_job_waits_for_its_machine() -> None:
    planet = a_planet()
    planet.region.register(a_job(Disconnect=WAITS) | {"Type": "system"})
    planet.live(1)
    before = {a.id for a in planet.running()}

    planet.region.set_node("one", status="down")
    planet.live(1)
    away = sorted(a.client_status for a in planet.instances())
    planet.region.set_node("one")
    planet.live(1)

    assert away == ["running", "unknown"]
    assert {a.id for a in planet.running()} == before


def test_system_job_stays_on_a_machine_that_takes_no_work() -> None:
    planet = a_planet()
    planet.region.register(a_job() | {"Type": "system"})
    planet.live(1)

    planet.region.set_node("one", eligible=False)
    planet.live(1)

    assert len(planet.running()) == 2


def test_batch_instance_begins_anew_elsewhere() -> None:
    planet = Planet(Machine("one"), Machine("two"), timing=Timing(batch=5))
    planet.region.register(a_job() | {"Type": "batch"})
    planet.live(1)
    where = planet.running()[0].node_name

    planet.region.set_node(where, status="down")
    planet.live(10)

    assert seen(planet) == [(where, "stop", "lost"), (other(where), "run", "complete")]


def test_nothing_is_heard_of_a_silent_machine() -> None:
    planet = Planet(Machine("one"), timing=Timing(start=1.0))
    planet.region.register(a_job(Disconnect=WAITS))
    planet.live(0.5)

    planet.region.set_node("one", status="down")
    planet.live(5)

    # What had not begun to run is lost, whatever its group says of machines that come back.
    assert seen(planet) == [("one", "stop", "lost")]


def test_instance_is_stopped_when_its_machine_comes_back() -> None:
    planet = a_planet("only")
    running(planet, Disconnect=WAITS)
    planet.region.set_node("only", status="down")
    planet.live(1)
    planet.region.register(a_job(Disconnect=WAITS) | {"Stop": True})
    planet.live(1)
    away = seen(planet)

    planet.region.set_node("only")
    planet.live(1)

    assert away == [("only", "stop", "unknown")]
    assert seen(planet) == [("only", "stop", "complete")]


def test_restored_region_knows_who_is_away() -> None:
    planet = a_planet()
    first = running(planet, Disconnect=WAITS | {"Replace": False})
    planet.region.set_node(first.node_name, status="down")
    planet.live(1)
    planet.region.snapshot()
    planet.region.set_node(first.node_name)
    planet.live(1)

    planet.region.restore()
    planet.live(1)
    away = seen(planet)
    planet.region.set_node(first.node_name)
    planet.live(1)

    assert away == [(first.node_name, "run", "unknown")]
    assert seen(planet) == [(first.node_name, "run", "running")]


def test_unknown_machine_and_status_are_refused() -> None:
    planet = a_planet("only")

    with pytest.raises(KeyError, match="nobody"):
        planet.region.set_node("nobody", status="down")
    with pytest.raises(ValueError, match="a machine is ready or down, not 'asleep'"):
        planet.region.set_node("only", status="asleep")

    assert status_of(planet, "only") == "ready"
