"""`orrery region`: what is done to one region by hand, and nowhere else."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from orrery.adapters.kube import MERGE_PATCH, HubConnection, HubSource, object_path
from orrery.cli.annotate import annotate
from orrery.cli.bundle import bundle
from orrery.cli.hub import HubReader, Target, find, finish, hub_options
from orrery.cli.regionopening import COMMANDS
from orrery.cli.regionrights import rights
from orrery.moments import text_of
from orrery.names import ANNOTATION_ALLOW_STOPS, FINALIZER_REGION
from orrery.ports import Document, Key, Kind

_DURATION: Final = re.compile(r"([1-9][0-9]{0,3})([mh])")
_LONGEST: Final = timedelta(hours=24)

_FORGET_EXAMPLE: Final = """\b
Example:
  $ orrery region forget was
"""
_ALLOW_EXAMPLE: Final = """\b
Example:
  $ orrery region allow-stops fra --for 30m
"""


@click.group()
def region() -> None:
    """Let machines join a region; check, open, cordon or forget it, allow a mass stop."""


for _command in (bundle, rights, *COMMANDS):
    region.add_command(_command)


@region.command(epilog=_FORGET_EXAMPLE)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Forget a region that answers, too.")
@hub_options(all_namespaces=False)
def forget(target: Target, name: str, *, yes: bool, force: bool) -> None:
    """Delete the Region NAME, and with it what must still be stopped there.

    For a region that never comes back: objects that are being deleted wait for it no longer.
    Should it come back all the same, its jobs run on and are reported as orphans.
    """

    async def work() -> None:
        async with HubConnection(HubSource(target.kubeconfig, target.context)) as connection:
            reader = HubReader(connection)
            body = await find(reader, Kind.REGION, name, target)
            deployments = await reader.list_in(Kind.GLOBAL_DEPLOYMENT, "")
            for line in consequences(body, deployments):
                click.echo(line)
            if phase_of(body) != "Unreachable" and not force:
                message = (
                    f"region {name} is {phase_of(body)}: add --force to forget it all the same"
                )
                raise click.ClickException(message)
            if not yes:
                click.confirm(f"Forget region {name}?", abort=True)
            path = object_path(Key(Kind.REGION, "", name))
            options = {"preconditions": {"uid": body["metadata"]["uid"]}}
            if FINALIZER_REGION in (body["metadata"].get("finalizers") or ()):
                await connection.demand("PATCH", path, body=unheld(body), content_type=MERGE_PATCH)
            gone = await connection.call("DELETE", path, body=options)
            if not (gone.ok or gone.missing):  # Missing: only its finalizer had held it.
                raise connection.error_of(f"DELETE {path}", gone)
            click.echo(f"region {name} is forgotten")

    finish(work)


@region.command("allow-stops", epilog=_ALLOW_EXAMPLE)
@click.argument("name")
@click.option(
    "--for", "duration", default="1h", show_default=True, help="How long: 30m, 1h, at most 24h."
)
@hub_options(all_namespaces=False)
def allow_stops(target: Target, name: str, duration: str) -> None:
    """Let any number of jobs be stopped in the region NAME, for a while.

    More stops at once than usual are held, in case that something deletes objects by mistake. The
    Region says so with reason StopsHeld. Look at what is being deleted before you allow it.
    """
    until = text_of(datetime.now(UTC) + parse(duration))
    annotate(target, Kind.REGION, name, lambda _: {ANNOTATION_ALLOW_STOPS: until})
    click.echo(f"any number of jobs may be stopped in {name} until {until}")


def consequences(body: Document, deployments: Sequence[Document]) -> list[str]:
    """Say what goes with the Region *body*: what waits for it, what runs there."""
    name = body["metadata"]["name"]
    status: Mapping[str, Any] = body.get("status") or {}
    seen = status.get("lastSeenTime")
    lines = [f"region {name}: {phase_of(body)}" + (f", last seen {seen}" if seen else "")]
    here = [d for d in deployments if name in _regions_of(d)]
    leaving = [d for d in here if d["metadata"].get("deletionTimestamp")]
    told = [f"{t['namespace']}/{t['name']}" for t in status.get("tombstones", ())]
    if here:
        lines.append(f"deployments with a job there: {_names(here)}")
    if leaving:
        lines.append(f"of these are being deleted and wait for it: {_names(leaving)}")
    if FINALIZER_REGION in (body["metadata"].get("finalizers") or ()):
        lines.append("its control plane is not torn down: what its continent holds of it stays")
    if told:
        lines.append(f"deleted before, their jobs are not stopped any more: {', '.join(told)}")
    return lines


def unheld(body: Document) -> Document:
    """Make the patch by which a Region is torn down no more, and waits for nothing of ours."""
    metadata = body["metadata"]
    kept = [each for each in metadata["finalizers"] if each != FINALIZER_REGION]
    return {
        "metadata": {"finalizers": kept, "resourceVersion": metadata["resourceVersion"]},
        "spec": {"deletionPolicy": "Orphan"},
    }


def phase_of(body: Document) -> str:
    """Return the phase of a Region; Pending before the first status."""
    return str((body.get("status") or {}).get("phase") or "Pending")


def parse(duration: str) -> timedelta:
    """Read a duration such as ``30m`` or ``2h``. Raises `click.UsageError`."""
    found = _DURATION.fullmatch(duration)
    if found is not None:
        number, unit = int(found[1]), found[2]
        span = timedelta(minutes=number) if unit == "m" else timedelta(hours=number)
        if span <= _LONGEST:
            return span
    raise click.UsageError(f'--for: "{duration}" is not allowed, must be from 1m to 24h, as in 30m')


def _regions_of(deployment: Document) -> set[str]:
    continents = (deployment.get("status") or {}).get("continents") or ()
    return {region for continent in continents for region in continent.get("regions") or {}}


def _names(deployments: list[Document]) -> str:
    return ", ".join(
        sorted(f"{d['metadata']['namespace']}/{d['metadata']['name']}" for d in deployments)
    )
