"""Regions of a playground: named in a fixed order, near their continent, none left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.playground.failures import PlaygroundError
from orrery.playground.regions import continents_of, plan_regions


@pytest.mark.parametrize(
    ("continents", "regions", "expected"),
    [
        pytest.param(2, 4, {"eu": ["fra", "par"], "na": ["was", "sfo"]}, id="the-default"),
        pytest.param(1, 2, {"eu": ["fra", "was"]}, id="one-continent-holds-all"),
        pytest.param(
            3,
            6,
            {"eu": ["fra", "par"], "na": ["was", "sfo"], "as": ["tyo", "sin"]},
            id="each-where-it-is",
        ),
        pytest.param(
            3, 4, {"eu": ["fra", "par"], "na": ["was"], "as": ["sfo"]}, id="none-left-empty"
        ),
    ],
)
def test_regions_are_dealt_to_continents(
    continents: int, regions: int, expected: dict[str, list[str]]
) -> None:
    plans = plan_regions(continents=continents, regions=regions)

    found = {
        continent: [plan.name for plan in plans if plan.continent == continent]
        for continent in continents_of(plans)
    }
    assert found == expected


@given(st.data())
def test_every_continent_has_a_region_and_names_keep_their_order(data: st.DataObject) -> None:
    regions = data.draw(st.integers(1, 100))
    continents = data.draw(st.integers(1, min(regions, 6)))

    plans = plan_regions(continents=continents, regions=regions)

    names = [plan.name for plan in plans]
    known = ["fra", "was", "par", "sfo", "tyo", "sin"]
    assert names == (known + [f"region-{n}" for n in range(7, 101)])[:regions]
    assert len({plan.continent for plan in plans}) == continents


@given(st.integers(1, 100), st.integers(1, 100))
def test_a_plan_is_the_same_every_time(continents: int, regions: int) -> None:
    try:
        first = plan_regions(continents=continents, regions=regions)
    except PlaygroundError:
        return

    assert plan_regions(continents=continents, regions=regions) == first


@pytest.mark.parametrize(
    ("continents", "regions", "message"),
    [
        pytest.param(1, 0, "--regions is 0: between 1 and 100 are possible", id="no-region"),
        pytest.param(1, 101, "--regions is 101: between 1 and 100 are possible", id="too-many"),
        pytest.param(
            3,
            2,
            "--continents is 3: between 1 and 2 are possible with 2 regions",
            id="more-continents-than-regions",
        ),
        pytest.param(
            7,
            9,
            "--continents is 7: between 1 and 6 are possible with 9 regions",
            id="more-continents-than-the-earth-has",
        ),
    ],
)
def test_impossible_numbers_are_refused(continents: int, regions: int, message: str) -> None:
    with pytest.raises(PlaygroundError) as refused:
        plan_regions(continents=continents, regions=regions)

    assert refused.value.message == message
