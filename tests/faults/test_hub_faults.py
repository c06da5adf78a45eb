"""The hub's API server fails, lags, lies or is away: nothing is lost, doubled or stopped for it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio
from tests.faults.planet import FRA, FULL, HUB, WAS, FaultPlanet, a_shop
from tests.faults.process import OperatorProcess
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy import Door
from tests.lab.faultproxy_journal import Match
from tests.lab.planet import condition, is_ready
from tests.lab.polling import until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("lifted"),
]

SWEEP = 3.0
"""Seconds between two sweeps of an operator that makes them often, give or take a fifth."""

SECOND = {"image": "registry.example/shop:2"}
WATCH = Match(target=HUB, path="/globaldeployments", streams=True)
LIST = Match(target=HUB, method="GET", path="/v1alpha1/globaldeployments", streams=False)
STATUS = Match(target=HUB, method="PATCH", path="/status")
AWAY = 600.0 if FULL else 6.0
"""Seconds for which the API server is away: longer than the first pauses between retries."""

ONCE = {f"{FRA} register": 1, f"{WAS} register": 1}

following = pytest.mark.parametrize("operator", ["600"], indirect=True, ids=["following"])
sweeping = pytest.mark.parametrize("operator", [f"{SWEEP:g}"], indirect=True, ids=["sweeping"])

Break = Callable[[FaultPlanet], Coroutine[Any, Any, None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(
    request: pytest.FixtureRequest, planet: FaultPlanet
) -> AsyncIterator[OperatorProcess]:
    """Run an operator that sweeps each so many seconds."""
    options = ("--no-leader-election", "--resync-seconds", request.param)
    async with planet.operator(*options) as operator:
        yield operator


def error_event(code: int) -> dict[str, Any]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return {"type": "ERROR", "object": {**status, "message": "told to"}}


def injected(code: int) -> Break:
    async def act(planet: FaultPlanet) -> None:
        for stream in planet.proxy.open_streams(WATCH):
            await stream.inject(error_event(code))

    return act


def answered(code: int) -> Break:
    """Answer the next two watch requests with a status, after the one that stands was cut."""

    async def act(planet: FaultPlanet) -> None:
        planet.proxy.add(WATCH, do.answer(code, str(error_event(code)["object"])))
        for stream in planet.proxy.open_streams(WATCH):
            stream.cut()
        await until(lambda: sum(1 for e in planet.proxy.journal.of(WATCH) if e.fault) >= 2)
        planet.proxy.lift()

    return act


async def cut(planet: FaultPlanet) -> None:
    for stream in planet.proxy.open_streams(WATCH):
        stream.cut()


BREAKS = {
    "event-410": injected(410),
    "event-429": injected(429),
    "event-500": injected(500),
    "status-410": answered(410),
    "status-500": answered(500),
    "cut": cut,
}


@following
@pytest.mark.parametrize("name", BREAKS)
async def test_a_watch_that_breaks_is_made_anew(
    name: str, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """The change is made while no watch stands: only the next list can tell of it."""
    shop = f"watch-{name}"
    broken = asyncio.create_task(BREAKS[name](planet))
    await planet.apply(a_shop(shop, [FRA, WAS]))
    await broken

    await planet.until_ready(shop)

    assert operator.alive
    assert updates(planet, shop) == ONCE


@sweeping
async def test_what_a_silent_watch_does_not_tell_the_sweep_finds(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """Also what changed, and what went, while the watch seemed to stand."""
    await planet.apply(*(a_shop(name, [FRA, WAS]) for name in ("changes", "goes")))
    await planet.until_ready("changes", "goes")
    ice = planet.proxy.freeze(WATCH)
    planet.proxy.journal.begin()

    await planet.apply(a_shop("comes", [FRA, WAS]), a_shop("changes", [FRA, WAS], docker=SECOND))
    await planet.delete("goes")
    await planet.until_ready("comes", "changes")
    await planet.until_gone("goes")
    planet.proxy.lift(ice)
    await planet.until_quiet()

    assert updates(planet, "comes") == updates(planet, "changes") == ONCE
    assert updates(planet, "goes") == {f"{r} {v}": 1 for r in (FRA, WAS) for v in ("stop", "purge")}


@sweeping
async def test_what_a_lost_event_would_have_told_the_sweep_finds(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    await planet.apply(*(a_shop(name, [FRA, WAS]) for name in ("unheard", "unseen")))
    await planet.until_ready("unheard", "unseen")
    lost = planet.proxy.lose(WATCH, lambda line: name_of(line) in {"unheard", "unseen", "unborn"})
    planet.proxy.journal.begin()

    await planet.apply(a_shop("unborn", [FRA, WAS]), a_shop("unheard", [FRA, WAS], docker=SECOND))
    await planet.delete("unseen")
    await planet.until_ready("unborn", "unheard")
    await planet.until_gone("unseen")
    await planet.until_quiet()

    assert {line["type"] for line in lost.taken} == {"ADDED", "MODIFIED", "DELETED"}
    assert updates(planet, "unborn") == updates(planet, "unheard") == ONCE
    assert operator.alive


@pytest.mark.parametrize(
    ("operator", "who"),
    [pytest.param(f"{SWEEP:g}", "sweep", id="sweep"), pytest.param("600", "watch", id="watch")],
    indirect=["operator"],
)
async def test_an_old_list_takes_nothing_back(
    who: str, planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """A server that lags shows the hub as it was: what went, what did not exist, an older spec."""
    old, gone, new = (f"{name}-{who}" for name in ("old", "gone", "new"))
    await planet.apply(a_shop(old, [FRA, WAS]), a_shop(gone, [FRA, WAS]))
    await planet.until_ready(old, gone)
    recording = do.Recording()
    rule = planet.proxy.add(LIST, do.record(recording))
    if who == "watch":
        await injected(410)(planet)
    await until(lambda: gone.encode() in recording.body)
    planet.proxy.lift(rule)
    await planet.apply(a_shop(old, [FRA, WAS], docker=SECOND), a_shop(new, [FRA, WAS]))
    await planet.delete(gone)
    await planet.until_ready(old, new)
    await planet.until_gone(gone)
    await planet.until_quiet()
    planet.proxy.journal.begin()

    stale = planet.proxy.add(LIST, do.replay(recording), nth=1)
    if who == "watch":
        await injected(410)(planet)
    await until(lambda: stale.hits)
    await planet.until_quiet()
    if who == "watch":
        await injected(410)(planet)
    await until(lambda: stale.hits >= 2)
    await planet.until_quiet()

    await planet.until_ready(old, new)
    assert planet.proxy.journal.updates() == {}


@following
async def test_a_busy_hub_is_asked_again_when_it_says_and_not_before(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    refusal = do.answer(429, b'{"message": "too many"}', [("Retry-After", "1"), *do.JSON])
    rule = planet.proxy.add(STATUS, refusal)

    await planet.apply(a_shop("patient", [FRA, WAS]))
    await until(lambda: rule.hits >= 3)
    planet.proxy.lift(rule)
    await planet.until_ready("patient")

    asked = [e for e in planet.proxy.journal.of(STATUS) if "/patient/" in e.path and e.fault]
    pauses = [after.time - before.time for before, after in itertools.pairwise(asked)]
    assert min(pauses) >= 1
    assert updates(planet, "patient") == ONCE


@following
@pytest.mark.timeout(900)
async def test_regions_are_kept_as_they_should_be_while_the_hub_is_away(
    planet: FaultPlanet, operator: OperatorProcess
) -> None:
    """The change that is made meanwhile is carried out when the hub is back."""
    await planet.apply(*(a_shop(name, [FRA, WAS]) for name in ("edited", "left")))
    await planet.until_ready("edited", "left")
    await planet.until_quiet()
    planet.proxy.journal.begin()
    await planet.proxy.turn(HUB, Door.REFUSED)
    began = asyncio.get_running_loop().time()

    planet.edit(FRA, "edited", Count=7)
    await planet.apply(a_shop("left", [FRA, WAS], docker=SECOND))
    await until(lambda: updates(planet, "edited"))
    await until(lambda: asyncio.get_running_loop().time() - began > AWAY, seconds=2 * AWAY)
    meanwhile = planet.proxy.journal.updates()
    await planet.proxy.turn(HUB, Door.OPEN)
    await planet.until_ready("edited", "left")
    await planet.until_quiet()

    assert meanwhile == {f"{FRA} register edited": 1}
    assert updates(planet, "edited") == {f"{FRA} register": 1}
    assert updates(planet, "left") == ONCE
    assert operator.alive
    assert "the hub does not answer the watches" in operator.said
    assert "the hub answers the watches again" in operator.said


@following
async def test_no_bug_was_met(planet: FaultPlanet, operator: OperatorProcess) -> None:
    assert "this is a bug" not in operator.said
    found = await planet.deployments()
    assert all(is_ready(body) for body in found.values())
    assert not any(condition(body, "Stalled") for body in found.values())


def name_of(line: Any) -> str:
    return str(line["object"].get("metadata", {}).get("name", ""))


def updates(planet: FaultPlanet, name: str) -> dict[str, int]:
    """Count what was done to the jobs of one deployment, as ``region verb``."""
    found = planet.proxy.journal.updates().items()
    suffix = f" {name}"
    return {what.removesuffix(suffix): n for what, n in found if what.endswith(suffix)}
