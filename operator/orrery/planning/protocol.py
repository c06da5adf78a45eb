"""Decide the next write to one job of one region: the write protocol of design section 5. Pure.

The only durable memory is the hub's status (what we last left there) and the region itself, so
every decision is a function of three values: what is wanted, what we remember, what is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orrery import names
from orrery.ports import Job, JobDeployment


@dataclass(frozen=True, slots=True)
class Memory:
    """What we last left in a region: the digest of the job and its JobModifyIndex there."""

    digest: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a region was last seen to hold of one job. There are very many of these."""

    index: int
    """JobModifyIndex."""
    stop: bool
    ours: bool
    """Whether it carries the stamp that its names ask for."""
    running: int
    """Running instances."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a job is: the installation, and namespace and name of the object in the hub."""

    install: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """Nomad's failed deployment of a version that was submitted with the wanted digest."""

    deployment: JobDeployment
    asked_again: bool = False
    """Whether the spec has changed since that attempt."""


@dataclass(frozen=True, slots=True)
class Register:
    """Register the wanted job if its JobModifyIndex is *expected_index*; 0: must not exist."""

    expected_index: int
    repairs: tuple[str, ...] = ()
    """What somebody else changed, for people; empty when the change is the user's own."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Register the job as it is with Stop=true if its JobModifyIndex is *expected_index*."""

    expected_index: int


@dataclass(frozen=True, slots=True)
class Purge:
    """Remove the stopped job for good."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing to write: the job is as wanted at *index*."""

    index: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing to write: the job is not there, and should not be."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A job of that name exists and is not ours: never touched."""

    owner: str
    """Whose it seems to be, for people."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """Nomad itself went back to an older version; registering again would fight it."""

    index: int
    failed_version: int
    description: str


@dataclass(frozen=True, slots=True)
class Behind:
    """The job was made from a later *generation* of the very object: who asks is behind."""

    generation: int


Step = Register | Stop | Purge | Settled | Gone | Foreign | Reverted | Behind


def needs_no_call(
    digest: str, memory: Memory, seen: Seen | None, *, finished: bool = False
) -> bool:
    """Tell from the region's list alone that the job is as we left it, and as it is wanted.

    A job that has *finished* may be gone: Nomad forgets dead batch jobs some hours later.
    """
    if seen is None:
        return finished and memory.digest == digest
    return (
        not seen.stop
        and memory.index > 0
        and memory.index == seen.index
        and memory.digest == digest
    )


def next_write(
    *,
    owner: Owner,
    digest: str,
    memory: Memory,
    job: Job | None,
    submitted_digest: str | None,
    differences: Sequence[str],
    failed: FailedAttempt | None = None,
    finished: bool = False,
) -> Step:
    """Decide how to bring a job that was just read to what is wanted.

    *submitted_digest* is the digest in the submission of the job's current version, None when
    there is none of ours; *differences* are the fields in which *job* differs from the wanted one;
    *failed* is the attempt at *digest* that Nomad went back from, if any: unless the user asked for
    something else in between, trying the same again would fight Nomad. What is remembered may be
    older than the attempt, when the operator died before it could write its memory down. A job that
    ran to its end, *finished*, is not run again because Nomad has forgotten it meanwhile.
    """
    if job is None and finished and memory.digest == digest:
        return Settled(memory.index)
    wrote_this = memory.digest == digest and memory.index > 0
    if job is None:
        return Register(expected_index=0, repairs=("the job was purged",) if wrote_this else ())
    if not owns(owner, job.meta):
        return Foreign(describe_owner(job.meta))
    unchanged = not differences and submitted_digest in (digest, None)
    if unchanged and not job.stop:
        return Settled(job.job_modify_index)
    if failed is not None and not job.stop and _stands(failed, job, digest, memory):
        attempt = failed.deployment
        return Reverted(job.job_modify_index, attempt.job_version, attempt.description)
    changed_by_others = wrote_this and memory.index != job.job_modify_index
    repairs = tuple(["Stop: false -> true"] if job.stop else differences)
    return Register(job.job_modify_index, repairs=repairs if changed_by_others else ())


def _stands(failed: FailedAttempt, job: Job, digest: str, memory: Memory) -> bool:
    """Tell whether *job* is what Nomad went back to, and nobody asked for another attempt."""
    asked_again = failed.asked_again and memory.digest not in ("", digest)
    return failed.deployment.job_version < job.version and not asked_again


def next_removal(*, owner: Owner, job: Job | None, running: int) -> Step:
    """Decide how to remove a job that was just read: stop it, wait, purge it.

    *running* is the number of its allocations that have not ended yet.
    """
    if job is None:
        return Gone()
    if not owns(owner, job.meta):
        return Gone()
    if not job.stop:
        return Stop(job.job_modify_index)
    return Settled(job.job_modify_index) if running else Purge()


def owns(owner: Owner, meta: Mapping[str, str]) -> bool:
    """Tell whether the stamp in *meta* names exactly *owner*."""
    stamp = names.job_meta(owner.install, owner.namespace, owner.name)
    return all(meta.get(key) == value for key, value in stamp.items())


def describe_owner(meta: Mapping[str, str]) -> str:
    """Say for people whose job carries *meta*."""
    install = meta.get(names.META_INSTALL)
    if not install:
        return "not managed by Orrery"
    namespace, name = meta.get(names.META_NAMESPACE, "?"), meta.get(names.META_NAME, "?")
    return f"of {namespace}/{name} in installation {install!r}"
