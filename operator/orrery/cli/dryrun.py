"""Ask regions what a deployment would change there; write nothing anywhere.

Each region decides by the same write protocol as the operator does, and its Nomad is asked only
where that says "register". All regions are asked at once: one that hangs delays no other.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orrery.cli.changes import NONE, Change, changes_of
from orrery.cli.instances import at_a_time, count_instances
from orrery.errors import OrreryError, Refused
from orrery.planning import protocol
from orrery.planning.protocol import Memory, Owner
from orrery.planning.room import describe_failure
from orrery.ports import Document, Job, PlacementFailure, PlanResult, RegionNomad
from orrery.reconcile.decision import decide


class Action(StrEnum):
    """What applying would do in a region."""

    CREATE = "create"
    UPDATE = "update"
    STOP = "stop"
    LATER = "later"
    """Something, when it answers: the region cannot be asked, and was last left otherwise."""
    NOT_ASKED = "not-asked"
    """Something, but whether and when is open: we cannot ask the region, it was left otherwise."""
    NOTHING = "nothing"
    BLOCKED = "blocked"
    """Nothing, though something is wanted: another's job, a refusal, a missing driver."""
    UNREACHABLE = "unreachable"
    """Not known: the region cannot be asked, and was last left as it should be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying would do in one region; regions with equal outcomes are one group."""

    action: Action
    changes: tuple[Change, ...] = ()
    instances: tuple[tuple[str, int], ...] = ()
    """By kind of update, such as ``place`` or ``destructive``; without those left as they are."""
    at_a_time: int = 0
    """How many of those that are replaced change at a time; 0 when all may."""
    no_room: tuple[str, ...] = ()
    """Why instances find no place, one sentence per task group."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a region should run. Without a *document*: nothing any more."""

    owner: Owner
    namespace: str
    document: Document | None = None
    digest: str = ""
    memory: Memory = field(default_factory=Memory)
    """What the hub's status says was last left there."""
    generation: int = 0
    """That of the spec; 0 for a spec that the hub does not have yet."""


async def ask_regions(
    clients: Mapping[str, RegionNomad], wanted: Mapping[str, Wanted]
) -> dict[str, Outcome]:
    """Ask every region in *wanted* that has a client, all at once."""
    regions = sorted(clients.keys() & wanted.keys())
    outcomes = await asyncio.gather(*(ask_region(clients[r], wanted[r]) for r in regions))
    return dict(zip(regions, outcomes, strict=True))


async def ask_region(nomad: RegionNomad, wanted: Wanted) -> Outcome:
    """Ask one region; what goes wrong is part of the outcome."""
    try:
        return await _ask(nomad, wanted)
    except Refused as error:
        return Outcome(Action.BLOCKED, notes=(error.message,))
    except OrreryError as error:
        # No write is sent, so whatever else came instead of an answer means the same.
        return not_asked(wanted, error.message)


def not_asked(wanted: Wanted, why: str) -> Outcome:
    """Judge a region that cannot be asked by what was last left there; *why* it cannot."""
    differs = wanted.memory.digest != wanted.digest
    match (wanted.document is not None, differs):
        case (True, True):
            action, note = Action.LATER, "will be brought to this spec when it answers"
        case (True, False):
            action, note = Action.UNREACHABLE, "this spec was the last that it was asked to run"
        case (False, True):
            action, note = Action.LATER, "its job will be stopped when it answers"
        case _:
            action, note = Action.UNREACHABLE, "whether a job of ours is there is not known"
    return Outcome(action, notes=(note, why))


def not_allowed_to_ask(wanted: Wanted, why: str) -> Outcome:
    """Judge a region as `not_asked`, but promise nothing: *why* is not that it is silent."""
    outcome = not_asked(wanted, f"it could not be asked: {why}")
    if outcome.action is Action.UNREACHABLE:
        return outcome
    return Outcome(Action.NOT_ASKED, notes=outcome.notes[-1:])


def grouped(outcomes: Mapping[str, Outcome]) -> list[tuple[Outcome, tuple[str, ...]]]:
    """Put regions with equal outcomes together: what changes first, large groups first."""
    groups: dict[Outcome, list[str]] = {}
    for region, outcome in sorted(outcomes.items()):
        groups.setdefault(outcome, []).append(region)
    order = list(Action)
    ranked = sorted(groups.items(), key=lambda g: (order.index(g[0].action), -len(g[1]), g[1]))
    return [(outcome, tuple(regions)) for outcome, regions in ranked]


async def _ask(nomad: RegionNomad, wanted: Wanted) -> Outcome:
    if wanted.namespace not in await nomad.list_namespaces():
        return await _create_namespace_first(nomad, wanted)
    job = await nomad.read_job(wanted.namespace, wanted.owner.name)
    if wanted.document is None:
        return await _removal(nomad, wanted, job)
    step = await decide(
        nomad,
        job,
        owner=wanted.owner,
        document=wanted.document,
        digest=wanted.digest,
        generation=wanted.generation,
        memory=wanted.memory,
    )
    match step:
        case protocol.Settled():
            return Outcome(Action.NOTHING)
        case protocol.Foreign(owner):
            note = f'a job "{wanted.owner.name}" is there and is {owner}; it is left alone'
            return Outcome(Action.BLOCKED, notes=(note,))
        case protocol.Reverted(_, version, description):
            note = (
                f"version {version} was this very content and failed, and Nomad went back:"
                f" {description}; it is not tried again"
            )
            return Outcome(Action.BLOCKED, notes=(note,))
    plan = await nomad.plan_job(wanted.document)
    action = Action.CREATE if job is None else Action.UPDATE
    return _outcome(action, plan, wanted.document)


async def _removal(nomad: RegionNomad, wanted: Wanted, job: Job | None) -> Outcome:
    if job is None or job.stop or not protocol.owns(wanted.owner, job.meta):
        return Outcome(Action.NOTHING)
    stopped = {**job.document, "Stop": True}
    plan = await nomad.plan_job(stopped)
    return Outcome(Action.STOP, instances=count_instances(plan, stopped))


async def _create_namespace_first(nomad: RegionNomad, wanted: Wanted) -> Outcome:
    """Judge a tenant's first job: its namespace comes with the job, and no plan works without.

    Room is the same in all namespaces, so the question is asked in ``default``, under a name that
    no job has.
    """
    if wanted.document is None:
        return Outcome(Action.NOTHING)
    name = f"orrery-plan-{wanted.digest}"
    stand_in = {**wanted.document, "Namespace": "default", "ID": name, "Name": name}
    try:
        return _outcome(Action.CREATE, await nomad.plan_job(stand_in), stand_in)
    except Refused as error:
        note = f"whether there is room is not known: {error.message}"
        return Outcome(Action.CREATE, notes=(note,))


def _outcome(action: Action, plan: PlanResult, job: Document) -> Outcome:
    if plan.diff.get("Type") == NONE:
        return Outcome(Action.NOTHING, no_room=_no_room(plan.failures))
    instances = count_instances(plan, job)
    return Outcome(
        action,
        changes=() if action is Action.CREATE else changes_of(plan.diff),
        instances=instances,
        at_a_time=at_a_time(dict(instances), job),
        no_room=_no_room(plan.failures),
    )


def _no_room(failures: Mapping[str, PlacementFailure]) -> tuple[str, ...]:
    return tuple(describe_failure(failure) for _, failure in sorted(failures.items()))
