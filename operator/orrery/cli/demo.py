"""`orrery demo`: a tour on a planet of its own, taken down at the end."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from orrery.cli.hub import finish
from orrery.cli.playground import hub_option, nomad_option
from orrery.cli.tour import Tour
from orrery.errors import OrreryError
from orrery.playground import lifecycle, shell
from orrery.playground.interruption import cancel_on_signals, to_the_end
from orrery.playground.lifecycle import Options
from orrery.playground.state import HubKind, Layout, NomadKind

Say = Callable[[str], None]

_EXAMPLE: Final = """\b
Examples:
  $ orrery demo
  $ orrery demo --regions 6 --nomad simulated --keep
"""


@click.command(epilog=_EXAMPLE)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the planet keeps its files; a new temporary folder.",
)
@click.option(
    "--regions",
    type=click.IntRange(min=2, max=100),
    default=4,
    show_default=True,
    help="Number of regions.",
)
@nomad_option
@hub_option
@click.option("--keep", is_flag=True, help="Leave the planet running, also when a step fails.")
def demo(directory: Path | None, regions: int, nomad: str, hub: str, *, keep: bool) -> None:
    """Take a tour: one application in many regions, on a planet on this machine.

    Starts a hub, the operator and regions; deploys examples; overrides one region; kills a region
    and brings it back; deletes. Each step says what happens.

    On a terminal the planet stays up until Ctrl-C, and each step names the kubectl line to see it;
    elsewhere it is taken down at the end, unless it is kept. Exits with 1 when a step fails, and
    says why, with the end of the logs.
    """
    root = directory or Path(tempfile.mkdtemp(prefix="orrery-demo-"))
    options = Options(
        directory=root,
        regions=regions,
        nomad=None if nomad == "auto" else NomadKind(nomad),
        hub=HubKind(hub),
    )
    try:
        finish(lambda: _tour(options, keep=keep, linger=sys.stdout.isatty()))
    except click.ClickException:
        click.echo(f"logs are in {Layout.of(root).logs}", err=True)
        raise
    if directory is None and not keep:
        shutil.rmtree(root)
        click.echo(f"removed {root}")


async def _tour(options: Options, *, keep: bool, linger: bool) -> None:
    """Take the tour; a polite kill ends it as Ctrl-C does."""
    cancel_on_signals()
    stays = keep or linger
    tour = Tour(options, click.echo, hints=stays)
    try:
        await tour.take()
        if not stays:
            click.echo(f"To look around afterwards: {shell.orrery('demo', '--keep')}")
        elif not keep:
            await _until_interrupted()
    except asyncio.CancelledError as error:
        raise OrreryError("Interrupted", "the tour was interrupted") from error
    finally:
        if keep and tour.is_up:
            root = Layout.of(options.directory).root
            end = shell.orrery("playground", "down", "--directory", root)
            click.echo(f"left running; end it: {end}")
        elif tour.is_up:
            click.echo("taking the planet down; this usually takes 5 seconds")
            await to_the_end(lifecycle.down(options.directory), click.echo)


async def _until_interrupted() -> None:
    """Wait for Ctrl-C, which is no failure here."""
    click.echo("\nThe planet stays up until Ctrl-C.")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task, "a coroutine runs in one"
        task.uncancel()
        click.echo()
