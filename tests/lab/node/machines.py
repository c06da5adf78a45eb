"""Machines of a continent that are no nodes of its cluster, as those that run a region's jobs.

Each has an address of its own, and so is somebody else to a load balancer than its neighbours. It
is a network namespace within the continent's room, and ends with it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.lab.node.network import Network
from tests.lab.node.requirements import find_program
from tests.lab.node.room import Room

from orrery.playground.failures import NotReady
from orrery.playground.processes import Process


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is on."""

    room: Room
    address: IPv4Address

    @property
    def name(self) -> str:
        """The name of its namespace, and of the node's end of its link."""
        return f"machine{int(self.address) & 0xFF}"

    def start(self, name: str, *command: str, log: Path) -> Process:
        """Start a program on the machine; it ends with the room, if not before."""
        return self.room.start(name, *self._entered(command), log=log)

    async def run(self, *command: str) -> str:
        """Run a program on the machine to its end, and return what it says."""
        return await self.room.run(*self._entered(command))

    def _entered(self, command: tuple[str, ...]) -> tuple[str, ...]:
        return find_program("ip"), "netns", "exec", self.name, *command


@asynccontextmanager
async def a_machine(room: Room, network: Network) -> AsyncIterator[Machine]:
    """Connect a machine with the node; it reaches load balancers, and is reached, by that way."""

    async def ip(*arguments: str) -> None:
        await room.run(find_program("ip"), *arguments)

    machine = await _machine(room, network)
    try:
        peer = ("peer", "name", "uplink", "netns", machine.name)
        await ip("link", "add", machine.name, "type", "veth", *peer)
        await ip("link", "set", machine.name, "up")
        await ip("addr", "add", f"{network.node}/32", "dev", machine.name)
        await ip("route", "add", f"{machine.address}/32", "dev", machine.name)
        inside = ("-netns", machine.name)
        await ip(*inside, "link", "set", "lo", "up")
        await ip(*inside, "addr", "add", f"{machine.address}/32", "dev", "uplink")
        await ip(*inside, "link", "set", "uplink", "up")
        await ip(*inside, "route", "add", f"{network.node}/32", "dev", "uplink")
        await ip(*inside, "route", "add", "default", "via", str(network.node))
        yield machine
    finally:
        # Its link goes with it, once the last of its processes has ended.
        await ip("netns", "delete", machine.name)


async def _machine(room: Room, network: Network) -> Machine:
    for address in network.machines.hosts():
        machine = Machine(room, address)
        if room.outside(f"/run/netns/{machine.name}").exists():
            continue
        await room.run(find_program("ip"), "netns", "add", machine.name)
        return machine
    raise NotReady(f"a continent has no addresses for more machines than {network.machines} holds")
