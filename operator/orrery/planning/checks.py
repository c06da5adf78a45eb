"""Judge a region by what is known of it: each check is a function of facts. Pure.

A message names what was found and, when it is not as it should be, what to do about it. It stays
the same while nothing changes: no ages, no measured values that tremble.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from orrery.api.regionopening import CheckName, CheckStatus, CheckStatusWord
from orrery.moments import seconds_of, text_at
from orrery.planning import probechecks
from orrery.planning.checkfacts import CheckFacts, Vitals
from orrery.planning.findings import Finding, failed, passed, skipped, unknown
from orrery.ports import AutopilotHealth, Node

SKEW_LIMIT: Final = 30.0
"""Seconds that a region's clock may differ from the hub's; certificates and tokens bear more."""

LEADS_FOR: Final = 30.0
"""Seconds after its election from which a leader counts as stable."""

VITALS_LAST: Final = 300.0
"""Seconds after which an answer says nothing about the region as it is now."""

PROBES_LAST: Final = 86_400.0
"""The same of what the probe jobs found, in seconds."""

SNAPSHOTS_MISSED: Final = 3
"""Snapshots that may be missed before the last one is too old."""


_DISABLED: Final = "spec.checks.disabled names it"

Make = Callable[[CheckFacts], Finding | None]

Needs = Literal["nothing", "answers", "vitals", "probes"]
"""What must be known for a check to be made; all but "nothing" need a region that answers."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one check."""

    name: CheckName
    status: CheckStatusWord
    message: str


def judge(facts: CheckFacts, *, before: Mapping[str, CheckStatus]) -> list[Check]:
    """Make all checks, in their order; where nothing is known yet, what was *before* stands."""
    disabled = frozenset(facts.spec.checks.disabled)
    checks = []
    for name, make in _CHECKS.items():
        is_off = name in disabled
        finding = skipped(_DISABLED) if is_off else _made(facts, *make)
        told = before.get(name)
        # That there was no probe says nothing of one that has found nothing yet.
        is_new = facts.reachable is True and make[0] == "probes" and facts.probes is not None
        stands = told is not None and not (told.status in {"Skipped", "Unknown"} and is_new)
        if finding is None and told is not None and stands and told.message != _DISABLED:
            checks.append(Check(name, told.status, told.message))
        else:
            status, message = finding or unknown("not looked at yet")
            checks.append(Check(name, status, message))
    return checks


def _made(facts: CheckFacts, needs: Needs, make: Make) -> Finding | None:
    """Make one check; None while nothing is known of what it needs."""
    if needs == "probes" and facts.probes is None and facts.reachable is not None:
        return make(facts)
    if needs != "nothing" and facts.reachable is not True:
        silent = facts.reachable is None and not facts.problem
        return None if silent else unknown(_unasked(facts))
    match needs:
        case "vitals" if facts.vitals.taken_at is None:
            why = facts.vitals.problem
            return unknown(f"{why}, Orrery's token needs operator:read") if why else None
        case "probes" if not facts.probes:
            return None
        case _:
            return unknown(old) if (old := _outdated(facts, needs)) else make(facts)


def _unasked(facts: CheckFacts) -> str:
    """Say why a region that does not answer says nothing: perhaps nobody could ask it so far."""
    if not facts.address:
        return "the region has no address yet"
    if facts.reachable is None:
        return "the region's Nomad was not asked yet"
    return "the region's Nomad does not answer"


def _outdated(facts: CheckFacts, needs: Needs) -> str:
    """Say what is too old to be judged on; empty when nothing is."""
    told, probed = facts.vitals.taken_at, facts.probed_at
    if needs == "vitals" and told is not None and facts.now - told > VITALS_LAST:
        return f"was last told more than {VITALS_LAST / 60:.0f}m ago: {facts.vitals.problem}"
    if needs == "probes" and probed is not None and facts.now - probed > PROBES_LAST:
        return "the probe last ran too long ago, see its jobs in the region"
    return ""


def settle(
    checks: Sequence[Check], *, before: Mapping[str, CheckStatus], now: str
) -> list[CheckStatus]:
    """Write *checks* as a status; one whose verdict stays keeps its transition time."""
    return [
        CheckStatus(
            name=check.name,
            status=check.status,
            message=check.message[:1024],
            last_transition_time=(
                told.last_transition_time
                if (told := before.get(check.name)) and told.status == check.status
                else now
            ),
        )
        for check in checks
    ]


def tally(checks: Sequence[Check], *, has_address: bool = True) -> str:
    """Count the checks that pass, of those that are made, as in ``9/10``.

    Before the region *has_address* none can: those that are to be made wait, as in ``12 waiting``.
    """
    made = [check for check in checks if check.status != "Skipped"]
    if not has_address:
        return f"{len(made)} waiting"
    return f"{sum(check.status == 'Pass' for check in made)}/{len(made)}"


def gaps(checks: Sequence[Check]) -> list[Check]:
    """List the checks that keep a region from being opened: what fails before what is unknown."""
    found = [check for check in checks if check.status in {"Fail", "Unknown"}]
    return sorted(found, key=lambda check: check.status != "Fail")


