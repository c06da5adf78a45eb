"""Quantities: the same amount however it is written, and nothing else is one."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.quantities import quantity, same_quantity, same_value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("500m", "0.5"),
        ("500m", 0.5),
        ("1Gi", "1024Mi"),
        ("1G", "1000M"),
        (2, "2"),
        ("1e3", "1k"),
        ("1E3", 1000),
        ("1E", "1000P"),
        (".5", "0.5"),
        ("1.", 1),
        ("-1", "-1.0"),
        ("1500u", "1.5m"),
    ],
)
def test_the_same_amount(one: Any, other: Any) -> None:
    assert same_quantity(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("1Gi", "1G"), ("1m", "1M"), ("1", "one"), ("one", "one"), (True, 1)]
)
def test_not_the_same_amount(one: Any, other: Any) -> None:
    assert not same_quantity(one, other)


@pytest.mark.parametrize(
    "text", ["", "m", "1x", "1 Gi", "1Gib", "--1", "1e999999999", None, [], "٣"]
)
def test_what_is_no_quantity(text: Any) -> None:
    assert quantity(text) is None


@given(number=st.integers(-(10**15), 10**15))
def test_a_thousandth_is_a_thousandth(number: int) -> None:
    assert quantity(f"{number}m") == Fraction(number, 1000)


@given(text=st.text(max_size=20))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    amount = quantity(text)

    assert amount is None or same_quantity(text, text)


def test_values_are_the_same_by_what_they_mean() -> None:
    assert same_value(1, 1.0)
    assert not same_value(one=1, other=True)
    assert not same_value("1", 1)
