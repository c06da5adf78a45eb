"""Find the name that a user probably meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

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
    known = sorted(set(names))
    more = len(known) - LISTED_AT_MOST
    shown = ", ".join(known[:LISTED_AT_MOST]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown
