"""Admission: a closed region takes nothing new, and costs a deployment nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.admission import admit
from orrery.planning.placement import Choice, describe_unknown

regions = st.lists(st.sampled_from(["fra", "par", "was", "sfo", "tyo"]), unique=True).map(sorted)
closings = st.dictionaries(st.sampled_from(["fra", "par", "sin"]), st.just("is not open yet"))


@given(selected=regions, closed=closings, named=st.booleans())
def test_every_region_is_taken_or_told_of_and_none_is_lost(
    *, selected: list[str], closed: dict[str, str], named: bool
) -> None:
    choice = admit(Choice(tuple(selected)), closed, named=named)

    assert sorted([*choice.selected, *(each.name for each in choice.closed)]) == selected
    assert not closed.keys() & set(choice.selected)


@given(selected=regions, named=st.booleans())
def test_open_regions_change_nothing(*, selected: list[str], named: bool) -> None:
    choice = Choice(tuple(selected))

    assert admit(choice, {}, named=named) == choice


def test_a_region_that_is_named_and_closed_is_told_of() -> None:
    choice = admit(Choice(("fra", "was")), {"fra": "is not open yet"}, named=True)

    assert describe_unknown(choice) == (
        'region "fra" is not open yet; it comes there by itself when that changes',
    )


def test_a_region_that_is_selected_and_closed_is_told_of_when_there_is_no_other() -> None:
    closed = {"fra": "is not open yet"}

    assert describe_unknown(admit(Choice(("fra", "was")), closed, named=False)) == ()
    assert describe_unknown(admit(Choice(("fra",)), closed, named=False))
