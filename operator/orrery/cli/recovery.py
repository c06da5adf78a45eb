"""Write GlobalDeployments back from what regions run: a lost hub is rebuilt from its satellites.

Every job of ours carries, beside it, the spec it was derived from: its note. A note is written with
a register of its job and never alone, so it is as old as the last change to *that* job. A change
that left a region's job as it was is not in its note. Nothing is written anywhere.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from orrery import names
from orrery.api.base import API_VERSION
from orrery.api.globaldeployment import Placement
from orrery.cli.output import count
from orrery.planning.placement import RegionCandidate, choose
from orrery.planning.protocol import Owner, owns
from orrery.ports import JobStub, RegionNomad
from orrery.render.submission import SubmissionNote, parse_submission

_SECOND: Final = 10**9
"""In Nomad's nanoseconds."""


@dataclass(frozen=True, slots=True)
class Found:
    """One job of ours in one region, and what its note says; None when it has none."""

    region: str
    namespace: str
    name: str
    note: SubmissionNote | None
    submitted: int = 0
    """When it was last registered, by the region's clock, in nanoseconds; 0 when not known."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one region tells."""

    region: RegionCandidate
    jobs: Sequence[Found]
    others: Mapping[str, int] = field(default_factory=dict)
    """How many jobs other installations have there, by their id."""


