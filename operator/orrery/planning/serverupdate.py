"""Decide which Nomad server may start anew next. Pure.

A StatefulSet starts those pods anew whose ordinal is not below its *partition*, from the highest
down. So the partition is the permission: it goes down by one when the quorum can bear it, and
nothing happens while nobody lowers it. What is decided depends on what the cluster shows, and on
nothing that an operator which was started anew would have forgotten.

The leader has no place of its own in the order: it costs an election of seconds whenever its turn
comes, which `heartbeat_grace` covers, and a StatefulSet knows one order only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orrery.ports import AutopilotHealth


@dataclass(frozen=True, slots=True)
class Server:
    """One pod of the StatefulSet."""

    name: str
    updated: bool
    """Whether it is of the newest template."""
    ready: bool
    expired: bool = False
    """Whether the certificates that it started with have expired."""


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """The servers of one region, in the middle of an update."""

    region: str
    partition: int
    """As it stands in the cluster: pods of this ordinal and above are started anew."""
    servers: Sequence[Server | None]
    """By ordinal; None for one that has no pod now."""
    settled: bool = True
    """Whether all that are ready have been so for long enough to be asked about."""
    unchecked: bool = False
    """Whether somebody allowed to go on where autopilot cannot be asked."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """Why there is no word from autopilot."""

    problem: str


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now."""

    partition: int
    waits_for: str = ""
    """A clause for users; empty when nothing is waited for."""
    asks: bool = False
    """Whether autopilot has to be asked first, and *partition* is only what holds until then."""
    starts: str = ""
    """The server that works and is now started anew; empty when none is."""


def plan_update(facts: UpdateFacts, health: AutopilotHealth | Unasked | None = None) -> Step:
    """Say where the partition belongs: at 0 when every server is of the newest template.

    A server that works is started anew only after the ones before are ready, and when autopilot
    counts all others as healthy voters. One that is not ready has nothing to lose and is started
    anew at once: that is how a broken update is mended. *health* is None before autopilot was
    asked.
    """
    pending = [
        number
        for number, server in enumerate(facts.servers)
        if server is not None and not server.updated
    ]
    if not pending:
        return Step(0)
    number = pending[-1]
    target, held = facts.servers[number], number + 1
    assert target is not None, "those that are pending exist"
    if facts.partition == number:
        return Step(number, f"{target.name} starts anew")
    held_by = _held_by(facts, target, held)
    if held_by:
        return Step(held, held_by)
    if not target.ready:
        return Step(number)
    if health is None:
        return Step(held, asks=True)
    objection = _objection(facts, target, health)
    return Step(held, objection) if objection else Step(number, starts=target.name)


def progress(facts: UpdateFacts) -> str:
    """Say how far the update is."""
    updated = sum(server is not None and server.updated for server in facts.servers)
    return f"updating servers: {updated} of {len(facts.servers)}"


def unwell(facts: UpdateFacts, target: Server, health: AutopilotHealth) -> list[str]:
    """Name those beside *target* that are no healthy voters, sorted."""
    wanted = {
        f"{server.name}.{facts.region}"
        for server in facts.servers
        if server is not None and server is not target
    }
    well = {server.name for server in health.servers if server.healthy and server.voter}
    others = {server.name for server in health.servers if server.voter and not server.healthy}
    return sorted((wanted | others) - well - {f"{target.name}.{facts.region}"})


def _held_by(facts: UpdateFacts, target: Server, first: int) -> str:
    """Say what Kubernetes shows against *target*: servers from ordinal *first* on come before."""
    for server in facts.servers[first:]:
        if server is None:
            return "a server has no pod"
        if not server.ready:
            return f"{server.name} is not ready"
    just = target.ready and not facts.settled
    return "the servers have just become ready" if just else ""


def _objection(facts: UpdateFacts, target: Server, health: AutopilotHealth | Unasked) -> str:
    """Say why *target*, which works, must stay; empty when it may start anew."""
    if isinstance(health, Unasked):
        # Servers whose certificates have expired let in neither us nor each other: there is no
        # quorum to be lost, and only a start makes them take other ones.
        if target.expired or facts.unchecked:
            return ""
        return f"autopilot cannot be asked how they are: {health.problem}"
    names = unwell(facts, target, health)
    if names:
        return f"autopilot does not count {', '.join(names)} as a healthy voter"
    return "a server has no pod" if None in facts.servers else ""
