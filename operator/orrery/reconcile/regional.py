"""Bring one job of one region to what is wanted, by the write protocol, and see how it does.

Everything here runs in the region's own lane, one pass per job at a time.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from orrery import names
from orrery.api.conditions import Reason
from orrery.errors import Conflict, NotYet
from orrery.planning import protocol
from orrery.planning.drift import differences
from orrery.planning.health import ENDED, judge
from orrery.planning.protocol import Memory, Owner
from orrery.planning.rollup import RegionalState
from orrery.planning.room import describe_failure
from orrery.planning.tombstones import names_job
from orrery.ports import Allocation, Job, Key, RegionNomad, Submission
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.decision import decide
from orrery.reconcile.view import RegionView
from orrery.render.submission import parse_submission
from orrery.render.variables import merge_items

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pass:
    """One look at one job: what is known before, and what was read on the way."""

    key: Key
    region: str
    nomad: RegionNomad
    view: RegionView
    state: RegionalState
    assignment: Assignment | None
    owner: Owner
    namespace: str
    may_stop: Callable[[], bool]
    """Asked before a job is stopped: too many at once are held."""
    is_current: Callable[[int], Awaitable[bool]]
    """Asked before a job of a newer generation is overwritten: whether the hub holds this one."""
    was_held: bool = False
    """Whether the job was to be stopped before, and was one of too many."""
    had_secrets: bool = False
    """Whether the job's variable is known to hold something."""
    repaired: tuple[str, ...] = ()
    """What somebody else had changed, after it was mended."""
    corrected: bool = False
    """Whether a secret that was there got another value: what failed may work now."""
    leftovers: bool = False
    """Whether the job's variable holds items that only older versions of the job read."""
    job: Job | None = None
    registered: bool = False

    @property
    def is_first(self) -> bool:
        """Whether nothing was ever tried, listed or told of this job: there is nothing to read."""
        unknown = not self.state.digest and not self.state.index and not self.had_secrets
        untold = self.view.listed and self.view.seen(self.key) is None
        return unknown and untold and self.key not in self.view.tried


async def converge(this: Pass) -> RegionalState | None:
    """Write what the assignment asks for, if anything; else observe. None: nothing is left.

    A job that was just registered has done nothing yet: its events tell when to look.
    """
    assignment = this.assignment
    if assignment is None:
        return await observe(this)
    if assignment.document is None:
        return await remove(this)
    for phase in (ensure_namespace, read_job, write_secrets, write_job):
        await phase(this)
    told = this.registered or this.state.reason is Reason.FOREIGN_JOB
    return this.state if told else await observe(this)


async def ensure_namespace(this: Pass) -> None:
    """Create the tenant's Nomad namespace; its name is all that it needs."""
    if this.namespace in this.view.namespaces:
        return
    async with this.view.creating_namespace:
        if await _has_namespace(this):
            return
        this.view.namespaces_unsure = True
        description = f"Namespace {this.key.namespace} of Orrery installation {this.owner.install}"
        await this.nomad.create_namespace(this.namespace, description)
        this.view.namespaces.add(this.namespace)
        this.view.namespaces_unsure = False


async def read_job(this: Pass) -> None:
    """Read the job as it is: a write is never decided on a list or an event.

    But for the first one: should there be a job all the same, that write is refused, and the next
    pass reads. Secrets are written before the job, and never for somebody else's.
    """
    if this.is_first and not _assigned(this).secrets:
        return
    this.job = await this.nomad.read_job(this.namespace, this.key.name)


async def write_secrets(this: Pass) -> None:
    """Write the job's variable before the job, so that its template never waits for it.

    Items that only older versions read are dropped once the current one is healthy: an instance
    whose template loses an item fails, and Nomad may still go back to an older version.
    """
    assignment = _assigned(this)
    if not assignment.secrets and not _may_have_secrets(this):
        return
    if this.job is not None and not protocol.owns(this.owner, this.job.meta):
        return
    path = names.variable_path(this.key.name)
    variable = await this.nomad.read_variable(this.namespace, path)
    seen = dict(variable.items) if variable else {}
    stable = this.state.phase == "Healthy" and this.state.digest == assignment.digest
    alone = this.job is None or this.job.stop
    exact = dict(assignment.secrets)
    items = exact if stable or alone else merge_items(seen, exact)
    this.leftovers = items != exact
    index = variable.modify_index if variable else 0
    if not items and variable is not None:
        await this.nomad.delete_variable(this.namespace, path, expected_index=index)
    elif items != seen:
        this.corrected = any(seen.get(name, value) != value for name, value in exact.items())
        await this.nomad.write_variable(this.namespace, path, items, expected_index=index)


