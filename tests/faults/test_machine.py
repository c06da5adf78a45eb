"""What may be wrong with a machine: its clock jumps, its disk is full."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from tests.faults import wall_clock
from tests.faults.planet import FRA, WAS, FaultPlanet, a_shop
from tests.faults.process import start_operator
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy_journal import Match
from tests.lab.planet import condition
from tests.lab.polling import until

from orrery.ports import Document

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("lifted"),
]

SECOND = {"image": "registry.example/shop:2"}
ONCE = {f"{FRA} register": 1, f"{WAS} register": 1}
MINUTES = 60.0
FULL_DISK = Path("/dev/full")
"""Each write there fails as on a full disk."""

ALARM = "/v3/maintenance/alarm"
"""Where etcd is told that its space is used up, as it tells itself when it is."""


async def test_a_wall_clock_that_jumps_changes_nothing(planet: FaultPlanet) -> None:
    """The lease stays where it is, although the other candidate's clock is wrong, too."""
    mine, theirs = (planet.directory / name for name in ("mine", "theirs"))
    mine.write_text("0")
    theirs.write_text(f"{10 * MINUTES}")
    second = await planet.way_to_hub("hub-b")
    async with planet.operator(name="leader", program=on_clock(mine)) as leader:
        await planet.apply(a_shop("timed", [FRA, WAS]))
        await planet.until_ready("timed")
        await planet.until_quiet()
        async with planet.operator(name="heir", way=second, program=on_clock(theirs)) as heir:
            for number, jump in enumerate((10 * MINUTES, -10 * MINUTES, 24 * 60 * MINUTES), 2):
                planet.proxy.journal.begin()
                mine.write_text(f"{jump}")
                leases = renewals(planet)

                await planet.apply(a_shop("timed", [FRA, WAS], scaling={"count": number}))
                await planet.until_ready("timed")
                await until_renewed(planet, leases + 2)
                await planet.until_quiet()

                assert updates(planet, "timed") == ONCE
            assert tomorrow() in leader.said, "its clock did not jump"
            assert "this operator no longer leads" not in leader.said
            assert "this operator leads" not in heir.said


async def test_a_hub_whose_disk_is_full_holds_changes_back_and_loses_none(
    planet: FaultPlanet,
) -> None:
    async with planet.operator("--no-leader-election") as operator:
        await planet.apply(*(a_shop(name, [FRA, WAS]) for name in ("edited", "waits")))
        await planet.until_ready("edited", "waits")
        await planet.until_quiet()
        rule = planet.proxy.add(Match(target=WAS, writes=True), do.withhold())
        await planet.apply(a_shop("waits", [FRA, WAS], docker=SECOND))
        await until(lambda: rule.hits)
        planet.proxy.journal.begin()

        await tell_etcd(planet, "ACTIVATE")
        planet.proxy.lift(rule)
        planet.edit(FRA, "edited", Count=7)
        await until(lambda: updates(planet, "edited") and updates(planet, "waits"))
        refused = Match(target="hub", writes=True, path="/status")
        await until(lambda: any(e.status == 500 for e in planet.proxy.journal.of(refused)))
        await tell_etcd(planet, "DEACTIVATE")
        await planet.until(in_both, ["waits"])
        await planet.until_ready("edited", "waits")
        await planet.until_quiet()

        assert updates(planet, "edited") == {f"{FRA} register": 1}
        assert updates(planet, "waits") == {f"{WAS} register": 1}
        assert operator.alive
        assert "this is a bug" not in operator.said


async def test_a_region_whose_disk_is_full_gets_the_change_when_it_is_not(
    planet: FaultPlanet,
) -> None:
    """A write there has no known outcome, and is not tried again without a look."""
    words = "write /opt/nomad/raft/raft.db: no space left on device"
    async with planet.operator("--no-leader-election") as operator:
        await planet.apply(a_shop("stored", [FRA, WAS]))
        await planet.until_ready("stored")
        await planet.until_quiet()
        planet.proxy.journal.begin()
        full = planet.proxy.add(Match(target=FRA, writes=True), do.answer(500, words))

        await planet.apply(a_shop("stored", [FRA, WAS], docker=SECOND))
        await until(lambda: full.hits >= 2 and updates(planet, "stored"))
        assert updates(planet, "stored") == {f"{WAS} register": 1}
        planet.proxy.lift(full)
        await planet.until_ready("stored")
        await planet.until_quiet()

        assert updates(planet, "stored") == ONCE
        assert "this is a bug" not in operator.said


@pytest.mark.skipif(not FULL_DISK.exists(), reason=f"there is no {FULL_DISK} here")
async def test_an_operator_whose_disk_is_full_goes_on_working(planet: FaultPlanet) -> None:
    """It cannot write its log, and has no place for a file."""
    operator = await start_operator(
        planet.kubeconfig,
        FULL_DISK,
        "--no-leader-election",
        variables={"TMPDIR": str(planet.directory / "nowhere")},
    )
    planet.operators.append(operator)

    await planet.apply(a_shop("unlogged", [FRA, WAS]))
    await planet.until_ready("unlogged")
    await planet.apply(a_shop("unlogged", [FRA, WAS], docker=SECOND))
    await until(lambda: updates(planet, "unlogged") == dict.fromkeys(ONCE, 2))
    await planet.until_ready("unlogged")

    assert operator.alive
    await operator.stop()


def on_clock(wrong_by: Path) -> list[str]:
    """Name the program that runs an operator on a clock that is *wrong_by* so many seconds."""
    return [wall_clock.__file__, str(wrong_by)]


def tomorrow() -> str:
    return f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT}"


async def until_renewed(planet: FaultPlanet, times: int) -> None:
    await until(lambda: renewals(planet) >= times)


def renewals(planet: FaultPlanet) -> int:
    return planet.proxy.journal.count(Match(target="hub", method="PUT", path="/leases/"))


async def tell_etcd(planet: FaultPlanet, action: str) -> None:
    """Raise, or take back, the alarm that makes etcd refuse what needs space."""
    etcd = planet.hub.processes[0]
    found = subprocess.run(  # noqa: ASYNC221 - takes a moment
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(etcd.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    words = found.stdout.split()
    url = next(w.partition("=")[2] for w in words if w.startswith("--listen-client-urls="))
    async with aiohttp.ClientSession() as session:
        body = {"action": action, "alarm": "NOSPACE"}
        async with session.post(url + ALARM, json=body) as reply:
            assert reply.status == 200, await reply.text()


def in_both(body: Document) -> bool:
    ready = condition(body, "Ready")
    return bool(ready.get("observedGeneration") == body["metadata"]["generation"])


def updates(planet: FaultPlanet, name: str) -> dict[str, int]:
    """Count what was done to the jobs of one deployment, as ``region verb``."""
    found = planet.proxy.journal.updates().items()
    suffix = f" {name}"
    return {what.removesuffix(suffix): n for what, n in found if what.endswith(suffix)}
