"""Which regions a playground has, and where they are. Pure."""

from dataclasses import dataclass
from typing import Final

from orrery.playground.failures import PlaygroundError

CONTINENTS: Final = {
    "eu": "Europe",
    "na": "North America",
    "as": "Asia",
    "sa": "South America",
    "af": "Africa",
    "oc": "Oceania",
}
MOST_REGIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A place on Earth."""

    city: str
    country: str
    continent: str


PLACES: Final = {
    "fra": Place("Frankfurt", "DE", "eu"),
    "was": Place("Washington", "US", "na"),
    "par": Place("Paris", "FR", "eu"),
    "sfo": Place("San Francisco", "US", "na"),
    "tyo": Place("Tokyo", "JP", "as"),
    "sin": Place("Singapore", "SG", "as"),
}


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """A region that a playground will have."""

    name: str
    continent: str

    @property
    def data_center(self) -> str:
        """The name of its only data center."""
        return f"{self.name}1"

    @property
    def place(self) -> Place | None:
        """Where on Earth it is, None for the numbered ones."""
        return PLACES.get(self.name)


def plan_regions(*, continents: int, regions: int, most: int = MOST_REGIONS) -> list[RegionPlan]:
    """Name *regions* regions and put each into one of *continents* continents.

    A region goes to its own continent when that is there, else they are dealt out in turn. No
    continent stays empty: the last region of a continent that has several moves.
    """
    if not 1 <= regions <= most:
        raise PlaygroundError(
            "InvalidOption", f"--regions is {regions}: between 1 and {most} are possible"
        )
    if not 1 <= continents <= min(regions, len(CONTINENTS)):
        most = min(regions, len(CONTINENTS))
        raise PlaygroundError(
            "InvalidOption",
            f"--continents is {continents}: between 1 and {most} are possible with {regions}"
            " regions",
        )
    available = list(CONTINENTS)[:continents]
    home = {
        name: _natural_continent(name, number, available)
        for number, name in enumerate(_names(regions))
    }
    for continent in available:
        if continent not in home.values():
            crowded = [name for name, own in home.items() if _size(home, own) > 1]
            home[crowded[-1]] = continent
    return [RegionPlan(name, continent) for name, continent in home.items()]


def continents_of(plans: list[RegionPlan]) -> list[str]:
    """List the continents of *plans*, in the order of first use."""
    return list(dict.fromkeys(plan.continent for plan in plans))


def _names(count: int) -> list[str]:
    known = list(PLACES)[:count]
    return known + [f"region-{number}" for number in range(len(known) + 1, count + 1)]


def _natural_continent(name: str, number: int, available: list[str]) -> str:
    place = PLACES.get(name)
    if place and place.continent in available:
        return place.continent
    return available[number % len(available)]


def _size(home: dict[str, str], continent: str) -> int:
    return list(home.values()).count(continent)
