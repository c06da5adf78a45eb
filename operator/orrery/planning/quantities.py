"""Compare values as Kubernetes writes them. Pure."""

import re
from fractions import Fraction
from typing import Any, Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[numkMGTPE]|[KMGTPE]i))?"
)
_DECIMAL: Final = {
    suffix: Fraction(10) ** power
    for suffix, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
}
_BINARY: Final = {f"{prefix}i": Fraction(1024) ** n for n, prefix in enumerate("KMGTPE", 1)}
_SCALES: Final = _DECIMAL | _BINARY


def quantity(value: Any) -> Fraction | None:
    """Read a quantity such as ``500m`` or ``1Gi``, None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    scale = (
        _SCALES[found["suffix"]] if found["suffix"] else Fraction(10) ** int(found["exponent"] or 0)
    )
    number = found["number"]
    return Fraction(f"{number}0" if number.endswith(".") else number) * scale


def same_quantity(one: Any, other: Any) -> bool:
    """Tell whether both are quantities and the same amount."""
    amount = quantity(one)
    return amount is not None and amount == quantity(other)


def same_value(one: Any, other: Any) -> bool:
    """Tell whether both mean the same: ``1`` is ``1.0``, but neither ``true`` nor ``"1"``."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other)
