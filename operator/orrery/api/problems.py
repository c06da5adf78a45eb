"""What is wrong with a document: field, value, and what is allowed. Pure."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

SHOWN_MOST: Final = 60
"""Longest piece of a value that a message repeats: values may be long, or private."""

LISTED_MOST: Final = 20


class Problem(NamedTuple):
    """One thing that is wrong at *path*; sorts by path."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ValidationFailure(ValueError):
    """A document is not what its kind allows. The text names every problem, sorted by field."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Final = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems[:LISTED_MOST]]
        if len(self.problems) > LISTED_MOST:
            lines.append(f"and {len(self.problems) - LISTED_MOST} more")
        super().__init__("; ".join(lines))


def not_allowed(value: Any, allowed: str) -> str:
    """Say that *value* is not allowed, and what is."""
    return f"{shown(value)} is not allowed, must be {allowed}"


def shown(value: Any) -> str:
    """Return the beginning of *value*, as JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_MOST else f"{text[:SHOWN_MOST]}..."


def field(path: str, *below: str | int) -> str:
    """Return the path of a field below *path*, as in ``spec.ports[0].port``."""
    for step in below:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def listed(values: Sequence[Any]) -> str:
    """Return *values* as a list in words."""
    return ", ".join(map(str, values)) if values else "none"
