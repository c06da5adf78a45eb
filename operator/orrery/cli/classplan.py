"""What another RegionClass would change in its regions, and in which order: for `orrery plan`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orrery.api.regionclass import RegionClass
from orrery.api.validation import ValidationFailure, validate_region_class
from orrery.cli.classdiff import RegionChange, compare
from orrery.cli.classrecords import Found, regions_of
from orrery.cli.hub import Reader
from orrery.cli.manifests import Manifest
from orrery.cli.output import count, line
from orrery.errors import InvalidSpec
from orrery.planning.classrecord import Edition, class_of, edition_of
from orrery.planning.waves import Wave, waves_of
from orrery.ports import ClusterFactory, Document, Key, Kind
from orrery.render.region import Blueprint


@dataclass(frozen=True, slots=True)
class ClassForecast:
    """What applying one class would do."""

    name: str
    revision: str
    groups: Sequence[tuple[RegionChange, Sequence[str]]] = ()
    """Differences, each with the regions in which it is the same."""
    waves: Sequence[Wave] = ()
    problems: Sequence[str] = ()
    notes: Sequence[str] = field(default=())

    @property
    def changes(self) -> bool:
        """Whether anything would change in any region."""
        return any(not change.nothing for change, _ in self.groups)

    @property
    def fails(self) -> bool:
        """Whether something is in the way."""
        return bool(self.problems) or any(change.refused for change, _ in self.groups)


async def foresee_classes(
    reader: Reader,
    clusters: ClusterFactory,
    classes: Sequence[RegionClass],
    *,
    install: str,
    operator_namespace: str,
) -> list[ClassForecast]:
    """Foresee what each of *classes* would change; nothing is written anywhere."""
    return [
        foresee_class(
            class_,
            await _current(reader, class_.metadata.name),
            await regions_of(reader, clusters, operator_namespace, class_.metadata.name),
            install=install,
        )
        for class_ in classes
    ]


def foresee_class(
    new: RegionClass, current: RegionClass | None, found: Sequence[Found], *, install: str
) -> ClassForecast:
    """Compare what each region was given with *new*; *current* stands in where that is unknown."""
    known = [each for f in found if f.record for each in (f.record.current, f.record.previous)]
    target = edition_of(new, [edition for edition in known if edition is not None])
    if found and new.spec.nomad.image is None:
        problem = "spec.nomad.image is required by Managed regions"
        return ClassForecast(new.metadata.name, target.revision, problems=(problem,))
    notes: list[str] = []
    groups: dict[RegionChange, list[str]] = {}
    for each in found:
        name = each.region.metadata.name
        before = class_of(each.record.current, None) if each.record else current
        if each.problem:
            stands_in = "the class in the hub is taken for it" if current else "it is left out"
            notes.append(f"{name}: what it was given is not known: {each.problem}; {stands_in}")
        if before is not None and before.spec.nomad.image is not None:
            change = compare(_blueprint(each, install, new), before, class_of(target, None))
            groups.setdefault(change, []).append(name)
    labels = {each.region.metadata.name: each.region.metadata.labels for each in found}
    if not found:
        notes.append("no Managed region has this class")
    return ClassForecast(
        new.metadata.name,
        target.revision,
        groups=sorted(groups.items(), key=lambda group: (group[0].nothing, group[1])),
        waves=waves_of(new.spec.rollout, labels),
        notes=notes,
    )


def accept_classes(manifests: Sequence[Manifest]) -> list[RegionClass]:
    """Validate the RegionClasses among *manifests*; raises `InvalidSpec` with every problem."""
    accepted, problems = [], []
    for manifest in manifests:
        if not manifest.is_ours(Kind.REGION_CLASS):
            continue
        try:
            accepted.append(validate_region_class(manifest.document))
        except ValidationFailure as failure:
            problems.append(f"{manifest} is not valid:")
            problems += [f"  {problem}" for problem in failure.problems]
    if problems:
        raise InvalidSpec("InvalidSpec", "\n".join(problems))
    return accepted


def class_lines(forecasts: Sequence[ClassForecast]) -> list[Any]:
    """Lay out forecasts for people."""
    parts: list[Any] = []
    for forecast in forecasts:
        parts.append(line(f"RegionClass {forecast.name}, revision {forecast.revision}"))
        parts += [line(f"nothing is changed: {p}", indent=2) for p in forecast.problems]
        for change, regions in forecast.groups:
            parts += _group(change, regions)
        if forecast.changes:
            parts += [line(_wave(wave), indent=2) for wave in forecast.waves]
        parts += [line(f"note: {note}", indent=2) for note in forecast.notes]
    return parts


def class_json(forecasts: Sequence[ClassForecast]) -> list[Document]:
    """Return forecasts as `-o json` prints them."""
    return [
        {
            "name": forecast.name,
            "revision": forecast.revision,
            "problems": list(forecast.problems),
            "groups": [
                {
                    "regions": list(regions),
                    "changes": [
                        {"object": each.name, "lines": list(each.lines)} for each in change.objects
                    ],
                    "restarts": list(change.restarts),
                    "refused": list(change.refused),
                }
                for change, regions in forecast.groups
            ],
            "waves": [
                {
                    "name": wave.name,
                    "regions": list(wave.regions),
                    "maxConcurrent": wave.max_concurrent,
                    "soakSeconds": wave.soak,
                    "approval": wave.needs_approval,
                }
                for wave in forecast.waves
            ],
            "notes": list(forecast.notes),
        }
        for forecast in forecasts
    ]


async def _current(reader: Reader, name: str) -> RegionClass | None:
    body = await reader.read(Key(Kind.REGION_CLASS, "", name))
    if body is None:
        return None
    try:
        return _as_given(validate_region_class(body))
    except ValidationFailure:
        return None


def _as_given(class_: RegionClass) -> RegionClass:
    edition: Edition = edition_of(class_)
    return class_of(edition, class_)


def _blueprint(found: Found, install: str, class_: RegionClass) -> Blueprint:
    told = found.region.status.control_plane if found.region.status else None
    return Blueprint(
        install=install,
        region=found.region,
        class_=class_,
        continent=found.continent,
        address=told.address if told else "",
    )


def _group(change: RegionChange, regions: Sequence[str]) -> list[Any]:
    where = f"{count(len(regions), 'region')}: {', '.join(regions)}"
    if change.nothing:
        return [line(f"no change in {where}", indent=2)]
    parts = [line(f"update in {where}", indent=2)]
    for each in change.objects:
        parts += [line(each.name, indent=4), *(line(text, indent=6) for text in each.lines)]
    parts += [line(f"restart: {text}", indent=4) for text in change.restarts]
    return [*parts, *(line(f"will be refused: {text}", indent=4) for text in change.refused)]


def _wave(wave: Wave) -> str:
    approval = ", after approval" if wave.needs_approval else ""
    regions = ", ".join(wave.regions)
    soak = f"{wave.soak:g} s well before the next"
    return f"wave {wave.name}{approval}: {regions}; {wave.max_concurrent} at once, each {soak}"
