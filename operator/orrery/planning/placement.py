"""Choose the regions of a deployment.

Pure: the answer depends on the placement and on the regions there are, not on their order.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orrery.api.globaldeployment import Placement
from orrery.planning.suggest import did_you_mean, listed, nearest


@dataclass(frozen=True, slots=True)
class RegionCandidate:
    """A region that deployments may be placed in."""

    name: str
    continent: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class UnknownRegion:
    """A region that is asked for by name and is not among the candidates."""

    name: str
    suggestion: str | None


@dataclass(frozen=True, slots=True, order=True)
class UnknownContinent:
    """A continent that is asked for and has no region among the candidates."""

    name: str
    suggestion: str | None


@dataclass(frozen=True, slots=True, order=True)
class ClosedRegion:
    """A region that the placement selects and that does not take the deployment yet."""

    name: str
    because: str
    """As the end of a sentence that begins with the region."""
    named: bool = True
    """Whether the placement asks for it by name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The regions selected, and what was asked for in vain; each sorted by name."""

    selected: tuple[str, ...]
    unknown: tuple[UnknownRegion, ...] = ()
    unknown_continents: tuple[UnknownContinent, ...] = ()
    closed: tuple[ClosedRegion, ...] = ()
    known: tuple[str, ...] = field(default=(), compare=False)
    """All regions that could be named."""
    known_continents: tuple[str, ...] = field(default=(), compare=False)


def choose(placement: Placement, regions: Iterable[RegionCandidate]) -> Choice:
    """Choose among *regions* those that *placement* names, or else selects.

    Exclusions always hold. An unknown name costs nothing but itself: the known regions go on.
    """
    candidates = {region.name: region for region in regions}
    excluded = frozenset(placement.exclude_regions)
    named = frozenset(placement.regions) - excluded
    continents = {region.continent for region in candidates.values()}
    selected = (
        named & candidates.keys()
        if placement.regions
        else {name for name, region in candidates.items() if _selects(placement, region)} - excluded
    )
    return Choice(
        selected=tuple(sorted(selected)),
        unknown=tuple(
            UnknownRegion(name, nearest(name, candidates))
            for name in sorted(named - candidates.keys())
        ),
        unknown_continents=tuple(
            UnknownContinent(name, nearest(name, continents))
            for name in sorted(set(placement.continents) - continents)
        ),
        known=tuple(sorted(candidates)),
        known_continents=tuple(sorted(continents)),
    )


def describe_unknown(choice: Choice) -> tuple[str, ...]:
    """Say for users what *choice* was asked for in vain: the field, the value, what there is."""
    return (
        *_describe("regions", 'region "{}" is not available', choice.unknown, choice.known),
        *_describe(
            "continents",
            'no region is in continent "{}"',
            choice.unknown_continents,
            choice.known_continents,
        ),
        *_closed(each for each in choice.closed if each.named or not choice.selected),
    )


def _closed(closed: Iterable[ClosedRegion]) -> Iterator[str]:
    for each in closed:
        yield f'region "{each.name}" {each.because}; it comes there by itself when that changes'


def describe_nothing(placement: Placement, regions: Iterable[RegionCandidate]) -> str:
    """Say for users why *placement*, which asks for nothing unknown, selects none of *regions*."""
    candidates = list(regions)
    if not candidates:
        return "spec.placement: there is no region yet, create a Region"
    if choose(placement.model_copy(update={"exclude_regions": []}), candidates).selected:
        excluded = ", ".join(sorted(placement.exclude_regions))
        return f"spec.placement.excludeRegions: {excluded} is all that would be selected"
    selector = placement.region_selector
    there_are = listed(f"{k}={v}" for c in candidates for k, v in c.labels.items())
    wanted = f'"{selector.describe()}" matches no region' if selector else "matches no region"
    within = f" in continents {', '.join(placement.continents)}" if placement.continents else ""
    return f"spec.placement.regionSelector: {wanted}{within}; labels of regions: {there_are}"


def _describe(
    field: str,
    sentence: str,
    unknown: Sequence[UnknownRegion | UnknownContinent],
    known: Sequence[str],
) -> Iterator[str]:
    for each in unknown:
        hint = did_you_mean(each.suggestion) or f"; there are: {listed(known)}"
        yield f"spec.placement.{field}: {sentence.format(each.name)}{hint}"


def _selects(placement: Placement, region: RegionCandidate) -> bool:
    selector = placement.region_selector
    if selector is not None and not selector.matches(dict(region.labels)):
        return False
    return not placement.continents or region.continent in placement.continents