@dataclass(slots=True)
class Recovered:
    """What the regions tell together."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    """GlobalDeployments, sorted by namespace and name."""
    remarks: list[str] = field(default_factory=list)
    """What is not as it should be, one sentence each."""


async def search(nomad: RegionNomad, region: RegionCandidate, *, install: str) -> Told:
    """Read the notes of all jobs of *install* in one region. Raises what its calls raise."""
    owned = [(stub, _install_of(stub)) for stub in (await nomad.list_jobs()).jobs if not stub.stop]
    ours = [stub for stub, owner in owned if owner == install]
    jobs = await asyncio.gather(*(_found(nomad, region.name, stub) for stub in ours))
    return Told(region, jobs, Counter(owner for _, owner in owned if owner not in ("", install)))


def recover(told: Sequence[Told]) -> Recovered:
    """Put together what all regions say.

    Of one object the newest generation is right. Generations of two objects of one name cannot be
    compared, since they begin anew with each: there the one whose job was registered last is right.
    """
    asked = [region.region for region in told]
    by_name: dict[tuple[str, str], list[Found]] = {}
    for job in (job for region in told for job in region.jobs):
        by_name.setdefault((job.namespace, job.name), []).append(job)
    result = Recovered()
    for (namespace, name), jobs in sorted(by_name.items()):
        object_ = f"{namespace}/{name}"
        result.remarks += [f"{object_}: {remark}" for remark in _mute(jobs)]
        objects = _objects(jobs)
        if not objects:
            continue
        chosen, remarks = _choose(objects)
        spec = dict(chosen.spec)
        remarks += _elsewhere(spec, {job.region for job in jobs}, asked)
        result.remarks += [f"{object_}: {remark}" for remark in remarks]
        result.manifests.append(
            {
                "apiVersion": API_VERSION,
                "kind": "GlobalDeployment",
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec,
            }
        )
    result.remarks += _others(told)
    return result


@dataclass(frozen=True, slots=True)
class _Object:
    """What regions hold of one object, the newest of it first; all have a note."""

    notes: Sequence[tuple[SubmissionNote, Found]]

    @property
    def newest(self) -> SubmissionNote:
        return self.notes[0][0]

    @property
    def regions(self) -> str:
        """The regions of its newest generation."""
        newest = self.newest.generation
        return ", ".join(job.region for note, job in self.notes if note.generation == newest)

    @property
    def submitted(self) -> int:
        """When a job of it was last registered; 0 when that is not known of each."""
        times = [job.submitted for _, job in self.notes]
        return max(times) if all(times) else 0

    def __str__(self) -> str:
        time = f"{datetime.fromtimestamp(self.submitted // _SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"
        when = f", last registered at {time}," if self.submitted else ""
        return f"generation {self.newest.generation}{when} in {self.regions}"


def _objects(jobs: Sequence[Found]) -> list[_Object]:
    """Tell the objects apart that the notes speak of: the same name may have been created anew."""
    by_uid: dict[str, list[tuple[SubmissionNote, Found]]] = {}
    for job in jobs:
        if job.note is not None:
            by_uid.setdefault(job.note.uid, []).append((job.note, job))
    return [
        _Object(sorted(notes, key=lambda n: (-n[0].generation, n[1].region)))
        for _, notes in sorted(by_uid.items())
    ]


def _choose(objects: Sequence[_Object]) -> tuple[SubmissionNote, list[str]]:
    """Choose the note that is written back, and say where there was a choice."""
    if len(objects) == 1:
        (only,) = objects
        return only.newest, list(_generations(only))
    if all(one.submitted for one in objects):
        ranked = sorted(objects, key=lambda one: -one.submitted)
        why = f"The one of {ranked[0].regions} is written, its job was registered last"
    else:
        ranked = sorted(objects, key=lambda one: -one.newest.generation)
        why = (
            f"The one of {ranked[0].regions} is written for its generation, which may be wrong:"
            " when all were registered is not known, so compare them"
        )
    told = "; ".join(map(str, ranked))
    remark = f"the regions tell of {len(objects)} objects of that name: {told}. {why}"
    return ranked[0].newest, [remark, *_generations(ranked[0])]


def _generations(told: _Object) -> Iterator[str]:
    by_generation: dict[int, list[str]] = {}
    for note, job in told.notes:
        by_generation.setdefault(note.generation, []).append(job.region)
    if len(by_generation) > 1:
        parts = [f"{number} in {', '.join(regions)}" for number, regions in by_generation.items()]
        yield f"generation {', '.join(parts)}; the newest is written"


def _mute(jobs: Sequence[Found]) -> Iterator[str]:
    for job in jobs:
        if job.note is None:
            yield f"its job in {job.region} carries no spec, that region tells nothing"


def _elsewhere(
    spec: Mapping[str, Any], running: set[str], asked: Sequence[RegionCandidate]
) -> Iterator[str]:
    """Say where what the asked regions run is not what the placement of *spec* asks for.

    Most of all that shows a placement that became smaller: the job of a region that stayed did not
    change by it, so neither did its note.
    """
    try:
        placement = Placement.model_validate(spec.get("placement") or {})
    except ValidationError:
        return  # Of another Orrery: whoever applies it will say so.
    selected = set(choose(placement, asked).selected)
    missing = sorted(selected - running)
    if missing:
        verb = "names" if placement.regions else "selects"
        which = "which were asked and run" if len(missing) > 1 else "which was asked and runs"
        yield f"its placement {verb} {_and(missing)}, {which} nothing of it"
    left_out = sorted(running - selected)
    if left_out:
        which = "which were asked and run" if len(left_out) > 1 else "which was asked and runs"
        yield f"its placement leaves out {_and(left_out)}, {which} it"


def _others(told: Sequence[Told]) -> Iterator[str]:
    for install in sorted({install for region in told for install in region.others}):
        holders = [region for region in told if install in region.others]
        jobs = count(sum(region.others[install] for region in holders), "job")
        regions = ", ".join(sorted(region.region.name for region in holders))
        yield (
            f'installation "{install}" has {jobs} in {regions}, left out here:'
            f" --install {install} recovers them"
        )


def _and(names_: Iterable[str]) -> str:
    *most, last = names_
    return f"{', '.join(most)} and {last}" if most else last


def _install_of(stub: JobStub) -> str:
    """Name the installation whose job it is, empty when it is none's."""
    install = stub.meta.get(names.META_INSTALL, "")
    namespace = names.hub_namespace(install, stub.namespace)
    if namespace is None or not owns(Owner(install, namespace, stub.id), stub.meta):
        return ""
    return install


async def _found(nomad: RegionNomad, region: str, stub: JobStub) -> Found:
    """Read the note of the current version; a stub does not tell which that is."""
    namespace, name = stub.meta[names.META_NAMESPACE], stub.meta[names.META_NAME]
    job = await nomad.read_job(stub.namespace, stub.id)
    if job is None:
        return Found(region, namespace, name, None)
    note = parse_submission(await nomad.read_submission(stub.namespace, stub.id, job.version))
    submitted = job.document.get("SubmitTime")
    return Found(region, namespace, name, note, submitted if isinstance(submitted, int) else 0)
