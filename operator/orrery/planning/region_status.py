"""Sum up what is known of a region into its status. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orrery import names
from orrery.api.conditions import ConditionType, Reason
from orrery.api.region import (
    Capacity,
    ControlPlaneStatus,
    DataCenterStatus,
    NomadStatus,
    Orphans,
    RegionPhase,
    RegionStatus,
    Tombstone,
)
from orrery.api.regionopening import CheckName, CheckStatus, OpeningStatus, RegionDisplay
from orrery.planning import conditions
from orrery.planning.teardown import Leaving
from orrery.ports import AgentFacts, Node

_ORPHANS_NAMED = 10
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """What is known of a region at one moment."""

    generation: int
    reachable: bool | None
    """None: not known yet."""
    reason: Reason | None = None
    message: str | None = None
    """Why it is not open, when it is not."""
    stalled: bool = False
    """Whether waiting will not cure it."""
    paused: bool = False
    last_seen: str | None = None
    agent: AgentFacts | None = None
    nodes: Sequence[Node] = ()
    orphans: Sequence[str] = ()
    tombstones: Sequence[Tombstone] | None = None
    """None: not known yet, what was told stands."""
    held_stops: int = 0
    """Jobs that are not stopped because they are too many."""
    control_plane: ControlPlaneStatus | None = None
    """How far the control plane of a Managed region is; None: not known yet, or not Managed."""
    provisioning: bool = False
    """Whether its control plane cannot be used yet."""
    leaving: Leaving | None = None
    """Why it is still there, when it is being deleted."""
    build_reason: Reason | None = None
    build_message: str = ""
    """Why the control plane of a region that is open is not as it should be."""
    checks: Sequence[CheckStatus] | None = None
    """None: not known yet, what was told stands."""
    tally: str = ""
    """Checks that pass, of those that are made."""
    opening: OpeningStatus | None = None
    """How far its opening is; None when it needs none."""
    waits_for: str = ""
    """What the next step of the opening waits for."""
    cordoned: bool = False

    @property
    def is_opening(self) -> bool:
        """Whether it is not open to everyone yet."""
        return self.opening is not None and not self.opening.opened


USABLE: Final[frozenset[RegionPhase]] = frozenset({"Checking", "Opening", "Open", "Cordoned"})
"""Phases of a region that answers."""


def summarize_region(facts: RegionFacts, *, before: RegionStatus, now: str) -> RegionStatus:
    """Sum up *facts*; what an unreachable region said last is kept, with the time it said it."""
    verdicts = _verdicts(facts)
    dark = facts.reachable is False and facts.reason is Reason.REGION_UNREACHABLE
    known = facts.reachable is True
    data_centers = _data_centers(facts.nodes) if known else before.data_centers
    return RegionStatus(
        observed_generation=facts.generation,
        conditions=conditions.settle(
            verdicts, before=before.conditions, generation=facts.generation, now=now
        ),
        phase=_phase(facts),
        display=_display(
            verdicts, data_centers, facts.tally or (before.display.checks if before.display else "")
        ),
        checks=list(before.checks if facts.checks is None else facts.checks),
        opening=facts.opening if facts.checks is not None else before.opening,
        last_seen_time=(before.last_seen_time or facts.last_seen) if dark else None,
        control_plane=facts.control_plane or before.control_plane,
        nomad=_nomad(facts.agent) or before.nomad,
        data_centers=data_centers,
        capacity=_capacity(facts.nodes) if known else before.capacity,
        orphans=_orphans(facts.orphans) if known else before.orphans,
        tombstones=before.tombstones
        if facts.tombstones is None
        else sorted(facts.tombstones, key=lambda t: (t.namespace, t.name, t.uid)),
    )


def _phase(facts: RegionFacts) -> RegionPhase:
    if facts.leaving is not None and facts.leaving.phase == "TearingDown":
        return "TearingDown"
    if facts.reachable is True and facts.reason is None:
        return _phase_of_usable(facts)
    if facts.reachable is False and facts.reason is Reason.REGION_UNREACHABLE:
        return "Unreachable"
    return "Provisioning" if facts.provisioning else "Pending"


def _phase_of_usable(facts: RegionFacts) -> RegionPhase:
    if facts.leaving is not None:
        return facts.leaving.phase
    if facts.cordoned:
        return "Cordoned"
    if not facts.is_opening:
        return "Open"
    return "Opening" if facts.opening and facts.opening.stage else "Checking"


def _verdicts(facts: RegionFacts) -> list[conditions.Verdict]:
    if facts.reason is not None and facts.message is not None:
        dark = facts.reason is Reason.REGION_UNREACHABLE
        verdicts = [conditions.ready("Unknown" if dark else "False", facts.reason, facts.message)]
        if dark and facts.leaving is not None:
            return [*verdicts, _leaving(facts.leaving)]
        kind = ConditionType.STALLED if facts.stalled else ConditionType.RECONCILING
        return [*verdicts, conditions.abnormal(kind, facts.reason, facts.message)]
    if facts.reachable is not True:
        message = "waiting for the first answer of the region's Nomad"
        return [
            conditions.ready("Unknown", Reason.PROGRESSING, message),
            conditions.abnormal(ConditionType.RECONCILING, Reason.PROGRESSING, message),
        ]
    ready_or_not, *moves = _opening(facts)
    if facts.build_reason is Reason.UPDATING_SERVERS:
        moves.append(
            conditions.abnormal(
                ConditionType.RECONCILING, Reason.UPDATING_SERVERS, facts.build_message
            )
        )
    if facts.paused:
        message = "spec.paused is true: nothing is written to the region"
        moves.insert(0, conditions.abnormal(ConditionType.RECONCILING, Reason.PAUSED, message))
    if facts.leaving is not None:
        moves.insert(0, _leaving(facts.leaving))
    verdicts = [ready_or_not, *moves[:1]]
    if (amiss := _impairment(facts)) is not None:
        verdicts.append(conditions.abnormal(ConditionType.DEGRADED, *amiss))
    return verdicts


_OF_THE_SERVERS: Final = frozenset({CheckName.NOMAD_QUORUM, CheckName.NOMAD_LEADER_STABLE})
"""Checks that may fail while servers start anew one by one: that is told as the update."""


def _impairment(facts: RegionFacts) -> tuple[Reason, str] | None:
    """Say what is amiss in a region that answers: the worst of it; None: nothing."""
    if facts.held_stops:
        return Reason.STOPS_HELD, (
            f"{facts.held_stops} jobs are to be stopped at once and are left running: if that is "
            f"meant, allow it with the annotation {names.ANNOTATION_ALLOW_STOPS}"
        )
    updating = facts.build_reason is Reason.UPDATING_SERVERS
    if facts.build_reason is not None and not updating:
        return facts.build_reason, f"control plane: {facts.build_message}"
    if facts.is_opening:  # What is missing is why it is not open.
        return None
    if not any(map(_usable, facts.nodes)):
        return Reason.NO_MACHINES, (
            f"none of {len(facts.nodes)} machines is ready, nothing can be placed"
        )
    failing = [
        f"{check.name}: {check.message}"
        for check in facts.checks or ()
        if check.status == "Fail" and not (updating and check.name in _OF_THE_SERVERS)
    ]
    return (Reason.CHECKS_FAILING, "; ".join(failing)) if failing else None


def _leaving(leaving: Leaving) -> conditions.Verdict:
    return conditions.abnormal(ConditionType.RECONCILING, leaving.reason, leaving.message)


def _opening(facts: RegionFacts) -> list[conditions.Verdict]:
    """Say who may come to a region that answers."""
    if facts.cordoned:
        message = "cordoned: what runs here is carried on, nothing new comes"
        return [conditions.ready("True", Reason.CORDONED, message)]
    if not facts.is_opening:
        return [conditions.ready("True", Reason.SUCCEEDED, "the region's Nomad answers")]
    stage = facts.opening.stage if facts.opening else None
    reason = Reason.OPENING if stage else Reason.CHECKING
    message = f"waits for {facts.waits_for}"
    if stage:
        message = f"open as far as stage {stage}; what comes next {message}"
    return [
        conditions.ready("False", reason, message),
        conditions.abnormal(ConditionType.RECONCILING, reason, message),
    ]


def _display(
    verdicts: Sequence[conditions.Verdict], data_centers: Sequence[DataCenterStatus], checks: str
) -> RegionDisplay:
    """Say in one line what is wrong, else what moves, else the good news."""
    by_type = {verdict.type: verdict.message for verdict in verdicts}
    worst_first = (ConditionType.STALLED, ConditionType.DEGRADED, ConditionType.RECONCILING)
    message = next((by_type[kind] for kind in worst_first if kind in by_type), verdicts[0].message)
    ready = sum(each.ready for each in data_centers)
    return RegionDisplay(
        checks=checks,
        machines=f"{ready}/{sum(each.machines for each in data_centers)}",
        status=message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…",
    )


def _nomad(agent: AgentFacts | None) -> NomadStatus | None:
    return None if agent is None else NomadStatus(version=agent.version, region=agent.region)


def _data_centers(nodes: Sequence[Node]) -> list[DataCenterStatus]:
    names = sorted({node.datacenter for node in nodes})
    return [
        DataCenterStatus(
            name=name,
            machines=sum(node.datacenter == name for node in nodes),
            ready=sum(node.datacenter == name and _usable(node) for node in nodes),
        )
        for name in names
    ]


def _capacity(nodes: Sequence[Node]) -> Capacity:
    return Capacity(
        cpuMHz=sum(node.cpu_mhz for node in nodes if _usable(node)),
        memoryMB=sum(node.memory_mb for node in nodes if _usable(node)),
    )


def _usable(node: Node) -> bool:
    return node.status == "ready" and node.eligible


def _orphans(names: Sequence[str]) -> Orphans | None:
    if not names:
        return None
    return Orphans(count=len(names), names=sorted(names)[:_ORPHANS_NAMED])
