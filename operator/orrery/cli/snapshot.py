"""`orrery snapshot`: take a snapshot of a region's Nomad, and keep a number of them."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from orrery.adapters.nomad.snapshots import save_snapshot
from orrery.errors import OrreryError
from orrery.planning.snapshots import file_name, surplus
from orrery.ports import Credentials

PARTIAL: Final = ".partial"
"""What is under way; one that a killed run left is overwritten."""

_EXAMPLE: Final = """\b
Example:
  $ orrery snapshot --address https://fra-nomad.orrery-fra.svc:4646 \\
      --token-file token --certificates tls/ --folder /var/lib/snapshots
"""


@click.command(
    "snapshot",
    epilog=_EXAMPLE,
    short_help="Take a snapshot of a region's Nomad into a folder.",
)
@click.option("--address", required=True, metavar="URL", help="Address of the Nomad API.")
@click.option(
    "--token-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with a token that may take snapshots.",
)
@click.option(
    "--certificates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with ca.crt, tls.crt and tls.key. Default: none, for http.",
)
@click.option(
    "--folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where snapshots are kept.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="How many are kept; the oldest go first.",
)
def snapshot(
    address: str, token_file: Path, certificates: Path | None, folder: Path, keep: int
) -> None:
    """Take a snapshot of a region's Nomad into a folder.

    The file appears there only when it is whole. Snapshots beyond --keep are deleted then, the
    oldest first, and nothing else is. A class with spec.nomad.snapshots runs this on a schedule.
    """

    def text(name: str) -> str:
        return (certificates / name).read_text() if certificates else ""

    credentials = Credentials(
        endpoint=address.rstrip("/"),
        token=token_file.read_text().strip(),
        ca=text("ca.crt"),
        certificate=text("tls.crt"),
        key=text("tls.key"),
    )
    try:
        name, size = _save(credentials, folder)
    except OrreryError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"saved: {name} ({size} bytes)")
    for old in surplus([path.name for path in folder.iterdir()], keep):
        (folder / old).unlink()
        click.echo(f"deleted: {old}")


def _save(credentials: Credentials, folder: Path) -> tuple[str, int]:
    partial = folder / PARTIAL
    with partial.open("wb") as file:
        size = asyncio.run(save_snapshot(credentials, file))
        file.flush()
        os.fsync(file.fileno())
    name = file_name(datetime.now(UTC))
    partial.replace(folder / name)
    return name, size
