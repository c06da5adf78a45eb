"""What verbs print: tables and trees for people, JSON for programs.

Plain where no terminal is: no colours, no box drawing, 100 columns. Whatever comes from objects
or regions is shown with its control characters taken out, so that no message can drive a terminal.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final, TypeVar

import click
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

F = TypeVar("F", bound=Callable[..., Any])

WIDTH: Final = 100
TABLE: Final = "table"
JSON: Final = "json"

_STYLES: Final = {
    **dict.fromkeys(("Healthy", "Open", "Pass", "True", "create", "running"), "green"),
    **dict.fromkeys(
        (
            "Pending",
            "Provisioning",
            "Checking",
            "Opening",
            "Cordoned",
            "Updating",
            "Stopping",
            "Unknown",
            "update",
            "replace",
            "killed",
        ),
        "yellow",
    ),
    **dict.fromkeys(
        ("Fail", "Failed", "Degraded", "Unreachable", "False", "stop", "Warning", "died"), "red"
    ),
}
_FILLED: Final = re.compile(r"\s+(\x1b\[0m)?\Z")
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def output_option(command: F) -> F:
    """Add ``-o json`` to a verb that reads."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([TABLE, JSON]),
        default=TABLE,
        show_default=True,
        help="What to print: a table for people, or JSON for programs.",
    )(command)


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree, and what hangs below it."""

    label: str
    below: tuple["Branch", ...] = ()


def show(*parts: RenderableType | Branch) -> None:
    """Print *parts* one below the other."""
    terminal = sys.stdout.isatty()
    click.echo(rendered(*parts, terminal=terminal), nl=False)


def show_json(value: Any) -> None:
    """Print *value* as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def rendered(
    *parts: RenderableType | Branch, terminal: bool = False, width: int | None = None
) -> str:
    """Return what `show` prints; *width* is the terminal's, its own when None."""
    file = StringIO()
    console = Console(
        file=file,
        width=width if terminal else WIDTH,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in parts:
        shown = _tree(part, boxes=terminal) if isinstance(part, Branch) else part
        # Where even the least widths do not fit, the terminal folds; cutting would lose text.
        console.print(shown, crop=False)
    return "".join(f"{_trimmed(line)}\n" for line in file.getvalue().splitlines())


def _trimmed(line: str) -> str:
    """Take off the blanks that fill the last column, inside of its colour, too."""
    return _FILLED.sub(r"\1", line)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Lay out *rows* in columns; where they do not fit, the widest are folded, and none is cut."""
    built = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for heading in headings:
        built.add_column(heading, overflow="fold", min_width=len(heading))
    for row in rows:
        built.add_row(*(word(cell) for cell in row))
    return built


def word(text: str) -> Text:
    """Show *text*, in its colour when it is a state."""
    return Text(printable(text), style=_STYLES.get(text, ""))


def line(text: str = "", *, indent: int = 0) -> RenderableType:
    """Show one line, folded with its indentation where it is too long."""
    shown = Text(printable(text))
    return Padding(shown, (0, 0, 0, indent), expand=False) if indent else shown


def printable(text: str) -> str:
    """Return *text* as one line that cannot drive a terminal."""
    one_line = " ".join(text.split("\n"))
    return "".join(c if c.isprintable() else "?" for c in one_line)


def age(timestamp: str | None, now: datetime) -> str:
    """Say in at most two units how long ago *timestamp* was, as Kubernetes does; - without one."""
    moment = parse_time(timestamp)
    if moment is None:
        return "-"
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    return f"{seconds // _DAY}d"


def parse_time(timestamp: str | None) -> datetime | None:
    """Read a timestamp of the API; None when there is none, or it is not one."""
    try:
        moment = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def titled(name: str, display_name: str | None) -> str:
    """Name an object, with the name it has for people behind its own, as in ``fra (Frankfurt)``."""
    return name if display_name in {None, "", name} else f"{name} ({display_name})"


def count(number: int, thing: str) -> str:
    """Count things in words, as in ``1 region`` and ``3 regions``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _tree(root: Branch, *, boxes: bool) -> RenderableType:
    if boxes:
        return _grow(Tree(word(root.label)), root)
    return Group(*_indented(root, 0))


def _grow(tree: Tree, branch: Branch) -> Tree:
    for child in branch.below:
        _grow(tree.add(word(child.label)), child)
    return tree


def _indented(branch: Branch, depth: int) -> Iterable[RenderableType]:
    yield line(branch.label, indent=2 * depth)
    for child in branch.below:
        yield from _indented(child, depth + 1)
