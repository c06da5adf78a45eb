"""Write lists into sentences: the first few, and how many more there are. Pure."""

from collections.abc import Sequence


def enumerated(names: Sequence[str], most: int) -> str:
    """Write *names* in their order, as in ``fra, par and 3 more``."""
    return ", ".join(names[:most]) + _more(" ", len(names) - most)


def joined(sentences: Sequence[str], most: int) -> str:
    """Write *sentences* in their order, as in ``one; another; and 3 more``."""
    return "; ".join(sentences[:most]) + _more("; ", len(sentences) - most)


def _more(separator: str, count: int) -> str:
    return f"{separator}and {count} more" if count > 0 else ""