async def write_job(this: Pass) -> None:
    """Take the next step of the write protocol, and remember where it left the job."""
    assignment = _assigned(this)
    assert assignment.document is not None
    step = await _decide(this, assignment, uid=assignment.uid)
    if isinstance(step, protocol.Behind):
        if not await this.is_current(assignment.generation):
            raise Conflict("ObjectChanged", "the object changed after the watch told of it")
        step = await _decide(this, assignment)  # The hub itself went back: it was restored.
    match step:
        case protocol.Register(expected_index, repairs):
            await _register(this, assignment, expected_index)
            this.repaired = repairs
        case protocol.Settled(index):
            this.view.tried.discard(this.key)
            if this.job is not None:  # Else it ran to its end, and Nomad has forgotten it.
                this.state = _taken(this.state, assignment, index)
        case protocol.Foreign(owner):
            message = (
                f'a job "{this.key.name}" exists in Nomad namespace "{this.namespace}" '
                f"and is {owner}; it is left alone"
            )
            this.state = _failed(this.state, Reason.FOREIGN_JOB, message)
        case protocol.Reverted(index, version, description):
            message = (
                f"Nomad went back to the version before: version {version} failed: {description}"
            )
            state = replace(this.state, digest=assignment.digest, index=index)
            this.state = _failed(state, Reason.REVERTED, message)
        case _:
            raise AssertionError(step)


async def _decide(this: Pass, assignment: Assignment, *, uid: str = "") -> protocol.Step:
    assert assignment.document is not None
    return await decide(
        this.nomad,
        this.job,
        owner=this.owner,
        document=assignment.document,
        digest=assignment.digest,
        generation=assignment.generation,
        memory=Memory(this.state.digest, this.state.index),
        uid=uid,
        finished=this.state.finished,
        asked_again=this.corrected,
    )


async def observe(this: Pass) -> RegionalState:
    """Judge how the job does; one that somebody else changed is left to the next write.

    So is one whose last register has no known outcome: it may be that of the digest before, and its
    index is not remembered as if it were ours.
    """
    namespace, name = this.namespace, this.key.name
    job = await this.nomad.read_job(namespace, name)
    if job is None:
        this.view.note(this.key, None)
        # The index stays: it tells the next write that a job which was there has been taken away.
        gone = replace(this.state, phase="Pending", reason=None, message=None)
        return this.state if this.state.finished else gone
    if not protocol.owns(this.owner, job.meta):
        this.view.note(this.key, job)
        return this.state if _holds(this.state) else replace(this.state, phase="Pending", index=0)
    if (this.state.digest or this.state.index) and job.job_modify_index != this.state.index:
        # At once: the repair is a write, and decides on a read of its own.
        this.view.note(this.key, job, running=_last_running(this))
        return replace(this.state, phase="Updating", reason=None, message=None)
    allocations = await this.nomad.list_allocations(namespace, name)
    deployments = await this.nomad.list_deployments(namespace, name)
    this.view.note(this.key, job, running=_running(allocations))
    health = judge(
        job_type=str(job.document.get("Type", "service")),
        count=_count(job),
        version=job.version,
        allocations=allocations,
        deployments=deployments,
    )
    if _holds(this.state):
        return replace(this.state, ready=health.ready, desired=health.desired)
    message = health.message
    waiting = "" if message or _running(allocations) >= health.desired else await _no_room(this)
    ill = health.phase in {"Failed", "Degraded"} or message is not None
    return replace(
        this.state,
        phase=health.phase,
        ready=health.ready,
        desired=health.desired,
        reason=Reason.NO_ROOM if waiting else Reason.UNHEALTHY if ill else None,
        message=waiting or message,
    )


async def _no_room(this: Pass) -> str:
    """Say why instances wait for a place; empty when none does."""
    failures = await this.nomad.placement_failures(this.namespace, this.key.name)
    sentences = sorted({describe_failure(failure) for failure in failures.values()})
    return f"instances find no place: {'; '.join(sentences)}" if sentences else ""


