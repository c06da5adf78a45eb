"""The lease on a real API server: compare-and-set, hand-over, and a leader that is cut off."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.lab.hubproxy import HubProxy
from tests.lab.polling import until
from tests.lab.rest import Rest

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, HubSource, KubeLeases
from orrery.engine.leader import Elector, Terms
from orrery.errors import Conflict
from orrery.ports import Lease
from orrery.telemetry import Telemetry

PATIENT = Terms(duration=60, deadline=40, retry=0.1)
"""However slow the hub is, nobody loses the lease."""
SHORT = Terms(duration=4, deadline=2, retry=0.2)
"""A leader that is cut off loses it soon."""


async def test_a_lease_is_kept_with_compare_and_set(connection: HubConnection, rest: Rest) -> None:
    leases = KubeLeases(connection, "default", "cas", telemetry=Telemetry())
    assert await leases.read() is None

    first = await leases.create(Lease("a", 15, acquired=1e9, renewed=1e9))
    with pytest.raises(Conflict):
        await leases.create(Lease("b", 15, acquired=1e9, renewed=1e9))
    second = await leases.update(replace(first, renewed=2e9))
    with pytest.raises(Conflict):
        await leases.update(replace(first, renewed=3e9))

    assert second == await leases.read()
    spec = rest.get("/apis/coordination.k8s.io/v1/namespaces/default/leases/cas").body["spec"]
    assert spec["holderIdentity"] == "a"
    assert spec["leaseDurationSeconds"] == 15


async def test_two_candidates_hand_the_lease_over(connection: HubConnection) -> None:
    leases = KubeLeases(connection, "default", "two", telemetry=Telemetry())
    order: list[str] = []

    async def lead(name: str) -> None:
        clock, random = SystemClock(), Random(name)
        async with Elector(leases, name, clock=clock, random=random, terms=PATIENT).lead() as lost:
            order.append(f"{name} leads")
            taken = await leases.read()

            async def renewed() -> bool:
                return await leases.read() != taken

            await until(renewed)
            assert not lost.is_set()
            order.append(f"{name} ends")

    await asyncio.gather(lead("a"), lead("b"))

    first, second = order[0][0], order[2][0]
    assert order == [f"{first} leads", f"{first} ends", f"{second} leads", f"{second} ends"]


async def test_a_leader_that_is_cut_off_loses_the_lease_to_the_other(
    connection: HubConnection, proxy: HubProxy, tmp_path: Path
) -> None:
    source = HubSource(str(proxy.kubeconfig(tmp_path / "config")))
    async with HubConnection(source, deadline=1) as cut, AsyncExitStack() as stack:
        here = KubeLeases(cut, "default", "cut", telemetry=Telemetry())
        there = KubeLeases(connection, "default", "cut", telemetry=Telemetry())
        clock, random = SystemClock(), Random(0)
        first = Elector(here, "first", clock=clock, random=random, terms=SHORT)
        second = Elector(there, "second", clock=clock, random=random, terms=SHORT)
        lost = await stack.enter_async_context(first.lead())

        proxy.answer = (503, {"message": "cut off"})
        async with second.lead():
            assert lost.is_set()
