"""Decide whose a job is whose GlobalDeployment was deleted while the region was away. Pure."""

from collections.abc import Iterable

from orrery.api.region import Tombstone


def names_job(tombstones: Iterable[Tombstone], *, uid: str, digest: str, index: int) -> bool:
    """Tell whether one of *tombstones* is that of the very object that left this job.

    *uid* and *digest* are those in the job's submission, empty when it has none; *index* is its
    JobModifyIndex. An adopted job has a submission of an earlier object, so any one is enough.
    """
    return any(
        (uid and uid == t.uid) or (digest and digest == t.revision) or (index and index == t.index)
        for t in tombstones
    )
