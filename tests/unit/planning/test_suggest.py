"""Suggestions: the nearest name, whatever the order of the known ones."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.suggest import did_you_mean, nearest

NAMES = st.lists(st.from_regex(r"\A[a-z]{2,6}\Z"), max_size=8)


def test_the_most_similar_name_is_suggested() -> None:
    assert nearest("frra", ["par", "fra", "was"]) == "fra"


def test_nothing_is_suggested_when_nothing_is_similar() -> None:
    assert nearest("moon", ["par", "fra"]) is None
    assert did_you_mean(None) == ""


@given(name=st.from_regex(r"\A[a-z]{2,6}\Z"), known=NAMES)
def test_the_order_of_the_known_names_does_not_matter(name: str, known: list[str]) -> None:
    suggestion = nearest(name, known)

    assert suggestion == nearest(name, reversed(known))
    assert suggestion is None or suggestion in known
