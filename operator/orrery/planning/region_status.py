"""Sum up what is known of a region into its status. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from orrery.planning import conditions
from orrery.planning.teardown import Leaving
from orrery.ports import AgentFacts, Node

_ORPHANS_NAMED = 10


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


def summarize_region(facts: RegionFacts, *, before: RegionStatus, now: str) -> RegionStatus:
    """Sum up *facts*; what an unreachable region said last is kept, with the time it said it."""
    verdicts = _verdicts(facts)
    dark = facts.reachable is False and facts.reason is Reason.REGION_UNREACHABLE
    known = facts.reachable is True
    return RegionStatus(
        observed_generation=facts.generation,
        conditions=conditions.settle(
            verdicts, before=before.conditions, generation=facts.generation, now=now
        ),
        phase=_phase(facts),
        last_seen_time=(before.last_seen_time or facts.last_seen) if dark else None,
        control_plane=facts.control_plane or before.control_plane,
        nomad=_nomad(facts.agent) or before.nomad,
        data_centers=_data_centers(facts.nodes) if known else before.data_centers,
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
        return "Open" if facts.leaving is None else facts.leaving.phase
    if facts.reachable is False and facts.reason is Reason.REGION_UNREACHABLE:
        return "Unreachable"
    return "Provisioning" if facts.provisioning else "Pending"


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
    verdicts = [conditions.ready("True", Reason.SUCCEEDED, "the region's Nomad answers")]
    if facts.leaving is not None:
        verdicts.append(_leaving(facts.leaving))
    elif facts.paused:
        message = "spec.paused is true: nothing is written to the region"
        verdicts.append(conditions.abnormal(ConditionType.RECONCILING, Reason.PAUSED, message))
    updating = facts.build_reason is Reason.UPDATING_SERVERS
    if updating and not facts.paused:
        verdicts.append(
            conditions.abnormal(
                ConditionType.RECONCILING, Reason.UPDATING_SERVERS, facts.build_message
            )
        )
    ready = sum(_usable(node) for node in facts.nodes)
    if facts.held_stops:
        message = (
            f"{facts.held_stops} jobs are to be stopped at once and are left running: if that is "
            f"meant, allow it with the annotation {names.ANNOTATION_ALLOW_STOPS}"
        )
        verdicts.append(conditions.abnormal(ConditionType.DEGRADED, Reason.STOPS_HELD, message))
    elif facts.build_reason is not None and not updating:
        message = f"control plane: {facts.build_message}"
        verdicts.append(conditions.abnormal(ConditionType.DEGRADED, facts.build_reason, message))
    elif not ready:
        message = f"none of {len(facts.nodes)} machines is ready, nothing can be placed"
        verdicts.append(conditions.abnormal(ConditionType.DEGRADED, Reason.NO_MACHINES, message))
    return verdicts


def _leaving(leaving: Leaving) -> conditions.Verdict:
    return conditions.abnormal(ConditionType.RECONCILING, leaving.reason, leaving.message)


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
