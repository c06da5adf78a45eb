"""Many objects at once, two operators at once: each change is written once, and never undone."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from tests.faults.planet import FRA, FULL, HUB, WAS, FaultPlanet, a_shop
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy_journal import Entry, Match
from tests.lab.polling import until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("lifted"),
]

OTHER_WAY = "hub-b"
"""The same hub, as the second operator reaches it."""

OBJECTS = 500 if FULL else 200
CALLS_PER_REGION = 8
CALLS_TO_HUB = 32
EDITED = 10
EDITS = 20
SETTLED = 5.0
"""Seconds in which two operators that disagree would show it."""

ALONE = ("--no-leader-election",)


async def test_hundreds_of_objects_at_once_are_a_crowd_and_no_flood(planet: FaultPlanet) -> None:
    names = [f"crowd-{number}" for number in range(OBJECTS)]
    async with planet.operator(*ALONE) as operator:
        await asyncio.gather(*(planet.apply(a_shop(name, [FRA, WAS])) for name in names))
        await planet.until_ready(*names, within=120)
        await planet.until_quiet()

        journal = planet.proxy.journal
        assert journal.updates() == {f"{r} register {n}": 1 for r in (FRA, WAS) for n in names}
        assert max(journal.busiest(region) for region in (FRA, WAS)) <= CALLS_PER_REGION
        assert journal.busiest(HUB) <= CALLS_TO_HUB
        assert operator.alive


async def test_a_crowd_that_waits_for_an_operator_is_left_alone_when_it_is_as_it_should_be(
    planet: FaultPlanet,
) -> None:
    async with planet.operator(*ALONE):
        await planet.until_quiet()

        assert planet.proxy.journal.updates() == {}
        assert planet.proxy.journal.count(Match(target=HUB, writes=True)) == 0


async def test_two_operators_do_not_undo_what_the_other_did(planet: FaultPlanet) -> None:
    names = [f"edited-{number}" for number in range(EDITED)]
    second = await planet.way_to_hub(OTHER_WAY)
    async with (
        planet.operator(*ALONE, name="a"),
        planet.operator(*ALONE, name="b", way=second),
    ):
        await planet.apply(*(a_shop(name, [FRA, WAS]) for name in names))
        await planet.until_ready(*names)

        await asyncio.gather(*(edit_often(planet, name) for name in names))
        await planet.until_ready(*names)
        await planet.until_quiet()

    for region, name in itertools.product((FRA, WAS), names):
        job = planet.job(region, name)
        assert job is not None
        assert job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] == image(EDITS)
        applied = [generation_of(entry) for entry in registers(planet, region, name)]
        assert applied == sorted(set(applied))
        assert len(applied) <= EDITS + 1


async def test_an_operator_that_missed_a_change_does_not_take_it_for_drift(
    planet: FaultPlanet,
) -> None:
    """Two may work at once during a change of leader, and one of them may not have heard yet."""
    second = await planet.way_to_hub(OTHER_WAY)
    await planet.apply(a_shop("changed", [FRA, WAS]))
    async with (
        planet.operator(*ALONE, name="a"),
        planet.operator(*ALONE, name="b", way=second),
    ):
        await planet.until_ready("changed")
        await planet.until_quiet()
        ice = planet.proxy.freeze(Match(target=OTHER_WAY, streams=True))
        planet.proxy.journal.begin()

        await planet.apply(a_shop("changed", [FRA, WAS], docker={"image": image(2)}))
        await until(lambda: all(registers(planet, region, "changed") for region in (FRA, WAS)))
        await asyncio.sleep(SETTLED)

        counted = Counter(planet.proxy.journal.updates())
        planet.proxy.lift(ice)
        assert counted == {f"{region} register changed": 1 for region in (FRA, WAS)}


async def test_the_late_write_of_a_frozen_leader_is_refused(planet: FaultPlanet) -> None:
    """Its register is on the way when it freezes; another leads, and the spec has changed since."""
    second = await planet.way_to_hub(OTHER_WAY)
    async with planet.operator(name="leader") as leader:
        await planet.apply(a_shop("held", [FRA]))
        await planet.until_ready("held")
        await planet.until_quiet()
        async with planet.operator(name="heir", way=second) as heir:
            planet.proxy.journal.begin()
            late = Match(target=FRA, path="/v1/job/held", writes=True)
            rule = planet.proxy.add(late, do.hold(), nth=1)
            await planet.apply(a_shop("held", [FRA], docker={"image": image(2)}))
            await until(lambda: rule.hits)
            leader.freeze()

            await planet.apply(a_shop("held", [FRA], docker={"image": image(3)}))
            await until(lambda: "this operator leads" in heir.said, pause=0.5)
            await until(lambda: planet.proxy.journal.updates() == {f"{FRA} register held": 1})
            planet.proxy.lift(rule)
            first, *others = writes(planet, FRA, "held")
            await until(lambda: first.status)
            leader.thaw()
            status = await leader.ended()
            await planet.until_ready("held")
            await planet.until_quiet()

    assert status != 0
    assert "this operator no longer leads" in leader.said
    assert (first.status, generation_of(first)) == (500, 2)
    assert [(entry.applied, generation_of(entry)) for entry in others] == [(True, 3)]


async def edit_often(planet: FaultPlanet, name: str) -> None:
    chance = Random(name)
    for number in range(1, EDITS + 1):
        await planet.apply(a_shop(name, [FRA, WAS], docker={"image": image(number)}))
        await asyncio.sleep(chance.uniform(0, 0.4))  # People are not in step with us.


def image(number: int) -> str:
    return f"registry.example/shop:{number}"


def writes(planet: FaultPlanet, region: str, name: str) -> Sequence[Entry]:
    found = planet.proxy.journal.of(Match(target=region, writes=True))
    return [entry for entry in found if entry.job == name]


def registers(planet: FaultPlanet, region: str, name: str) -> Sequence[Entry]:
    return [entry for entry in writes(planet, region, name) if entry.applied]


def generation_of(entry: Entry) -> int:
    """Read from a register of which generation of the spec it is."""
    body: Mapping[str, Any] = entry.request.document
    return int(json.loads(body["Submission"]["Source"])["generation"])
