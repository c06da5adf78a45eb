"""Choose the regions of a deployment.

Pure: the answer depends on the placement and on the regions there are, not on their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orrery.api.globaldeployment import Placement
from orrery.planning.suggest import did_you_mean, nearest


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


@dataclass(frozen=True, slots=True)
class Choice:
    """The regions selected, and what was asked for in vain; each sorted by name."""

    selected: tuple[str, ...]
    unknown: tuple[UnknownRegion, ...] = ()
    unknown_continents: tuple[UnknownContinent, ...] = ()


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
    )


def describe_unknown(choice: Choice) -> tuple[str, ...]:
    """Say for users what *choice* was asked for in vain, one sentence each."""
    return (
        *(
            f'region "{region.name}" is not available{did_you_mean(region.suggestion)}'
            for region in choice.unknown
        ),
        *(
            f'no region is in continent "{continent.name}"{did_you_mean(continent.suggestion)}'
            for continent in choice.unknown_continents
        ),
    )


def _selects(placement: Placement, region: RegionCandidate) -> bool:
    selector = placement.region_selector
    if selector is not None and not selector.matches(dict(region.labels)):
        return False
    return not placement.continents or region.continent in placement.continents
