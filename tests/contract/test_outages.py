"""Machines fall silent and come back, in a region with two more of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import pytest
from tests.contract.api import Nomad
from tests.contract.conftest import ROOMY, TOKEN
from tests.contract.jobs import SECOND, Document, a_job, group_of, task_of
from tests.lab.nomad import NomadAgent, NomadMachine
from tests.lab.polling import until, until_blocking

from orrery.sim import Machine, SimulatedRegion, Timing, serve

HERE, THERE = "one", "two"
PLACE = "pair"
"""The data center of both machines, which no other test asks for."""
CPU_MHZ = 2000
BRISK = Timing(healthy=None, scale=0.2)
"""What takes a real Nomad five seconds is over in one."""
SOON = {"Unlimited": True, "Delay": 5 * SECOND, "DelayFunction": "constant"}
"""Nomad takes no shorter delay."""
WAITS = {"LostAfter": 3600 * SECOND, "Replace": True, "Reconcile": "best_score"}

LOST = "alloc is lost since its node is down"
UNKNOWN = "alloc is unknown since its node is disconnected"
RECONNECTED = "alloc not needed due to disconnected client reconnect"


class Cable(Protocol):
    """Cuts machines off, and connects them again."""

    def cut(self, name: str) -> None: ...

    def mend(self, name: str) -> None: ...


@dataclass(frozen=True)
class Pair:
    """A region of two machines."""

    nomad: Nomad
    cable: Cable

    async def cut(self, name: str) -> str:
        """Cut a machine off, and wait until the region has noticed; return its status."""
        self.cable.cut(name)

        async def noticed() -> str:
            status = await self.status(name)
            return "" if status == "ready" else status

        return await until(noticed)

    async def mend(self, name: str) -> None:
        self.cable.mend(name)

        async def ready() -> bool:
            return await self.status(name) == "ready"

        await until(ready)

    async def node(self, name: str) -> Document:
        rows: list[Document] = (await self.nomad.get("/v1/nodes")).json
        return next(row for row in rows if row["Name"] == name)

    async def status(self, name: str) -> str:
        return str((await self.node(name))["Status"])

    async def started(self, job: Document, count: int = 2) -> dict[str, Document]:
        """Register a job and wait until it runs; return its instances by machine."""
        await self.nomad.register(job)
        rows = await self.nomad.running(job["ID"], 0, count)
        return {row["NodeName"]: row for row in rows}

    async def seen(self, job: Document, expected: list[tuple[str, str, str]]) -> list[Document]:
        """Wait until the instances of a job are as *expected*; return them, oldest first.

        Each by its machine, what is wanted of it, and how it is.
        """
        rows: list[Document] = []

        def shown() -> list[tuple[str, str, str]]:
            return [(r["NodeName"], r["DesiredStatus"], r["ClientStatus"]) for r in rows]

        async def look() -> bool:
            rows[:] = await self.nomad.rows(job["ID"], "allocations")
            return sorted(shown()) == sorted(expected)

        await until(look, told=shown)
        return rows


@dataclass(frozen=True)
class SimulatedCable:
    region: SimulatedRegion

    def cut(self, name: str) -> None:
        self.region.set_node(name, status="down")

    def mend(self, name: str) -> None:
        self.region.set_node(name)


@dataclass(frozen=True)
class RealCable:
    agent: NomadAgent
    machines: dict[str, NomadMachine]

    def cut(self, name: str) -> None:
        self.machines[name].fall_silent()

    def mend(self, name: str) -> None:
        self.machines[name].come_back()


@pytest.fixture(scope="module")
def real_pair(
    real_agent: NomadAgent, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCable]:
    """An agent that notices soon when a machine falls silent, and two machines."""
    folder = tmp_path_factory.mktemp("pair")
    quick = {"heartbeat_grace": "1s", "min_heartbeat_ttl": "1s", "max_heartbeats_per_second": 100}
    agent = NomadAgent(real_agent.binary, folder / "server", {"server": quick})
    small = {"client": ROOMY | {"cpu_total_compute": CPU_MHZ}}
    machines = {
        name: NomadMachine(agent.binary, folder / name, small, name=name, datacenter=PLACE)
        for name in (HERE, THERE)
    }
    agent.start()
    try:
        for machine in machines.values():
            machine.join(agent)
        until_blocking(lambda: all(agent.nodes().get(name) == "ready" for name in machines))
        yield RealCable(agent, machines)
    finally:
        for machine in machines.values():
            machine.stop()
        agent.stop()


@pytest.fixture(params=["simulated", "real"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        if request.param == "real":
            real: RealCable = request.getfixturevalue("real_pair")
            address, token, cable = real.agent.address, real.agent.token, real
            yield Pair(Nomad(session, address, token, kind="real", unique="x"), cable)
            return
        machines = [Machine(name, datacenter=PLACE, cpu_mhz=CPU_MHZ) for name in (HERE, THERE)]
        region = SimulatedRegion(token=TOKEN, timing=BRISK, nodes=machines)
        served = await stack.enter_async_context(serve([region]))
        nomad = Nomad(session, served.address(region.name), TOKEN, kind="simulated", unique="x")
        yield Pair(nomad, SimulatedCable(region))


def a_pair_job(job_id: str, disconnect: dict[str, Any] | None = None, cpu: int = 20) -> Document:
    job = a_job(job_id, count=2, Datacenters=[PLACE])
    group_of(job).update(ReschedulePolicy=SOON, Disconnect=disconnect)
    task_of(job)["Resources"]["CPU"] = cpu
    return job


async def test_instances_of_a_silent_machine_are_lost_or_waited_for(pair: Pair) -> None:
    plain, waiting = a_pair_job("plain"), a_pair_job("waiting", WAITS)
    patient = a_pair_job("patient", WAITS | {"Replace": False})
    impatient = a_pair_job("impatient", WAITS | {"LostAfter": 2 * SECOND})
    first = await pair.started(plain)
    for job in (waiting, patient, impatient):
        await pair.started(job)

    status = await pair.cut(HERE)
    lost = await pair.seen(
        plain, [(HERE, "stop", "lost"), (THERE, "run", "running"), (THERE, "run", "running")]
    )
    unknown = await pair.seen(patient, [(HERE, "run", "unknown"), (THERE, "run", "running")])
    given_up = await pair.seen(
        impatient, [(HERE, "stop", "lost"), (THERE, "run", "running"), (THERE, "run", "running")]
    )
    replaced = await pair.seen(
        waiting, [(HERE, "run", "unknown"), (THERE, "run", "running"), (THERE, "run", "running")]
    )

    assert status == "disconnected"
    old, new = by_id(lost)[first[HERE]["ID"]], lost[-1]
    assert (old["DesiredDescription"], old["NextAllocation"]) == (LOST, new["ID"])
    assert (old["Name"], new["RescheduleTracker"]) == (new["Name"], None)
    assert [row["ClientDescription"] for row in on(HERE, unknown)] == [UNKNOWN]
    assert [row["DesiredDescription"] for row in on(HERE, given_up)] == [LOST]
    (away,) = on(HERE, replaced)
    assert away["NextAllocation"] == replaced[-1]["ID"]
    attempts = replaced[-1]["RescheduleTracker"]["Events"]
    assert [one["PrevAllocID"] for one in attempts] == [away["ID"]]

    await pair.mend(HERE)

    await pair.seen(
        plain, [(HERE, "stop", "complete"), (THERE, "run", "running"), (THERE, "run", "running")]
    )
    await pair.seen(patient, [(HERE, "run", "running"), (THERE, "run", "running")])
    back = await pair.seen(
        waiting, [(HERE, "run", "running"), (THERE, "run", "running"), (THERE, "stop", "complete")]
    )
    assert [row["ID"] for row in on(HERE, back)] == [away["ID"]]
    assert by_id(back)[replaced[-1]["ID"]]["DesiredDescription"] == RECONNECTED
    evaluations = await pair.nomad.rows("waiting", "evaluations")
    assert "reconnect" in {evaluation["TriggeredBy"] for evaluation in evaluations}
    summary = (await pair.nomad.get("/v1/job/waiting/summary")).json["Summary"]["instances"]
    assert (summary["Running"], summary["Unknown"]) == (2, 0)
    for job in (plain, waiting, patient, impatient):
        await pair.nomad.delete(f"/v1/job/{job['ID']}?purge=true")


async def test_what_finds_no_room_elsewhere_waits_until_the_machine_is_back(pair: Pair) -> None:
    job = a_pair_job("large", cpu=CPU_MHZ // 2 + 100)
    await pair.started(job)

    status = await pair.cut(HERE)
    rows = await pair.seen(job, [(HERE, "stop", "lost"), (THERE, "run", "running")])

    async def blocked() -> list[Document]:
        found = await pair.nomad.rows("large", "evaluations")
        return [row for row in found if row["Status"] == "blocked"]

    (waiting,) = await until(blocked)
    summary = (await pair.nomad.get("/v1/job/large/summary")).json["Summary"]["instances"]
    assert status == "down"
    assert on(HERE, rows)[0]["NextAllocation"] == ""
    assert waiting["TriggeredBy"] == "queued-allocs"
    assert (summary["Queued"], summary["Lost"]) == (1, 1)

    await pair.mend(HERE)

    await pair.seen(
        job, [(HERE, "stop", "complete"), (HERE, "run", "running"), (THERE, "run", "running")]
    )
    assert (await pair.nomad.get(f"/v1/evaluation/{waiting['ID']}")).json["Status"] == "complete"
    await pair.nomad.delete("/v1/job/large?purge=true")


def on(machine: str, rows: list[Document]) -> list[Document]:
    return [row for row in rows if row["NodeName"] == machine]


def by_id(rows: list[Document]) -> dict[str, Document]:
    return {row["ID"]: row for row in rows}
