"""Checks: what is known of a region becomes a word and a sentence that says what to do."""

from dataclasses import replace
from typing import Any

import pytest

from orrery.api.region import RegionSpec
from orrery.api.regionclass import DOCKER
from orrery.api.regionopening import CheckName, CheckStatus
from orrery.planning.checkfacts import CheckFacts, Snapshots, Vitals, Zone
from orrery.planning.checks import Check, gaps, judge, settle, tally
from orrery.planning.probes import MachineProbe
from orrery.ports import AgentFacts, AutopilotHealth, Node, ServerHealth

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


def server(number: int = 1, **changes: Any) -> ServerHealth:
    well = ServerHealth(
        name=f"server-{number}",
        leader=number == 1,
        voter=True,
        healthy=True,
        stable_since="2025-12-31T00:00:00Z",
    )
    return replace(well, **changes)


def servers(*each: ServerHealth, time: float | None = NOW) -> Vitals:
    health = AutopilotHealth(healthy=True, failure_tolerance=1, servers=each, time=time)
    return Vitals(taken_at=NOW, servers=health, admits_strangers=False, knocked_at=NOW)


def node(name: str = "n1", **changes: Any) -> Node:
    well = Node(
        id=name,
        name=name,
        datacenter="fra1",
        status="ready",
        eligible=True,
        drivers=frozenset({"docker"}),
        cpu_mhz=1000,
        memory_mb=1000,
    )
    return replace(well, **changes)


def probe(node: str = "n1", **changes: Any) -> MachineProbe:
    well = MachineProbe(node, "fra1", "Passed", pulled=True, latencies=(0.01, 0.02, 0.03))
    return replace(well, **changes)


def spec(**fields: Any) -> RegionSpec:
    return RegionSpec.model_validate({"continent": "eu", "class": "standard", **fields})


WELL = CheckFacts(
    now=NOW,
    spec=spec(),
    reachable=True,
    address="https://203.0.113.10:4646",
    agent=AgentFacts("2.0.6", "fra", acl_enabled=True),
    vitals=servers(server(1), server(2), server(3)),
    nodes=(node(),),
    drivers=(DOCKER,),
    servers_wanted=3,
    expires=NOW + 30 * 86_400,
    certificate_lifetime=30 * 86_400,
    snapshots=Snapshots(3600, since=NOW - 86400, latest=NOW - 60),
    zone=Zone(online=True),
    probes=(probe(),),
    probed_at=NOW,
)


def check(name: str, **changes: Any) -> tuple[str, str]:
    found = {check.name: check for check in judge(replace(WELL, **changes), before={})}
    return found[CheckName(name)].status, found[CheckName(name)].message


def test_a_region_that_is_well_passes_every_check() -> None:
    found = judge(WELL, before={})

    assert [check.name for check in found] == list(CheckName)
    assert {check.status for check in found} == {"Pass"}
    assert tally(found) == "14/14"
    assert not gaps(found)


