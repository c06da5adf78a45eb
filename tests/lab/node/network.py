"""Addresses of a continent, and the one link between its room and the machine.

The ranges lie in 198.18.0.0/15, which RFC 2544 keeps for tests: no network that the machine is
in has them. The number of a continent is the first whose link nobody made yet; making a link is
atomic, so continents of several test runs never meet.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from tests.lab.node.requirements import find_program
from tests.lab.node.room import Room, run

from orrery.playground.failures import NotReady

CONTINENTS_MAX: Final = 100
SERVICES: Final = IPv4Network("10.96.0.0/16")
"""Of Services without an address outside; exists in the room only."""

LINK: Final = "orrery-lab"
"""How the names of all links begin."""

ALIAS_MAX: Final = 255

_RANGE: Final = IPv4Network("198.18.0.0/15")
_UPLINK: Final = "uplink"


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses of a continent."""

    number: int

    @property
    def link(self) -> str:
        """Name of the machine's end of the link."""
        return f"{LINK}{self.number}"

    @property
    def range(self) -> IPv4Network:
        """All of its addresses."""
        return list(_RANGE.subnets(new_prefix=24))[self.number]

    @property
    def pods(self) -> IPv4Network:
        """The pods' own addresses."""
        return next(self.range.subnets(new_prefix=25))

    @property
    def balancers(self) -> IPv4Network:
        """The addresses of Services of type LoadBalancer."""
        return list(self.range.subnets(new_prefix=26))[2]

    @property
    def machines(self) -> IPv4Network:
        """The addresses of machines that are not nodes."""
        return list(self.range.subnets(new_prefix=27))[6]

    @property
    def node(self) -> IPv4Address:
        """The node, its API server and its DNS server."""
        return self.range[-2]

    @property
    def machine(self) -> IPv4Address:
        """The machine that runs the tests, as pods see it."""
        return self.range[-3]


@asynccontextmanager
async def a_network(room: Room) -> AsyncIterator[Network]:
    """Connect *room* with the machine: each reaches the other, and nothing behind it."""
    network = await _link(room)
    try:
        await _ip("addr", "add", f"{network.machine}/30", "dev", network.link)
        # Says to people and to tests whose it is, as the environment does of processes.
        await _ip("link", "set", network.link, "alias", room.marker[-ALIAS_MAX:])
        await _ip("link", "set", network.link, "up")
        await _ip("route", "add", str(network.range), "via", str(network.node))
        await _ip("addr", "add", f"{network.node}/30", "dev", _UPLINK, room=room)
        await _ip("link", "set", _UPLINK, "up", room=room)
        await _ip("route", "add", "default", "via", str(network.machine), room=room)
        room.outside("/run/forward").write_text("1", encoding="ascii")
        await room.run("cp", "/run/forward", "/proc/sys/net/ipv4/ip_forward")
        yield network
    finally:
        # The end of the room would take it away too, some time later.
        with suppress(NotReady):
            await _ip("link", "delete", network.link)


def links_of(marker: str) -> list[str]:
    """List the links of rooms that carry *marker*."""
    links = Path("/sys/class/net").glob(f"{LINK}*/ifalias")
    alias = marker[-ALIAS_MAX:]
    return [link.parent.name for link in links if link.read_text().strip() == alias]


def is_linked(network: Network) -> bool:
    """Tell whether the machine has the link of *network*."""
    return Path(f"/sys/class/net/{network.link}").exists()


async def _link(room: Room) -> Network:
    for number in range(CONTINENTS_MAX):
        network = Network(number)
        if is_linked(network):
            continue
        try:
            peer = ("peer", "name", _UPLINK, "netns", str(room.pid))
            await _ip("link", "add", network.link, "type", "veth", *peer)
        except NotReady:
            if not is_linked(network):
                raise
        else:
            return network
    raise NotReady(f"{CONTINENTS_MAX} continents stand on this machine already")


async def _ip(*arguments: str, room: Room | None = None) -> None:
    command = (find_program("ip"), *arguments)
    await (room.run(*command) if room else run(*command))
