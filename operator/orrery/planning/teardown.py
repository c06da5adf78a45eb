"""Decide what of a region's control plane is deleted next, and what keeps it from that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orrery.api.conditions import Reason
from orrery.api.region import RegionPhase
from orrery.names import (
    FIELD_MANAGER,
    LABEL_INSTALL,
    LABEL_REGION,
    hub_namespace,
    system_namespace,
)
from orrery.planning.ownership import owner_of
from orrery.planning.wording import enumerated
from orrery.ports import Document, JobStub, ObjectRef

WORKLOADS: Final = frozenset({"StatefulSet", "Deployment", "Job", "CronJob"})
"""They go first: what runs ends while it is still guarded, and what it mounts is still there."""

_NAMED: Final = 3
"""As many objects as a sentence bears."""

_EVERYWHERE: Final = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "builder"),
        ("ServiceAccount", "default"),
        ("ServiceAccount", "deployer"),
    }
)
"""What Kubernetes and its distributions put into every namespace."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: delete *going*, or wait because of *blocked* or *waiting*; else it is done.

    A *blocked* step waits for somebody's act, a *waiting* one for the cluster.
    """

    going: Mapping[ObjectRef, str] = field(default_factory=dict)
    """By their names, the uids of the objects to delete."""
    blocked: str = ""
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How far a Region that is being deleted is: the phase to tell, and why it is still there."""

    phase: RegionPhase
    reason: Reason
    message: str


def next_step(
    namespace: Document | None, content: Sequence[Document], labels: Mapping[str, str], owner: str
) -> Step:
    """Choose what goes next: workloads, then what they used, then the namespace with all the rest.

    *content* is all that lies in the namespace, of the kinds that can be looked through. Nothing
    goes while the namespace is not that of the region with *labels*, built for *owner*, nor while
    somebody else's objects are in it: they would go with it.
    """
    if namespace is None:
        return Step()
    ref = ObjectRef.of(namespace)
    standing = [body for body in content if not _goes_by_itself(body)]
    blocked = _foreign_namespace(namespace, labels, owner)
    if blocked:
        return Step(blocked=blocked)
    if namespace["metadata"].get("deletionTimestamp"):
        return Step(waiting=f"{ref} is being deleted")
    blocked = _foreign_content(standing, labels)
    if blocked:
        return Step(blocked=blocked)
    workloads = [body for body in standing if body["kind"] in WORKLOADS]
    wave = workloads or standing
    return _wave(wave) if wave else Step(going={ref: str(namespace["metadata"]["uid"])})


def running(jobs: Sequence[JobStub], *, install: str) -> list[JobStub]:
    """Return those of a region's *jobs* that run, or are about to; sorted by their names.

    What *install* itself runs there, as the probe of the machines, is nobody's to be lost.
    """
    ours = system_namespace(install)
    return sorted(
        (j for j in jobs if not j.stop and j.status != "dead" and j.namespace != ours),
        key=lambda job: (job.namespace, job.id),
    )


def tell_jobs(jobs: Sequence[JobStub], *, install: str) -> str:
    """Say how many *jobs* run, which are at least one and sorted, and which is the first."""
    first = jobs[0]
    namespace = hub_namespace(install, first.namespace) or first.namespace
    run = "1 job runs" if len(jobs) == 1 else f"{len(jobs)} jobs run"
    which = f"{namespace}/{first.id}"
    return (
        f"spec.deletionPolicy is Teardown and {run} in the region, "
        f"{which if len(jobs) == 1 else f'the first is {which}'}: nothing is torn down before"
        " none does"
    )


def is_younger(namespace: Document | None, region_created: str) -> bool:
    """Tell whether a namespace was made for the Region that was created at that time, or is none.

    An older one may hold the control plane of an earlier Region of that name, with jobs in it.
    """
    if namespace is None:
        return True
    created = str(namespace["metadata"].get("creationTimestamp") or "")
    return bool(created and region_created) and created >= region_created


def _foreign_namespace(namespace: Document, labels: Mapping[str, str], owner: str) -> str:
    """Say that the namespace is not the region's; empty when it is."""
    ref, theirs = ObjectRef.of(namespace), owner_of(namespace)
    if not _is_labelled(namespace, labels) or not _is_managed(namespace):
        return (
            f"{ref} is not Orrery's, so nothing in it is deleted: when nobody needs it, delete it"
            " by hand"
        )
    if theirs and theirs != owner:
        return f"{ref} belongs to another owner, {theirs}, so nothing in it is deleted"
    return ""


def _foreign_content(content: Sequence[Document], labels: Mapping[str, str]) -> str:
    """Say what of *content* is somebody else's; empty when nothing is."""
    foreign = sorted(
        str(ObjectRef.of(body))
        for body in content
        if not (_is_labelled(body, labels) and _is_managed(body))
    )
    if not foreign:
        return ""
    listed = enumerated(foreign, _NAMED)
    return f"not Orrery's, and would go with its namespace: {listed}; move it away or delete it"


def _wave(bodies: Sequence[Document]) -> Step:
    """Delete what is not being deleted yet; wait for what is."""
    going = {
        ObjectRef.of(body): str(body["metadata"]["uid"])
        for body in bodies
        if not body["metadata"].get("deletionTimestamp")
    }
    if going:
        return Step(going=dict(sorted(going.items())))
    leaving = enumerated(sorted(str(ObjectRef.of(body)) for body in bodies), _NAMED)
    return Step(waiting=f"being deleted: {leaving}")


def _is_labelled(body: Document, labels: Mapping[str, str]) -> bool:
    theirs = body["metadata"].get("labels") or {}
    return all(theirs.get(key) == labels[key] for key in (LABEL_INSTALL, LABEL_REGION))


def _is_managed(body: Document) -> bool:
    """Tell whether we wrote the object ourselves: labels are copied easily."""
    entries = body["metadata"].get("managedFields") or ()
    return any(entry.get("manager") == FIELD_MANAGER for entry in entries)


def _goes_by_itself(body: Document) -> bool:
    """Tell whether the object goes with its owner, or is in every namespace."""
    name = body["metadata"]["name"]
    return bool(body["metadata"].get("ownerReferences")) or (body["kind"], name) in _EVERYWHERE
