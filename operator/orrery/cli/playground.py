"""`orrery playground`: a planet on one machine."""

import asyncio
import dataclasses
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic.alias_generators import to_camel

from orrery.cli.output import JSON, line, output_option, printable, show, show_json, table
from orrery.errors import OrreryError
from orrery.playground import shell
from orrery.playground.interruption import cancel_on_signals
from orrery.playground.lifecycle import Options, down, up
from orrery.playground.power import kill, revive
from orrery.playground.state import HubKind, NomadKind
from orrery.playground.status import Life, Report, status

T = TypeVar("T")

_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("playground"),
    show_default=True,
    help="Where the playground keeps its files.",
)

_which = click.argument("name", metavar="REGION|operator")

nomad_option = click.option(
    "--nomad",
    type=click.Choice(["auto", "real", "simulated"]),
    default="auto",
    show_default=True,
    help="What the regions are; auto takes real Nomad agents when a nomad binary is found.",
)
hub_option = click.option(
    "--hub",
    type=click.Choice([kind.value for kind in HubKind]),
    envvar="HUB",
    default=HubKind.PROCESSES.value,
    show_default=True,
    help="What the hub is; kind needs a Docker engine.  [env: HUB]",
)


@click.group()
def playground() -> None:
    """Run a hub, an operator and regions as plain processes on this machine."""


@playground.command("up")
@_directory
@click.option(
    "--continents",
    type=int,
    show_default="2, or 1 for a single region",
    help="Number of continents.",
)
@click.option("--regions", default=4, show_default=True, help="Number of regions.")
@nomad_option
@hub_option
@click.option(
    "--operator/--no-operator",
    default=True,
    help="Whether to start the operator; without it, run it yourself, in a debugger say.",
)
def up_command(
    directory: Path, continents: int | None, regions: int, nomad: str, hub: str, *, operator: bool
) -> None:
    """Start a playground, wait until all of it is ready, and leave it running.

    Ctrl-C takes down what was started so far.
    """
    options = Options(
        directory=directory,
        continents=continents,
        regions=regions,
        nomad=None if nomad == "auto" else NomadKind(nomad),
        hub=HubKind(hub),
        operator=operator,
    )
    _run(up(options, click.echo))


@playground.command("status")
@_directory
@output_option
def status_command(directory: Path, output: str) -> None:
    """Show what runs and what died; exits with 1 when something did."""
    report = _run(status(directory))
    if output == JSON:
        show_json(dataclasses.asdict(report, dict_factory=_camel))
    else:
        _show(report)
    sys.exit(1 if report.problems else 0)


@playground.command("kill")
@_directory
@_which
def kill_command(directory: Path, name: str) -> None:
    """End the agent of REGION, or the operator, at once, as a power failure would."""
    _run(kill(directory, name, click.echo))


@playground.command("revive")
@_directory
@_which
def revive_command(directory: Path, name: str) -> None:
    """Bring REGION back with the data it had, or the operator."""
    _run(revive(directory, name, click.echo))


@playground.command("down")
@_directory
def down_command(directory: Path) -> None:
    """End every process of the playground and remove its files, except logs.

    Ctrl-C does not keep it from that.
    """
    _run(down(directory, click.echo))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*; Ctrl-C and a polite kill both let it clean up after itself."""

    async def interruptible() -> T:
        cancel_on_signals()
        return await work

    try:
        return asyncio.run(interruptible())
    except OrreryError as error:
        raise click.ClickException(error.message) from error
    except (asyncio.CancelledError, KeyboardInterrupt) as error:
        raise click.Abort from error


def _camel(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in fields}


def _show(report: Report) -> None:
    rows = [
        (
            region.name,
            region.continent,
            region.process.value,
            region.phase or "?",
            str(region.pid) if region.process is Life.RUNNING else "-",
            region.nomad_address,
        )
        for region in report.regions
    ]
    show(
        line(f"hub       {report.hub}{_pids(report)}  {report.hub_url}"),
        line(f"operator  {report.operator}{_operator_pid(report)}"),
        line(f"regions   {report.nomad} Nomad, {_instances(report)}"),
        table(("REGION", "CONTINENT", "PROCESS", "PHASE", "PID", "ADDRESS"), rows),
    )
    # Not folded: these lines hold paths that are copied.
    for problem in report.problems:
        click.echo(f"! {printable(problem)}")
    click.echo(f"\n{shell.export(report.kubeconfig)}")


def _pids(report: Report) -> str:
    if report.hub is not Life.RUNNING or not report.hub_pids:
        return ""
    return "  pid " + ", ".join(f"{pid} ({name})" for name, pid in report.hub_pids.items())


def _operator_pid(report: Report) -> str:
    return f"  pid {report.operator_pid}" if report.operator is Life.RUNNING else ""


def _instances(report: Report) -> str:
    if report.nomad is NomadKind.SIMULATED:
        return "simulated instances"
    return "containers" if report.containers else "stand-ins in place of containers"