def leader_is_settled(servers: AutopilotHealth, now: float) -> bool | None:
    """Tell whether the leader has been one for long enough; None without a leader.

    Autopilot's memory begins with an election: no server is stable for longer than that.
    """
    leader = next((server for server in servers.servers if server.leader), None)
    if leader is None:
        return None
    since = _moment(leader.stable_since)
    return since is None or (servers.time or now) - since >= LEADS_FOR


def mark(vitals: Vitals) -> object:
    """Return what has to differ for a second look at the region to be worth it."""
    servers, taken = vitals.servers, vitals.taken_at or 0.0
    judged = servers and (
        tuple((s.name, s.leader, s.voter, s.healthy) for s in servers.servers),
        leader_is_settled(servers, taken),
        _skew(servers, taken),
    )
    return judged, vitals.admits_strangers, vitals.problem, vitals.knock_problem


def front_door_reachable(facts: CheckFacts) -> Finding | None:
    """Demand that the region's Nomad answers at its address."""
    if facts.reachable is None:
        return unknown(facts.problem) if facts.problem else None
    if facts.reachable:
        return passed(f"{facts.address} answers")
    return failed(f"{facts.problem}: look at the front door and at the way from the hub to it")


def mtls_enforced(facts: CheckFacts) -> Finding | None:
    """Demand that a caller without a certificate of the region is turned away."""
    vitals = facts.vitals
    if vitals.knocked_at is None:
        return unknown(vitals.knock_problem) if vitals.knock_problem else None
    if facts.now - vitals.knocked_at > VITALS_LAST * 4:
        return unknown(f"was last seen too long ago: {vitals.knock_problem}")
    if vitals.admits_strangers is None:
        return skipped(
            "the region's credentials have no client certificate, nobody is asked for one"
        )
    if vitals.admits_strangers:
        return failed(
            f"{facts.address} answers a caller without a client certificate: set "
            "tls.verify_https_client on its servers, or let nothing but the front door reach them"
        )
    return passed("a caller without a client certificate is turned away")


def nomad_quorum(facts: CheckFacts) -> Finding | None:
    """Demand that every server is healthy and votes, and that there are as many as wanted."""
    if facts.vitals.servers is None:
        return None
    health = facts.vitals.servers
    unwell = [server.name for server in health.servers if not server.healthy]
    silent = [server.name for server in health.servers if not server.voter]
    if unwell:
        return failed(f"not healthy: {', '.join(unwell)}, look at the logs of these servers")
    if silent:
        return failed(
            f"no voters yet: {', '.join(silent)}, Nomad makes them so when they are stable"
        )
    wanted = facts.servers_wanted
    if wanted is not None and len(health.servers) < wanted:
        return failed(
            f"{len(health.servers)} of {wanted} Nomad servers vote, look at the pods that are not "
            "ready"
        )
    return passed(f"{len(health.servers)} vote, {health.failure_tolerance} of them may be lost")


def nomad_leader_stable(facts: CheckFacts) -> Finding | None:
    """Demand that the leader was not elected just now."""
    if facts.vitals.servers is None:
        return None
    servers = facts.vitals.servers
    settled = leader_is_settled(servers, facts.vitals.taken_at or facts.now)
    if settled is None:
        return failed("there is no leader, look at the logs of the Nomad servers")
    name = next(server.name for server in servers.servers if server.leader)
    if not settled:
        return failed(
            f"{name} has led for less than {LEADS_FOR:.0f}s, if that does not pass, look at the "
            "network and the disks of the Nomad servers"
        )
    return passed(f"{name} leads")


def nomad_acl_enabled(facts: CheckFacts) -> Finding | None:
    """Demand that Nomad asks for tokens."""
    if facts.agent is None:
        return None
    if facts.agent.acl_enabled is None:
        return unknown("the server that answered does not say")
    if facts.agent.acl_enabled:
        return passed("a token is asked for")
    return failed("anybody may do anything: set acl.enabled on the Nomad servers")


def snapshot_recent(facts: CheckFacts) -> Finding | None:
    """Demand a snapshot that is not too old."""
    snapshots = facts.snapshots
    if snapshots is None:
        return skipped("the class configures no snapshots")
    if facts.now - (snapshots.latest or snapshots.since) > SNAPSHOTS_MISSED * snapshots.interval:
        where = "see the CronJob and its Jobs in the region's namespace"
        return failed(f"{SNAPSHOTS_MISSED} snapshots in a row were missed: {where}")
    if snapshots.latest is None:
        return passed("the first snapshot is not due yet")
    return passed("the last snapshot is recent")


def zone_online(facts: CheckFacts) -> Finding | None:
    """Demand that the global control plane of the mesh sees the zone."""
    zone = facts.zone
    if zone is None:
        return skipped("nobody asks the global control plane of a mesh yet")
    if zone.online:
        return passed(zone.message or "the global control plane sees the zone")
    return failed(zone.message or "the global control plane does not see the zone")