@pytest.mark.parametrize(
    ("name", "changes", "status", "words"),
    [
        pytest.param(
            "FrontDoorReachable",
            {"reachable": False, "problem": "https://fra: no answer in time"},
            "Fail",
            "https://fra: no answer in time: look at the front door",
            id="front-door",
        ),
        pytest.param(
            "MTLSEnforced",
            {"vitals": replace(servers(server()), admits_strangers=True)},
            "Fail",
            "answers a caller without a client certificate: set tls.verify_https_client",
            id="stranger-admitted",
        ),
        pytest.param(
            "MTLSEnforced",
            {"vitals": replace(servers(server()), admits_strangers=None)},
            "Skipped",
            "no client certificate",
            id="nobody-is-asked-for-a-certificate",
        ),
        pytest.param(
            "MTLSEnforced",
            {"vitals": replace(servers(server()), knocked_at=None, knock_problem="no answer")},
            "Unknown",
            "no answer",
            id="no-verdict-on-strangers",
        ),
        pytest.param(
            "MTLSEnforced",
            {"vitals": replace(servers(server()), knocked_at=NOW - 3600)},
            "Unknown",
            "too long ago",
            id="old-verdict-on-strangers",
        ),
        pytest.param(
            "NomadQuorum",
            {"vitals": servers(server(1), server(2, healthy=False), server(3))},
            "Fail",
            "not healthy: server-2, look at",
            id="server-unwell",
        ),
        pytest.param(
            "NomadQuorum",
            {"vitals": servers(server(1), server(2, voter=False), server(3))},
            "Fail",
            "no voters yet: server-2",
            id="no-voter",
        ),
        pytest.param(
            "NomadQuorum",
            {"vitals": servers(server(1), server(2))},
            "Fail",
            "2 of 3 Nomad servers vote",
            id="too-few-servers",
        ),
        pytest.param(
            "NomadQuorum",
            {"vitals": Vitals(problem="Nomad does not let this token judge its servers")},
            "Unknown",
            "needs operator:read",
            id="no-right-to-see-servers",
        ),
        pytest.param(
            "NomadQuorum",
            {"now": NOW + 301},
            "Unknown",
            "was last told more than 5m ago",
            id="old-vitals",
        ),
        pytest.param(
            "NomadLeaderStable",
            {"vitals": servers(server(1, stable_since="2025-12-31T23:59:50Z"))},
            "Fail",
            "server-1 has led for less than 30s",
            id="young-leader",
        ),
        pytest.param(
            "NomadLeaderStable",
            {"vitals": servers(server(2))},
            "Fail",
            "there is no leader",
            id="no-leader",
        ),
        pytest.param(
            "NomadACLEnabled",
            {"agent": AgentFacts("2.0.6", "fra", acl_enabled=False)},
            "Fail",
            "set acl.enabled",
            id="no-acl",
        ),
        pytest.param(
            "SnapshotRecent", {"snapshots": None}, "Skipped", "no snapshots", id="no-snapshots"
        ),
        pytest.param(
            "SnapshotRecent",
            {"snapshots": Snapshots(3600, NOW - 86400, NOW - 4 * 3600)},
            "Fail",
            "3 snapshots in a row were missed: see the CronJob",
            id="old-snapshot",
        ),
        pytest.param(
            "SnapshotRecent",
            {"snapshots": Snapshots(3600, NOW - 2 * 3600)},
            "Pass",
            "the first snapshot is not due yet",
            id="first-snapshot",
        ),
        pytest.param(
            "SnapshotRecent",
            {"snapshots": Snapshots(3600, NOW - 4 * 3600)},
            "Fail",
            "3 snapshots in a row were missed: see the CronJob",
            id="never-a-snapshot",
        ),
        pytest.param("ZoneOnline", {"zone": None}, "Skipped", "a mesh yet", id="no-mesh"),
        pytest.param("ZoneOnline", {"zone": Zone(online=False)}, "Fail", "does not see", id="zone"),
        pytest.param(
            "MachinesJoined", {"nodes": ()}, "Fail", "no machine has joined", id="no-machine"
        ),
        pytest.param(
            "MachinesJoined",
            {"nodes": (node(status="down"),)},
            "Fail",
            "none of 1 machines is ready",
            id="no-machine-ready",
        ),
        pytest.param(
            "MachinesJoined",
            {"spec": spec(dataCenters=[{"name": "fra1", "minMachines": 3}, {"name": "fra2"}])},
            "Fail",
            "fra1 has 1 of 3, fra2 has 0 of 1",
            id="data-centers",
        ),
        pytest.param("DriverHealthy", {"nodes": ()}, "Unknown", "no machine", id="no-driver-yet"),
        pytest.param(
            "DriverHealthy",
            {"nodes": (node(), node("n2", datacenter="fra2", drivers=frozenset()))},
            "Fail",
            "healthy on no ready machine: docker in fra2",
            id="driver-unwell",
        ),
        pytest.param(
            "LatencyWithinBudget",
            {"probes": (probe(latencies=(0.05, 0.06)),)},
            "Pass",
            "more than 40ms from fra1, at most 70ms",
            id="above-the-target",
        ),
        pytest.param(
            "LatencyWithinBudget",
            {"probes": (probe(latencies=(0.01, 0.08, 0.09)),)},
            "Fail",
            "more than 70ms from fra1",
            id="above-the-limit",
        ),
        pytest.param("LatencyWithinBudget", {"probes": None}, "Skipped", "no probe", id="no-probe"),
        pytest.param(
            "RegistryPull",
            {"probes": (probe(pulled=False, message="denied"),)},
            "Fail",
            "cannot be had: n1: denied",
            id="no-image",
        ),
        pytest.param(
            "SmokeDeploy",
            {"probes": (probe(), probe("n2", outcome="Pending"))},
            "Unknown",
            "not run on every machine yet",
            id="probe-runs",
        ),
        pytest.param(
            "SmokeDeploy",
            {"probes": (probe(outcome="Failed", message="exit 1"),)},
            "Fail",
            "the probe fails: n1: exit 1",
            id="probe-fails",
        ),
        pytest.param(
            "SmokeDeploy", {"probed_at": NOW - 90_000}, "Unknown", "too long ago", id="old-probe"
        ),
        pytest.param(
            "CertificatesValid",
            {"expires": NOW + 86_400},
            "Fail",
            "expires at 2026-01-02T00:00:00Z and should be renewed",
            id="renewal-overdue",
        ),
        pytest.param("CertificatesValid", {"expires": NOW - 1}, "Fail", "expired at", id="expired"),
        pytest.param(
            "ClockSkew",
            {"vitals": servers(server(), time=NOW + 31)},
            "Fail",
            "more than 30s ahead of the hub's",
            id="clock-ahead",
        ),
        pytest.param(
            "ClockSkew",
            {"vitals": servers(server(), time=NOW - 31)},
            "Fail",
            "more than 30s behind the hub's",
            id="clock-behind",
        ),
    ],
)
def test_what_is_wrong_is_said(name: str, changes: dict[str, Any], status: str, words: str) -> None:
    found, message = check(name, **changes)

    assert found == status
    assert words in message


