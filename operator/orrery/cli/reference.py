"""Write the reference page of the command line: the help of every verb, on one page."""

from collections.abc import Iterator

import click

from orrery.api.reference import NOTICE
from orrery.cli import main

WIDTH = 80


def render_cli_reference() -> str:
    """Write the page; verbs stand in the order of `orrery --help`, hidden ones are left out."""
    lines = [
        NOTICE,
        "",
        "# Command line",
        "",
        "`orrery` is also installed as a plugin of kubectl: `kubectl orrery`.",
        "",
        *_section(main, _context(main, "orrery"), level=2),
    ]
    return "\n".join(lines) + "\n"


def _section(command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    """Write one command, then those below it."""
    yield f"{'#' * level} {context.command_path}"
    yield from ("", "```text", command.get_help(context), "```")
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        below = command.commands[name]
        if not below.hidden:
            yield ""
            yield from _section(below, _context(below, name, context), level=min(level + 1, 3))


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """Make the context that running *command* would have, at a fixed width."""
    settings = {**command.context_settings, "terminal_width": WIDTH}
    return click.Context(command, parent=parent, info_name=name, **settings)