def machines_joined(facts: CheckFacts) -> Finding | None:
    """Demand as many ready machines as each data center is to have; one in all by default."""
    ready = [node for node in facts.nodes if _is_ready(node)]
    remedy = "make them with `orrery region bundle`" if facts.spec.is_managed else "let them join"
    if not facts.spec.data_centers:
        if not ready and facts.nodes:
            return failed(f"none of {len(facts.nodes)} machines is ready: see `nomad node status`")
        if not ready:
            return failed(f"no machine has joined: {remedy}")
        return passed(f"{_count(len(ready))} ready")
    short = [
        f"{wanted.name} has {there} of {wanted.min_machines}"
        for wanted in facts.spec.data_centers
        if (there := sum(node.datacenter == wanted.name for node in ready)) < wanted.min_machines
    ]
    if short:
        return failed(f"ready machines: {', '.join(short)}, {remedy}")
    return passed(f"{_count(len(ready))} ready, as many as each data center needs")


def driver_healthy(facts: CheckFacts) -> Finding | None:
    """Demand that each driver of the class works on a ready machine of each data center."""
    ready = [node for node in facts.nodes if _is_ready(node)]
    if not ready:
        return unknown("no machine is ready")
    missing = [
        f"{driver} in {data_center}"
        for data_center in sorted({node.datacenter for node in ready})
        for driver in sorted({driver.nomad_driver for driver in facts.drivers})
        if not any(n.datacenter == data_center and driver in n.drivers for n in ready)
    ]
    if missing:
        return failed(
            f"healthy on no ready machine: {', '.join(missing)}, see `nomad node status -verbose`"
        )
    return passed(f"healthy: {', '.join(sorted({d.nomad_driver for d in facts.drivers}))}")


def certificates_valid(facts: CheckFacts) -> Finding | None:
    """Demand that the certificates are renewed in time, which is when a third of them is left."""
    if not facts.spec.is_managed:
        return skipped("the certificates of an External region are not Orrery's")
    if facts.expires is None:
        return None
    when = text_at(facts.expires)
    if facts.now >= facts.expires:
        return failed(f"the first certificate expired at {when}, see the condition Ready")
    if facts.expires - facts.now < facts.certificate_lifetime / 6:
        return failed(
            f"the first certificate expires at {when} and should be renewed by now, see whether "
            "the continent's cluster answers"
        )
    return passed(f"the first certificate expires at {when}")


def clock_skew(facts: CheckFacts) -> Finding | None:
    """Demand that the region's clock is the hub's, more or less."""
    if facts.vitals.servers is None:
        return None
    skew = _skew(facts.vitals.servers, facts.vitals.taken_at or facts.now)
    limit = f"{SKEW_LIMIT:.0f}s"
    if skew is None:
        return unknown("the region's answers have no date")
    if skew == 0:
        return passed(f"within {limit} of the hub's")
    way = "ahead of" if skew > 0 else "behind"
    return failed(
        f"the region's clock is more than {limit} {way} the hub's: have both follow a time server"
    )


def _skew(servers: AutopilotHealth, taken_at: float) -> int | None:
    if servers.time is None:
        return None
    ahead = servers.time - taken_at
    return 0 if abs(ahead) <= SKEW_LIMIT else 1 if ahead > 0 else -1


def _moment(text: str) -> float | None:
    try:
        return seconds_of(text)
    except ValueError:
        return None


def _is_ready(node: Node) -> bool:
    return node.status == "ready" and node.eligible


def _count(number: int) -> str:
    return "1 machine is" if number == 1 else f"{number} machines are"


_CHECKS: Final[Mapping[CheckName, tuple[Needs, Make]]] = {
    CheckName.FRONT_DOOR_REACHABLE: ("nothing", front_door_reachable),
    CheckName.MTLS_ENFORCED: ("answers", mtls_enforced),
    CheckName.NOMAD_QUORUM: ("vitals", nomad_quorum),
    CheckName.NOMAD_LEADER_STABLE: ("vitals", nomad_leader_stable),
    CheckName.NOMAD_ACL_ENABLED: ("answers", nomad_acl_enabled),
    CheckName.SNAPSHOT_RECENT: ("nothing", snapshot_recent),
    CheckName.ZONE_ONLINE: ("nothing", zone_online),
    CheckName.MACHINES_JOINED: ("answers", machines_joined),
    CheckName.DRIVER_HEALTHY: ("answers", driver_healthy),
    CheckName.LATENCY_WITHIN_BUDGET: (
        "probes",
        lambda facts: probechecks.latency_within_budget(facts.probes, facts.spec.latency),
    ),
    CheckName.REGISTRY_PULL: ("probes", lambda facts: probechecks.registry_pull(facts.probes)),
    CheckName.SMOKE_DEPLOY: ("probes", lambda facts: probechecks.smoke_deploy(facts.probes)),
    CheckName.CERTIFICATES_VALID: ("nothing", certificates_valid),
    CheckName.CLOCK_SKEW: ("vitals", clock_skew),
}
