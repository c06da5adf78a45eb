"""Write GlobalDeployments back from what regions run: a lost hub is rebuilt from its satellites.

Every job of ours carries, beside it, the spec it was derived from. Nothing is written anywhere.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orrery import names
from orrery.api.base import API_VERSION
from orrery.planning.protocol import Owner, owns
from orrery.ports import JobStub, RegionNomad
from orrery.render.submission import SubmissionNote, parse_submission


@dataclass(frozen=True, slots=True)
class Found:
    """One job of ours in one region, and what its note says; None when it has none."""

    region: str
    namespace: str
    name: str
    note: SubmissionNote | None


@dataclass(slots=True)
class Recovered:
    """What the regions tell together."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    """GlobalDeployments, sorted by namespace and name."""
    remarks: list[str] = field(default_factory=list)
    """What is not as it should be, one sentence each."""


async def search(nomad: RegionNomad, region: str, *, install: str) -> list[Found]:
    """Read the notes of all jobs of *install* in one region. Raises what its calls raise."""
    stubs = [stub for stub in (await nomad.list_jobs()).jobs if _is_ours(stub, install)]
    notes = await asyncio.gather(*(_note(nomad, stub) for stub in stubs))
    return [
        Found(region, stub.meta[names.META_NAMESPACE], stub.meta[names.META_NAME], note)
        for stub, note in zip(stubs, notes, strict=True)
    ]


def recover(found: Sequence[Found]) -> Recovered:
    """Put together what all regions say; where they differ, the newest generation is right."""
    told: dict[tuple[str, str], list[Found]] = {}
    for job in found:
        told.setdefault((job.namespace, job.name), []).append(job)
    result = Recovered()
    for (namespace, name), jobs in sorted(told.items()):
        result.remarks += _remarks(f"{namespace}/{name}", jobs)
        newest = max((j.note for j in jobs if j.note), key=lambda n: n.generation, default=None)
        if newest is not None:
            result.manifests.append(
                {
                    "apiVersion": API_VERSION,
                    "kind": "GlobalDeployment",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": dict(newest.spec),
                }
            )
    return result


def _remarks(object_: str, jobs: Sequence[Found]) -> Iterator[str]:
    for job in jobs:
        if job.note is None:
            yield f"{object_}: its job in {job.region} carries no spec, that region tells nothing"
    told: Mapping[int, list[str]] = _by_generation(jobs)
    if len(told) > 1:
        parts = [f"{generation} in {', '.join(regions)}" for generation, regions in told.items()]
        yield f"{object_}: generation {', '.join(parts)}; the newest is written"


def _by_generation(jobs: Sequence[Found]) -> dict[int, list[str]]:
    told: dict[int, list[str]] = {}
    for job in jobs:
        if job.note is not None:
            told.setdefault(job.note.generation, []).append(job.region)
    return {generation: sorted(told[generation]) for generation in sorted(told, reverse=True)}


def _is_ours(stub: JobStub, install: str) -> bool:
    hub_namespace = names.hub_namespace(install, stub.namespace)
    return (
        not stub.stop
        and hub_namespace is not None
        and owns(Owner(install, hub_namespace, stub.id), stub.meta)
    )


async def _note(nomad: RegionNomad, stub: JobStub) -> SubmissionNote | None:
    """Read the note of the current version; a stub does not tell which that is."""
    job = await nomad.read_job(stub.namespace, stub.id)
    if job is None:
        return None
    return parse_submission(await nomad.read_submission(stub.namespace, stub.id, job.version))
