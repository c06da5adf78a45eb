"""`orrery region status|open|approve|cordon|uncordon`: how a region is checked and opened.

What is asked for is an annotation of the Region and never its spec, so that nobody who keeps the
spec in Git has to fight for it.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click

from orrery.api.regionopening import EVERYONE
from orrery.cli.annotate import annotate
from orrery.cli.describekinds import checks_table
from orrery.cli.hub import Target, ask, find, finish, hub_options, reading
from orrery.cli.output import JSON, age, line, output_option, show, show_json
from orrery.names import ANNOTATION_APPROVE_OPENING, ANNOTATION_CORDON, ANNOTATION_OPEN
from orrery.ports import Document, Kind

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks of ``--watch``."""

_STATUS_EXAMPLE: Final = """\b
Example:
  $ orrery region status fra --watch
"""
_OPEN_EXAMPLE: Final = """\b
Example:
  $ orrery region open fra
"""
_APPROVE_EXAMPLE: Final = """\b
Example:
  $ orrery region approve fra
"""
_CORDON_EXAMPLE: Final = """\b
Example:
  $ orrery region cordon fra
"""
_UNCORDON_EXAMPLE: Final = """\b
Example:
  $ orrery region uncordon fra
"""


@click.command("status", epilog=_STATUS_EXAMPLE)
@click.argument("name")
@click.option("--watch", is_flag=True, help="Show it again whenever it changes, until open.")
@hub_options(all_namespaces=False)
@output_option
def region_status(target: Target, name: str, output: str, *, watch: bool) -> None:
    """Show the checks of the region NAME, how far its opening is, and what it waits for."""
    if watch:
        finish(lambda: _watch(target, name, output))
        return
    _print(ask(target, lambda reader: find(reader, Kind.REGION, name, target)), output)


@click.command("open", epilog=_OPEN_EXAMPLE)
@click.argument("name")
@hub_options(all_namespaces=False)
def open_(target: Target, name: str) -> None:
    """Open the region NAME to everyone, without its stages, soak times and approvals.

    Its checks have to pass all the same: name those that do not matter in spec.checks.disabled.
    """
    body = annotate(target, Kind.REGION, name, lambda _: {ANNOTATION_OPEN: EVERYONE})
    click.echo(opening_words(body))


@click.command("approve", epilog=_APPROVE_EXAMPLE)
@click.argument("name")
@hub_options(all_namespaces=False)
def approve(target: Target, name: str) -> None:
    """Let the step begin that the opening of the region NAME waits for."""
    wanted = ANNOTATION_APPROVE_OPENING
    body = annotate(target, Kind.REGION, name, lambda body: {wanted: approval_of(body)})
    step = body["metadata"]["annotations"][wanted]
    click.echo(f'region {name}: step "{step}" of its opening may begin')


@click.command("cordon", epilog=_CORDON_EXAMPLE)
@click.argument("name")
@hub_options(all_namespaces=False)
def cordon(target: Target, name: str) -> None:
    """Place nothing new in the region NAME; what runs there is carried on."""
    annotate(target, Kind.REGION, name, lambda _: {ANNOTATION_CORDON: "true"})
    click.echo(f"region {name} takes no new deployment; what runs there is carried on")


@click.command("uncordon", epilog=_UNCORDON_EXAMPLE)
@click.argument("name")
@hub_options(all_namespaces=False)
def uncordon(target: Target, name: str) -> None:
    """Let new deployments come to the region NAME again."""
    body = annotate(target, Kind.REGION, name, lambda _: {ANNOTATION_CORDON: None})
    if body["spec"].get("lifecycle") == "Cordoned":
        message = f"region {name} stays cordoned: spec.lifecycle is Cordoned, set it to Active"
        raise click.ClickException(message)
    click.echo(f"region {name} takes new deployments again")


COMMANDS: Final = (region_status, open_, approve, cordon, uncordon)


def approval_of(body: Document) -> str:
    """Return the step that waits for an approval. Raises `click.ClickException` when none does."""
    told = body.get("status") or {}
    step = (told.get("opening") or {}).get("waitsForApproval")
    if step:
        return str(step)
    name, sentence = body["metadata"]["name"], _sentence(told)
    raise click.ClickException(f"region {name} waits for no approval: {sentence}")


def opening_words(body: Document) -> str:
    """Say what a request to open the region *body* at once comes to."""
    name, told = body["metadata"]["name"], body.get("status") or {}
    if told.get("phase") == "Open":
        return f"region {name} is open to everyone"
    failing = [check["name"] for check in told.get("checks") or () if _hinders(check)]
    if not told.get("checks"):
        return f"region {name} opens to everyone as soon as its checks pass"
    if failing:
        return f"region {name} opens to everyone as soon as these checks pass: {', '.join(failing)}"
    return f"region {name} opens to everyone"


def checklist(body: Document, now: datetime) -> list[Any]:
    """Lay out the checks of the region *body* for people."""
    told = body.get("status") or {}
    phase, display = told.get("phase") or "Pending", told.get("display") or {}
    counted = f", checks {display['checks']}" if display.get("checks") else ""
    machines = f", machines {display['machines']}" if display.get("machines") else ""
    opening = told.get("opening") or {}
    parts = [
        line(f"region {body['metadata']['name']}: {phase}{counted}{machines}"),
        line(_sentence(told)),
    ]
    if opening.get("stage"):
        parts.append(line(f"stage {opening['stage']} for {age(opening.get('since'), now)}"))
    checks = told.get("checks") or ()
    if not checks:
        return [*parts, line("the operator has not checked it yet")]
    return [*parts, *checks_table(told, now)]


def as_json(body: Document) -> Document:
    """Return what ``-o json`` prints."""
    told: Mapping[str, Any] = body.get("status") or {}
    return {
        "name": body["metadata"]["name"],
        "phase": told.get("phase") or "Pending",
        "status": _sentence(told),
        "opening": told.get("opening"),
        "checks": told.get("checks") or [],
    }


async def _watch(target: Target, name: str, output: str) -> None:
    """Print the region whenever it changed; end when it is open."""
    before: Document | None = None
    async with reading(target) as reader:
        while True:
            body = await find(reader, Kind.REGION, name, target)
            told = as_json(body)
            if told != before:
                if before is not None and output != JSON:
                    click.echo()
                _print(body, output)
            if told["phase"] == "Open":
                return
            before = told
            await asyncio.sleep(_LOOK_EVERY)


def _print(body: Document, output: str) -> None:
    if output == JSON:
        show_json(as_json(body))
    else:
        show(*checklist(body, datetime.now(UTC)))


def _sentence(told: Mapping[str, Any]) -> str:
    return (told.get("display") or {}).get("status") or "the operator has not looked at it yet"


def _hinders(check: Mapping[str, Any]) -> bool:
    return check["status"] in {"Fail", "Unknown"}
