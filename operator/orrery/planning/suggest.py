"""Find the name that a user probably meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

from orrery.planning.wording import enumerated

LISTED_AT_MOST = 10


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in *known* that is most like *name*, None when none is.

    The order of *known* does not matter.
    """
    matches = get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(suggestion: str | None) -> str:
    """End a sentence with *suggestion*, or with nothing."""
    return "" if suggestion is None else f'; did you mean "{suggestion}"?'


def listed(names: Iterable[str]) -> str:
    """List *names* once each, sorted; of many only the first."""
    return enumerated(sorted(set(names)), LISTED_AT_MOST) or "none"