def test_of_a_region_that_does_not_answer_nothing_is_believed() -> None:
    found = judge(replace(WELL, reachable=False, problem="no answer"), before={})

    words = {check.name: check.status for check in found}
    assert words[CheckName.FRONT_DOOR_REACHABLE] == "Fail"
    assert words[CheckName.NOMAD_QUORUM] == words[CheckName.MACHINES_JOINED] == "Unknown"
    assert words[CheckName.SMOKE_DEPLOY] == "Unknown"


def test_what_was_told_stands_until_something_is_known() -> None:
    told = settle(judge(WELL, before={}), before={}, now="2026-01-01T00:00:00Z")
    before = {check.name: check for check in told}
    starting = replace(WELL, reachable=None, vitals=Vitals(), agent=None, nodes=(), probes=None)

    found = judge(starting, before=before)

    assert settle(found, before=before, now="2026-01-01T01:00:00Z") == told


def test_a_probe_that_has_found_nothing_yet_takes_nothing_back_and_opens_nothing() -> None:
    passed = CheckStatus(name="SmokeDeploy", status="Pass", message="ran", last_transition_time="t")
    never = CheckStatus(name="SmokeDeploy", status="Skipped", last_transition_time="t")
    starting = replace(WELL, probes=(), probed_at=None)

    def smoke(told: CheckStatus) -> str:
        found = judge(starting, before={told.name: told})
        return next(check.status for check in found if check.name is CheckName.SMOKE_DEPLOY)

    assert smoke(passed) == "Pass"
    assert smoke(never) == "Unknown"


def test_before_anything_is_known_it_is_unknown() -> None:
    found = judge(replace(WELL, reachable=None, problem="no address yet"), before={})

    assert {check.status for check in found} <= {"Unknown", "Pass"}
    assert "Unknown" in {check.status for check in found}


def test_a_disabled_check_is_skipped_and_made_anew_when_it_is_not_disabled_any_more() -> None:
    off = spec(checks={"disabled": ["ClockSkew"]})
    told = settle(judge(replace(WELL, spec=off), before={}), before={}, now="t")
    before = {check.name: check for check in told}
    assert before["ClockSkew"].status == "Skipped"

    found = judge(replace(WELL, vitals=Vitals()), before=before)

    words = {check.name: check.status for check in found}
    assert words[CheckName.CLOCK_SKEW] == "Unknown"


def test_a_verdict_that_stays_keeps_its_time() -> None:
    told = CheckStatus(name="ClockSkew", status="Pass", last_transition_time="then")

    found = settle(
        [Check(CheckName.CLOCK_SKEW, "Pass", "other words")],
        before={"ClockSkew": told},
        now="now",
    )

    assert found[0].last_transition_time == "then"
    assert found[0].message == "other words"


def test_what_fails_is_named_before_what_is_unknown() -> None:
    made = [
        Check(CheckName.NOMAD_QUORUM, "Unknown", ""),
        Check(CheckName.CLOCK_SKEW, "Fail", ""),
        Check(CheckName.ZONE_ONLINE, "Skipped", ""),
    ]

    assert [check.name for check in gaps(made)] == ["ClockSkew", "NomadQuorum"]
    assert tally(made) == "0/2"


def test_before_there_is_an_address_all_checks_wait_and_say_so() -> None:
    problem = "the load balancer fra-front-door has no address yet"
    starting = CheckFacts(now=NOW, spec=spec(), reachable=None, problem=problem)

    found = judge(starting, before={})

    words = {check.name: check.message for check in found}
    assert words[CheckName.FRONT_DOOR_REACHABLE] == problem
    assert words[CheckName.NOMAD_QUORUM] == "the region has no address yet"
    assert not [check for check in found if check.status == "Fail"]
    assert tally(found, has_address=False) == "12 waiting"


def test_a_region_that_nobody_asked_yet_is_not_said_to_give_no_answer() -> None:
    words = check("NomadQuorum", reachable=None, problem="1 of 3 Nomad servers are ready")

    assert words == ("Unknown", "the region's Nomad was not asked yet")
