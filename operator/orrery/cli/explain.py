"""`orrery explain`: what one region runs of a deployment, and what set each field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from orrery.api.globaldeployment import GlobalDeployment, Placement
from orrery.api.validation import ValidationFailure, validate_deployment
from orrery.cli.hub import Reader, Target, ask, find, finish, hub_options, parse_reference
from orrery.cli.manifests import Manifest, deployments_in, in_namespace, read_manifests
from orrery.cli.output import JSON, line, output_option, show, show_json, table
from orrery.errors import InvalidSpec
from orrery.planning.placement import RegionCandidate, choose, describe_unknown
from orrery.planning.split import ExplainRow, split
from orrery.planning.split import explain as explain_regional
from orrery.planning.suggest import did_you_mean, nearest
from orrery.ports import Document, Kind


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one region runs of one deployment."""

    namespace: str
    name: str
    region: str
    rows: Sequence[ExplainRow]
    note: str = ""
    """What could not be taken into account."""


_EXAMPLE: Final = """\b
Examples:
  $ orrery explain gd/shop --region was -n team-a
  $ orrery explain -f shop.yaml --region was --offline
"""


@click.command(epilog=_EXAMPLE)
@click.argument("object_", metavar="[gd/NAME]", default="")
@click.option("--region", required=True, help="The region to explain.")
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    help="Explain a manifest, just one; - is standard input.",
)
@click.option("--offline", is_flag=True, help="With -f: take the regions from the placement alone.")
@hub_options()
@output_option
def explain(
    target: Target,
    object_: str,
    region: str,
    filenames: tuple[str, ...],
    output: str,
    *,
    offline: bool,
) -> None:
    """Show the derived definition of one region: each field, its value, and what set it.

    A value comes from an override, from the spec, or is a default. Secrets are named, never read.
    """
    if len(filenames) > 1:
        raise click.UsageError(f"-f is given {len(filenames)} times: one manifest is explained")
    filename = "".join(filenames)
    if not object_ and not filename:
        raise click.UsageError("name a deployment, as in gd/shop, or a manifest with -f")
    if offline and not filename:
        raise click.UsageError("--offline explains a manifest: add -f FILE")
    name = parse_reference(object_, (Kind.GLOBAL_DEPLOYMENT,))[1] if object_ else ""

    async def from_manifest_alone() -> Explanation:
        manifest = _one_manifest(filename, name, target)
        return explain_offline(accept(manifest.document, manifest.source), region)

    async def from_hub(reader: Reader) -> Explanation:
        if filename:
            manifest = _one_manifest(filename, name, target)
            deployment = accept(manifest.document, manifest.source)
        else:
            body = await find(reader, Kind.GLOBAL_DEPLOYMENT, name, target)
            deployment = accept(body, f"gd/{name}")
        return explain_in(deployment, candidates(await reader.list_in(Kind.REGION, "")), region)

    explanation = finish(from_manifest_alone) if offline else ask(target, from_hub)
    if output == JSON:
        show_json(as_json(explanation))
    else:
        show(*lines(explanation))


def explain_in(
    deployment: GlobalDeployment, regions: Sequence[RegionCandidate], region: str
) -> Explanation:
    """Derive what *region* runs; raises `InvalidSpec` when the placement does not select it."""
    metadata, spec = deployment.metadata, deployment.spec
    choice = choose(spec.placement, regions)
    if region not in choice.selected:
        unknown = next((u for u in choice.unknown if u.name == region), None)
        if unknown:
            message = describe_unknown(choice)[choice.unknown.index(unknown)]
            raise InvalidSpec("RegionNotAvailable", message)
        placed = ", ".join(choice.selected) or "none"
        hint = did_you_mean(nearest(region, choice.selected))
        message = (
            f'--region: "{region}" is not selected by spec.placement{hint} (selected: {placed})'
        )
        raise InvalidSpec("NotPlaced", message)
    selected = [candidate for candidate in regions if candidate.name in choice.selected]
    regionals = split(spec, namespace=metadata.namespace, name=metadata.name, regions=selected)
    return Explanation(
        metadata.namespace, metadata.name, region, explain_regional(regionals[region])
    )


def explain_offline(deployment: GlobalDeployment, region: str) -> Explanation:
    """Derive what *region* runs from the manifest alone.

    Raises `InvalidSpec` for a placement that only the hub can resolve.
    """
    spec = deployment.spec
    names = _named(spec.placement, region)
    explanation = explain_in(deployment, [RegionCandidate(name, "") for name in names], region)
    selecting = [o.name for o in spec.overrides if o.region_selector is not None]
    if not selecting:
        return explanation
    note = f"left out, because only the hub knows labels: override {', '.join(selecting)}"
    return Explanation(explanation.namespace, explanation.name, region, explanation.rows, note=note)


def lines(explanation: Explanation) -> list[Any]:
    """Lay out an explanation for people."""
    name = f"{explanation.namespace}/{explanation.name}"
    parts: list[Any] = [line(f"GlobalDeployment {name} in region {explanation.region}"), line()]
    rows = [(row.field, row.source, row.value or "-") for row in explanation.rows]
    parts.append(table(("FIELD", "SET BY", "VALUE"), rows))
    if explanation.note:
        parts += [line(), line(explanation.note)]
    return parts


def as_json(explanation: Explanation) -> Document:
    """Return an explanation as `-o json` prints it."""
    return {
        "namespace": explanation.namespace,
        "name": explanation.name,
        "region": explanation.region,
        "fields": [
            {"field": row.field, "value": row.value, "setBy": row.source}
            for row in explanation.rows
        ],
        "note": explanation.note,
    }


def accept(body: Document, source: str) -> GlobalDeployment:
    """Validate a GlobalDeployment; raises `InvalidSpec` that names every problem, one per line."""
    try:
        return validate_deployment(body)
    except ValidationFailure as failure:
        problems = "\n".join(f"  {problem}" for problem in failure.problems)
        raise InvalidSpec("InvalidSpec", f"{source} is not valid:\n{problems}") from failure


def candidates(regions: Sequence[Document]) -> list[RegionCandidate]:
    """Turn Region objects into what placement chooses from."""
    return [
        RegionCandidate(
            body["metadata"]["name"],
            body["spec"]["continent"],
            dict(body["metadata"].get("labels") or {}),
        )
        for body in regions
    ]


def _one_manifest(filename: str, name: str, target: Target) -> Manifest:
    found = deployments_in(read_manifests(filename), filename)
    named = [manifest for manifest in found if name in ("", manifest.name)]
    if len(named) != 1:
        names = ", ".join(manifest.name for manifest in found)
        hint = did_you_mean(nearest(name, [manifest.name for manifest in found])) if name else ""
        message = f"{filename} holds {names}: name one of them, as in gd/{found[0].name}{hint}"
        raise InvalidSpec("Ambiguous", message)
    given = bool(target.given_namespace)
    return in_namespace(named[0], target.namespace, given=given)


def _named(placement: Placement, region: str) -> Sequence[str]:
    if placement.regions:
        return placement.regions
    if placement.selects_everything:
        return [region]
    message = "spec.placement selects regions, which only the hub knows: leave out --offline"
    raise InvalidSpec("NeedsHub", message)
