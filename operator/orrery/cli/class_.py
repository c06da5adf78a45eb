"""`orrery class`: have a class go back to what it was, or let a wave of its rollout start."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import click

from orrery.adapters.kube import HubConnection, HubSource, KubeClusterFactory, object_path
from orrery.api.validation import ValidationFailure, validate_region_class
from orrery.cli.annotate import annotate
from orrery.cli.classrecords import Found, regions_of
from orrery.cli.hub import HubReader, Target, find, finish, hub_options, operator_namespace_option
from orrery.errors import InvalidSpec
from orrery.names import ANNOTATION_APPROVE_WAVE
from orrery.planning.classrecord import Edition, edition_of, restored
from orrery.ports import Document, Key, Kind

_ROLLBACK_EXAMPLE: Final = """\b
Example:
  $ orrery class rollback standard
"""
_APPROVE_EXAMPLE: Final = """\b
Example:
  $ orrery class approve standard
"""


@click.group(name="class")
def class_() -> None:
    """Roll a RegionClass back, or approve the next wave of its rollout."""


@class_.command(epilog=_ROLLBACK_EXAMPLE)
@click.argument("name")
@click.option("--to", "revision", default="", help="Revision to go back to; the former one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@operator_namespace_option
@hub_options(all_namespaces=False)
def rollback(
    target: Target, name: str, revision: str, operator_namespace: str, *, yes: bool
) -> None:
    """Write what the RegionClass NAME said before back into it.

    Its regions remember that: their continents are asked. Drivers and the rollout itself stay as
    they are. The change moves over the regions as every change does, those that are not well with
    the present revision first. Where the class comes from Git, revert it there, too.
    """

    async def work() -> None:
        source = HubSource(target.kubeconfig, target.context)
        async with HubConnection(source) as connection:
            reader = HubReader(connection)
            body = await find(reader, Kind.REGION_CLASS, name, target)
            found = await regions_of(reader, KubeClusterFactory(source), operator_namespace, name)
            for each in found:
                if each.problem:
                    click.echo(
                        f"not known of {each.region.metadata.name}: {each.problem}", err=True
                    )
            edition = former(body, found, revision)
            spec = restored(edition, body["spec"])
            click.echo(f"revision {edition.revision}:")
            for text in changed(body["spec"], spec):
                click.echo(f"  {text}")
            if not yes:
                click.confirm(f"Write it into RegionClass {name}?", abort=True)
            # With its resourceVersion: what somebody wrote in between is not overwritten.
            await connection.demand(
                "PUT", object_path(Key(Kind.REGION_CLASS, "", name)), body={**body, "spec": spec}
            )
            click.echo(f"RegionClass {name} has revision {edition.revision} again")

    finish(work)


@class_.command(epilog=_APPROVE_EXAMPLE)
@click.argument("name")
@click.option("--wave", default="", help="Name of the wave; the one that waits.")
@hub_options(all_namespaces=False)
def approve(target: Target, name: str, wave: str) -> None:
    """Let a wave of the RegionClass NAME, and those before it, take its present revision."""
    wanted = ANNOTATION_APPROVE_WAVE
    body = annotate(target, Kind.REGION_CLASS, name, lambda body: {wanted: approval_of(body, wave)})
    approval = body["metadata"]["annotations"][wanted]
    click.echo(f"approved: {approval.replace('@', ' may take revision ')}")


def former(body: Document, found: Sequence[Found], revision: str = "") -> Edition:
    """Choose what the class *body* goes back to: what most of its regions had before.

    Raises `InvalidSpec` when there is nothing, or several and no *revision* that says which.
    """
    name = body["metadata"]["name"]
    records = [each.record for each in found if each.record is not None]
    known = [e for r in records for e in (r.current, r.previous) if e and e.class_name == name]
    try:
        present = edition_of(validate_region_class(body), known)
    except ValidationFailure:
        present = None  # Whatever it was before is better.
    before: list[Edition] = []
    for record in records:
        at_target = present is not None and record.current.same_as(present)
        edition = record.previous if at_target else record.current
        if edition is not None and edition.class_name == name:
            before.append(edition)
    if revision:
        chosen = [edition for edition in known if edition.revision == revision]
        if not chosen:
            has = ", ".join(sorted({edition.revision for edition in known})) or "none"
            message = f"--to: no region remembers revision {revision}, they remember {has}"
            raise InvalidSpec("NotFound", message)
        return chosen[0]
    counted = Counter(edition.revision for edition in before)
    if not counted:
        raise InvalidSpec("NotFound", f"no region remembers what RegionClass {name} was before")
    if len(counted) > 1:
        choices = ", ".join(f"{each} ({number} regions)" for each, number in counted.most_common())
        message = f"its regions had different revisions before: choose one with --to: {choices}"
        raise InvalidSpec("Ambiguous", message)
    return before[0]


def changed(before: Document, after: Document) -> list[str]:
    """Say which fields of a spec are written otherwise, sorted."""
    old, new = dict(_leaves("spec", before)), dict(_leaves("spec", after))
    return [
        f"{path}: {old.get(path, 'not set')} -> {new[path]}"
        for path in sorted(new)
        if old.get(path) != new[path]
    ] + [f"{path}: {old[path]} -> not set" for path in sorted(old.keys() - new.keys())]


def approval_of(body: Document, wave: str) -> str:
    """Write the approval of *wave*, else of the one that waits. Raises `InvalidSpec`."""
    name, status = body["metadata"]["name"], body.get("status") or {}
    waves = [each["name"] for each in (body["spec"].get("rollout") or {}).get("waves") or ()]
    reason = next((c["reason"] for c in status.get("conditions") or ()), "")
    waiting = status.get("wave") if reason == "WaitingForApproval" else ""
    if wave and wave not in waves:
        has = ", ".join(waves) or "none"
        raise InvalidSpec(
            "NotFound", f'--wave: RegionClass {name} has no wave "{wave}", it has {has}'
        )
    if not (wave or waiting):
        raise InvalidSpec("NothingWaits", f"no wave of RegionClass {name} waits for an approval")
    stale = status.get("observedGeneration") != body["metadata"].get("generation")
    if stale or not status.get("revision"):
        message = f"RegionClass {name} was just changed: wait until its status tells the revision"
        raise InvalidSpec("StatusBehind", message)
    return f"{wave or waiting}@{status['revision']}"


def _leaves(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [leaf for key, below in value.items() for leaf in _leaves(f"{path}.{key}", below)]
    return [(path, json.dumps(value, sort_keys=True))]