async def remove(this: Pass) -> RegionalState | None:
    """Stop the job, wait until its instances have ended, purge it, delete its variable."""
    namespace, name = this.namespace, this.key.name
    job = await this.nomad.read_job(namespace, name)
    running = 0
    if job is not None and job.stop:
        running = _running(await this.nomad.list_allocations(namespace, name))
    this.state = replace(
        this.state, phase="Stopping", desired=0, ready=running, index=0, reason=None, message=None
    )
    match protocol.next_removal(owner=this.owner, job=job, running=running):
        case protocol.Stop(index):
            assert job is not None
            kept = await this.nomad.read_submission(namespace, name, job.version)
            if not _is_ours_to_stop(this, job, kept):
                return None
            if not this.may_stop():
                message = "more jobs than usual are to be stopped, none is until it is allowed"
                this.state = replace(this.state, reason=Reason.STOPS_HELD, message=message)
                raise NotYet(Reason.STOPS_HELD, f"{this.region}: {message}", retry_after=60)
            await this.nomad.register_job(
                {**job.document, "Stop": True},
                expected_index=index,
                submission=kept or Submission(source="{}"),
            )
        case protocol.Purge():
            await this.nomad.purge_job(namespace, name)
        case protocol.Gone():
            this.view.note(this.key, job)
            if job is None:
                await _delete_variable(this)
            return None
        case _:
            pass
    raise NotYet(Reason.DELETING, f"{this.region}: waiting for the instances to end", retry_after=1)


def _is_ours_to_stop(this: Pass, job: Job, kept: Submission | None) -> bool:
    """Tell whether the job is that of the object that was deleted, where that is in question."""
    tombstones = _assigned(this).tombstones
    if not tombstones:
        return True
    note = parse_submission(kept)
    return names_job(
        tombstones,
        uid=note.uid if note else "",
        digest=note.digest if note else "",
        index=job.job_modify_index,
    )


async def _register(this: Pass, assignment: Assignment, expected_index: int) -> None:
    """Register, then read: the index of the reply is not the job's.

    The attempt is remembered before its outcome is known, so that a version that Nomad reverts at
    once is not mistaken for one that was never tried.
    """
    assert assignment.document is not None
    this.state = replace(this.state, phase="Updating", digest=assignment.digest, index=0)
    this.view.tried.add(this.key)
    await this.nomad.register_job(
        assignment.document,
        expected_index=expected_index,
        submission=assignment.submission or Submission(source="{}"),
    )
    job = await this.nomad.read_job(this.namespace, this.key.name)
    if job is None or differences(assignment.document, job.document):
        raise Conflict("JobChanged", "the job is another one just after its register")
    this.job, this.registered = job, True
    this.view.tried.discard(this.key)
    this.state = _taken(this.state, assignment, job.job_modify_index)
    this.view.note(this.key, job, running=_last_running(this))


async def _delete_variable(this: Pass) -> None:
    path = names.variable_path(this.key.name)
    if not await _has_namespace(this):
        return
    variable = await this.nomad.read_variable(this.namespace, path)
    if variable is not None:
        await this.nomad.delete_variable(this.namespace, path, expected_index=variable.modify_index)


async def _has_namespace(this: Pass) -> bool:
    if this.view.namespaces_unsure:
        this.view.namespaces = set(await this.nomad.list_namespaces())
        this.view.namespaces_unsure = False
    return this.namespace in this.view.namespaces


def _may_have_secrets(this: Pass) -> bool:
    """Tell from the job that is there whether an older version of it reads a variable."""
    groups = this.job.document.get("TaskGroups") if this.job else None
    reads = any(t.get("Templates") for g in groups or () for t in g.get("Tasks") or ())
    return reads or this.had_secrets


def _assigned(this: Pass) -> Assignment:
    assert this.assignment is not None
    return this.assignment


def _taken(state: RegionalState, assignment: Assignment, index: int) -> RegionalState:
    """Note that the region's Nomad has the wanted job, at *index*."""
    return replace(
        state,
        phase="Updating",
        digest=assignment.digest,
        index=index,
        desired=assignment.count,
        reason=None,
        message=None,
    )


def _failed(state: RegionalState, reason: Reason, message: str) -> RegionalState:
    return replace(state, phase="Failed", reason=reason, message=message)


def _holds(state: RegionalState) -> bool:
    """Tell whether a failure stands until the spec, or the job, changes."""
    return state.reason in {Reason.REVERTED, Reason.FOREIGN_JOB}


def _last_running(this: Pass) -> int:
    seen = this.view.seen(this.key)
    return seen.running if seen else 0


def _running(allocations: Sequence[Allocation]) -> int:
    return sum(a.client_status not in ENDED for a in allocations)


def _count(job: Job) -> int:
    return sum(int(group.get("Count") or 0) for group in job.document.get("TaskGroups") or ())
