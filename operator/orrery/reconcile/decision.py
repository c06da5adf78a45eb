"""Gather from a region what the write protocol decides on: asked by the operator, and by a plan."""

import asyncio
from collections.abc import Sequence

from orrery.planning import protocol
from orrery.planning.drift import differences
from orrery.planning.protocol import FailedAttempt, Memory, Owner, Step
from orrery.ports import Document, Job, RegionNomad
from orrery.render.submission import SubmissionNote, parse_submission


async def decide(
    nomad: RegionNomad,
    job: Job | None,
    *,
    owner: Owner,
    document: Document,
    digest: str,
    generation: int,
    memory: Memory,
    uid: str = "",
    finished: bool = False,
    asked_again: bool = False,
) -> Step:
    """Decide the next write to *job*, which was just read and may be absent.

    *document* is the wanted job, *digest* its digest, *generation* that of the spec it came from,
    *uid* the identity of that object: a job that a later generation of it made is not gone back on.
    It was *finished* when it ran to its end before; *asked_again* gives what failed another try.
    """
    submitted: str | None = None
    found: Sequence[str] = ()
    failed: FailedAttempt | None = None
    if job is not None and protocol.owns(owner, job.meta):
        found = differences(document, job.document)
        may_stand = not asked_again and not job.stop
        if found and may_stand:
            note, failed = await asyncio.gather(
                _note(nomad, job, job.version), _failed_attempt(nomad, job, digest, generation)
            )
        else:
            note = await _note(nomad, job, job.version)
        submitted = note.digest if note else None
        if uid and note and note.uid == uid and note.generation > generation:
            return protocol.Behind(note.generation)
        if not found and may_stand and submitted != digest:
            failed = await _failed_attempt(nomad, job, digest, generation)
    return protocol.next_write(
        owner=owner,
        digest=digest,
        memory=memory,
        job=job,
        submitted_digest=submitted,
        differences=found,
        failed=failed,
        finished=finished,
    )


async def _failed_attempt(
    nomad: RegionNomad, job: Job, digest: str, generation: int
) -> FailedAttempt | None:
    """Find the failed deployment of a version that was submitted with *digest*, if any."""
    for deployment in await nomad.list_deployments(job.namespace, job.id):
        if deployment.status == "failed" and deployment.job_version < job.version:
            note = await _note(nomad, job, deployment.job_version)
            if note is None or note.digest != digest:
                return None
            return FailedAttempt(deployment, asked_again=note.generation != generation)
    return None


async def _note(nomad: RegionNomad, job: Job, version: int) -> SubmissionNote | None:
    return parse_submission(await nomad.read_submission(job.namespace, job.id, version))
