"""A world of one region whose machines are probed."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.builders import a_class, a_region
from tests.fakes.world import World, a_world

from orrery.adapters.memory import MemoryNomad
from orrery.planning.probes import MachineProbe
from orrery.ports import Key, Kind, Node

SYSTEM = "orrery--system"
COUNTS = ("--count", "20", "--linger", "20")
FRA = Key(Kind.REGION, "", "fra")
PROBED = {"image": "registry.example/orrery:1"}
NAMES = ("m1", "m2", "m3")


def a_machine(name: str, *, data_center: str = "fra1", **fields: Any) -> Node:
    whole: dict[str, Any] = {
        "status": "ready",
        "eligible": True,
        "drivers": frozenset({"docker"}),
        "cpu_mhz": 4000,
        "memory_mb": 8192,
        **fields,
    }
    return Node(id=f"id-{name}", name=name, datacenter=data_center, **whole)


def a_log(*seconds: float, error: str = "") -> str:
    return json.dumps({"seconds": seconds} | ({"error": error} if error else {})) + "\n"


def a_probing_class(**probe: Any) -> dict[str, Any]:
    body = a_class()
    body["spec"]["probe"] = {**PROBED, **probe}
    return body


@asynccontextmanager
async def a_probed_world(machines: Sequence[str] = NAMES, **probe: Any) -> AsyncIterator[World]:
    """Run a world of one region whose class asks for probes."""

    def nomad(name: str) -> MemoryNomad:
        region = MemoryNomad(name, nodes=[a_machine(one) for one in machines])
        region.logs = {one: a_log(0.010, 0.012, 0.011) for one in machines}
        return region

    async with a_world(("fra",), nomad=nomad) as world:
        world.apply(a_probing_class(**probe))
        await world.settle(10)
        yield world


def found(world: World) -> dict[str, MachineProbe]:
    member = world.controller._fleet.member("fra")
    assert member is not None
    return {probe.node: probe for probe in member.probes or ()}


def probed_at(world: World) -> float | None:
    member = world.controller._fleet.member("fra")
    assert member is not None
    return member.probed_at


def outcomes(world: World) -> dict[str, str]:
    return {name: probe.outcome for name, probe in found(world).items()}


def runs(world: World) -> int:
    return world.regions["fra"].versions_of(SYSTEM, "probe")


def asked(world: World, value: str) -> None:
    region = a_region("fra")
    region["metadata"]["annotations"] = {"orrery.dev/reconcile-at": value}
    world.apply(region)
