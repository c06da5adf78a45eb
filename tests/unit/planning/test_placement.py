"""Placement: the regions that are asked for run it, and a wrong name costs only itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.api.globaldeployment import Placement
from orrery.planning.placement import (
    Choice,
    RegionCandidate,
    UnknownContinent,
    UnknownRegion,
    choose,
    describe_nothing,
    describe_unknown,
)

REGIONS = (
    RegionCandidate("fra", "eu", {"tier": "gold"}),
    RegionCandidate("par", "eu", {"tier": "silver"}),
    RegionCandidate("was", "na", {"tier": "gold"}),
)

NAMES = st.sampled_from(["fra", "par", "was", "sfo", "tyo", "sin"])


@pytest.mark.parametrize(
    ("placement", "selected"),
    [
        pytest.param({}, ("fra", "par", "was"), id="nothing-said-is-everywhere"),
        pytest.param({"regions": ["was", "fra"]}, ("fra", "was"), id="by-name"),
        pytest.param({"continents": ["eu"]}, ("fra", "par"), id="by-continent"),
        pytest.param(
            {"regionSelector": {"matchLabels": {"tier": "gold"}}}, ("fra", "was"), id="by-label"
        ),
        pytest.param(
            {"regionSelector": {"matchLabels": {"tier": "gold"}}, "continents": ["eu"]},
            ("fra",),
            id="label-and-continent",
        ),
        pytest.param({"regionSelector": {}}, ("fra", "par", "was"), id="empty-selector-is-all"),
        pytest.param({"excludeRegions": ["par"]}, ("fra", "was"), id="all-but"),
        pytest.param(
            {"regions": ["fra", "par"], "excludeRegions": ["par"]}, ("fra",), id="exclusion-wins"
        ),
        pytest.param({"regions": ["fra"], "excludeRegions": ["fra"]}, (), id="nothing-left"),
        pytest.param(
            {"regionSelector": {"matchLabels": {"tier": "tin"}}}, (), id="matches-nothing"
        ),
    ],
)
def test_choose(placement: dict[str, object], selected: tuple[str, ...]) -> None:
    choice = choose(Placement.model_validate(placement), REGIONS)

    assert choice == Choice(selected)


def test_an_unknown_region_is_reported_and_the_known_ones_go_on() -> None:
    choice = choose(Placement(regions=["was", "frra", "moon"]), REGIONS)

    assert choice.selected == ("was",)
    assert choice.unknown == (UnknownRegion("frra", "fra"), UnknownRegion("moon", None))
    assert describe_unknown(choice) == (
        'spec.placement.regions: region "frra" is not available; did you mean "fra"?',
        'spec.placement.regions: region "moon" is not available; there are: fra, par, was',
    )


def test_an_unknown_region_that_is_excluded_is_nobodys_concern() -> None:
    choice = choose(Placement(regions=["fra", "moon"], exclude_regions=["moon"]), REGIONS)

    assert choice == Choice(("fra",))


def test_a_continent_without_regions_selects_nothing_and_is_reported() -> None:
    choice = choose(Placement(continents=["eur", "na"]), REGIONS)

    assert choice.selected == ("was",)
    assert choice.unknown_continents == (UnknownContinent("eur", "eu"),)
    assert describe_unknown(choice) == (
        'spec.placement.continents: no region is in continent "eur"; did you mean "eu"?',
    )


def test_unknown_continents_are_reported_by_name() -> None:
    choice = choose(Placement(continents=["moon", "venus", "pluto", "mars", "io"]), REGIONS)

    reported = [continent.name for continent in choice.unknown_continents]
    assert reported == ["io", "mars", "moon", "pluto", "venus"]


def test_a_continent_like_no_other_is_answered_with_those_there_are() -> None:
    assert describe_unknown(choose(Placement(continents=["moon"]), REGIONS)) == (
        'spec.placement.continents: no region is in continent "moon"; there are: eu, na',
    )


@pytest.mark.parametrize(
    ("placement", "said"),
    [
        pytest.param(
            {"regionSelector": {"matchLabels": {"tier": "none"}}},
            'spec.placement.regionSelector: "tier=none" matches no region; labels of regions: '
            "tier=gold, tier=silver",
            id="selector",
        ),
        pytest.param(
            {
                "continents": ["eu", "na"],
                "regionSelector": {"matchExpressions": [{"key": "x", "operator": "Exists"}]},
            },
            'spec.placement.regionSelector: "x" matches no region in continents eu, na; labels of '
            "regions: tier=gold, tier=silver",
            id="selector-in-a-continent",
        ),
        pytest.param(
            {"regions": ["fra"], "excludeRegions": ["fra"]},
            "spec.placement.excludeRegions: fra is all that would be selected",
            id="excluded",
        ),
        pytest.param(
            {"excludeRegions": ["was", "par", "fra"]},
            "spec.placement.excludeRegions: fra, par, was is all that would be selected",
            id="everything-excluded",
        ),
    ],
)
def test_a_placement_that_selects_nothing_says_why(placement: dict[str, object], said: str) -> None:
    asked = Placement.model_validate(placement)

    assert choose(asked, REGIONS).selected == ()
    assert describe_nothing(asked, REGIONS) == said
    assert describe_nothing(asked, []) == "spec.placement: there is no region yet, create a Region"


@given(
    regions=st.permutations(REGIONS),
    names=st.lists(NAMES, unique=True),
    excluded=st.lists(NAMES, unique=True),
)
def test_the_order_of_regions_and_names_does_not_matter(
    regions: Sequence[RegionCandidate], names: list[str], excluded: list[str]
) -> None:
    choice = choose(Placement(regions=names, exclude_regions=excluded), regions)

    assert choice == choose(
        Placement(regions=sorted(names), exclude_regions=sorted(excluded)), REGIONS
    )
    assert list(choice.selected) == sorted(set(choice.selected))
    assert (choice.known, choice.known_continents) == (("fra", "par", "was"), ("eu", "na"))


@given(names=st.lists(NAMES, unique=True, min_size=1), excluded=st.lists(NAMES, unique=True))
def test_each_name_is_selected_reported_or_excluded(names: list[str], excluded: list[str]) -> None:
    choice = choose(Placement(regions=names, exclude_regions=excluded), REGIONS)

    reported = {region.name for region in choice.unknown}
    assert set(choice.selected) | reported | set(excluded) >= set(names)
    assert set(choice.selected) | reported == set(names) - set(excluded)
    assert not set(choice.selected) & reported
