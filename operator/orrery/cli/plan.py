"""`orrery plan`: what applying manifests would change in every region."""

import base64
import binascii
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from orrery.adapters.kube import HubSource, KubeClusterFactory
from orrery.adapters.nomad import NomadClientFactory
from orrery.api.globaldeployment import GlobalDeployment
from orrery.api.validation import ValidationFailure, validate_deployment
from orrery.cli.classplan import (
    ClassForecast,
    accept_classes,
    class_json,
    class_lines,
    foresee_classes,
)
from orrery.cli.dryrun import Action, Outcome, grouped
from orrery.cli.forecast import Forecast, Settings, foresee
from orrery.cli.hub import (
    Reader,
    Target,
    ask,
    hub_options,
    install_option,
    operator_namespace_option,
)
from orrery.cli.instances import REPLACED
from orrery.cli.manifests import Manifest, deployments_in, in_namespace, read_manifests
from orrery.cli.output import JSON, count, line, output_option, show, show_json
from orrery.cli.transitions import refused_by_the_hub
from orrery.errors import InvalidSpec
from orrery.ports import Document, Kind, Secret

NOTHING, CHANGES, ERROR = 0, 1, 255

_EXAMPLE: Final = """\b
Example:
  $ orrery plan -f shop.yaml -n team-a
  GlobalDeployment team-a/shop
    update in 1 region: was
      resources.memoryMB: 256 -> 1024
      instances: 10 to replace, 1 at a time
    no change in 3 regions: fra, par, sfo
"""

_ACTIONS: Final = {
    Action.CREATE: "create in",
    Action.UPDATE: "update in",
    Action.STOP: "stop in",
    Action.LATER: "later in",
    Action.NOT_ASKED: "not asked in",
    Action.NOTHING: "no change in",
    Action.BLOCKED: "blocked in",
    Action.UNREACHABLE: "not known in",
}
_INSTANCES: Final = {
    "place": "to start",
    "in_place": "to change in place",
    REPLACED: "to replace",
    "stop": "to stop",
    "migrate": "to move",
    "canary": "to start first, as canary",
    "preemption": "of others to displace",
}


class PlanError(click.ClickException):
    """Nothing can be said of what would change."""

    exit_code = ERROR


_JUDGED: Final = (Kind.REGION_CLASS, Kind.REGION, Kind.CONTINENT)
"""Kinds beside GlobalDeployment of which a plan can tell something."""


@click.command(epilog=_EXAMPLE)
@click.option(
    "-f",
    "--filename",
    "filenames",
    required=True,
    multiple=True,
    help="A manifest, a folder of them, or - for standard input; may be given several times.",
)
@operator_namespace_option
@install_option
@hub_options(all_namespaces=False)
@output_option
def plan(
    target: Target,
    filenames: tuple[str, ...],
    operator_namespace: str,
    install: str,
    output: str,
) -> None:
    """Show what applying manifests would change in every region. Nothing is written anywhere.

    Each region's own Nomad is asked, all at once, so the answer says whether there is room.
    Regions with the same answer share a paragraph. To ask, this reads the Secrets with the
    regions' credentials. Of a RegionClass it shows what changes in the control planes of its
    Managed regions, what starts anew, and the waves; their continents are asked what each region
    was given. Other kinds are named as skipped, and what the hub will refuse of Regions and
    Continents because it cannot be changed.

    A region that does not answer is judged by what the hub remembers: it is changed later, when it
    answers, or it was last left with this very spec. Of one whose credentials cannot be used
    nothing is promised.

    Exit status: 0 nothing would change, 1 something would, 255 a manifest is not valid, something
    is in the way, or no region can be asked.
    """
    try:
        manifests = read_manifests(*filenames)
        classes = accept_classes(manifests)
        found = [m for m in manifests if m.is_deployment]
        if not any(m.is_ours(kind) for m in manifests for kind in _JUDGED):
            found = deployments_in(manifests, *filenames)
        deployments = accept_all([_placed(manifest, target) for manifest in found])
    except InvalidSpec as error:
        raise PlanError(error.message) from error
    skipped = [
        str(manifest)
        for manifest in manifests
        if not (manifest.is_deployment or manifest.is_ours(Kind.REGION_CLASS))
    ]
    settings = Settings(
        install,
        operator_namespace,
        secrets_in(manifests, target.namespace),
        namespaces_in(manifests),
    )

    clusters = KubeClusterFactory(HubSource(target.kubeconfig, target.context))

    async def work(reader: Reader) -> tuple[list[Forecast], list[ClassForecast], list[str]]:
        forecasts: list[Forecast] = []
        if deployments:
            forecasts = await foresee(reader, NomadClientFactory(), deployments, settings)
        of_classes = await foresee_classes(
            reader, clusters, classes, install=install, operator_namespace=operator_namespace
        )
        return forecasts, of_classes, await refused_by_the_hub(reader, manifests)

    forecasts, of_classes, refused = ask(target, work, failure=PlanError)
    code = exit_code([*forecasts, *of_classes], refused)
    if output == JSON:
        told = {**as_json(forecasts, skipped, refused), "exitCode": code}
        show_json({**told, "classes": class_json(of_classes)} if classes else told)
    else:
        show(*class_lines(of_classes), *lines(forecasts, skipped, refused))
    sys.exit(code)


def accept_all(manifests: Sequence[Manifest]) -> list[GlobalDeployment]:
    """Validate *manifests*; raises `InvalidSpec` that names every problem of every one."""
    accepted, problems = [], []
    sources: dict[tuple[str, str], str] = {}
    for manifest in manifests:
        key = (manifest.namespace, manifest.name)
        if manifest.name and key in sources:
            problems.append(f"{manifest} was read before, from {sources[key]}: plan one of them")
        sources[key] = manifest.source
        try:
            accepted.append(validate_deployment(manifest.document))
        except ValidationFailure as found:
            problems.append(f"{manifest} is not valid:")
            problems += [f"  {problem}" for problem in found.problems]
    if problems:
        raise InvalidSpec("InvalidSpec", "\n".join(problems))
    return accepted


def secrets_in(manifests: Sequence[Manifest], namespace: str) -> dict[tuple[str, str], Secret]:
    """Find Secrets that would be applied together with the deployments that read them."""
    found = {}
    for manifest in manifests:
        if manifest.kind != "Secret" or manifest.document.get("apiVersion") != "v1":
            continue
        where = (manifest.namespace or namespace, manifest.name)
        secret_type = str(manifest.document.get("type") or "Opaque")
        found[where] = Secret(*where, secret_type, {}, _secret_data(manifest.document))
    return found


def namespaces_in(manifests: Sequence[Manifest]) -> frozenset[str]:
    """Find namespaces that would be created together with what is in them."""
    return frozenset(
        manifest.name
        for manifest in manifests
        if manifest.kind == "Namespace" and manifest.document.get("apiVersion") == "v1"
    )


def exit_code(forecasts: Sequence[Forecast | ClassForecast], refused: Sequence[str] = ()) -> int:
    """Say in one number what the forecasts are, and what of other kinds is *refused*."""
    if refused or any(forecast.fails for forecast in forecasts):
        return ERROR
    return CHANGES if any(forecast.changes for forecast in forecasts) else NOTHING


def lines(
    forecasts: Sequence[Forecast], skipped: Sequence[str], refused: Sequence[str] = ()
) -> list[Any]:
    """Lay out forecasts for people."""
    parts: list[Any] = []
    for forecast in forecasts:
        parts += [line(f"GlobalDeployment {forecast.namespace}/{forecast.name}")]
        parts += [line(f"nothing is registered: {p}", indent=2) for p in forecast.problems]
        for outcome, regions in grouped(forecast.outcomes):
            parts += _group(outcome, regions)
        parts += [line(f"note: {note}", indent=2) for note in forecast.notes]
    parts += [line(f"refused: {what}") for what in refused]
    parts += [line(f"skipped: {what}") for what in skipped]
    return parts


def as_json(
    forecasts: Sequence[Forecast], skipped: Sequence[str], refused: Sequence[str] = ()
) -> Document:
    """Return forecasts as `-o json` prints them."""
    return {
        "deployments": [
            {
                "namespace": forecast.namespace,
                "name": forecast.name,
                "problems": list(forecast.problems),
                "groups": [
                    {
                        "action": outcome.action.value,
                        "regions": list(regions),
                        "changes": [
                            {"field": c.field, "old": c.old, "new": c.new} for c in outcome.changes
                        ],
                        "instances": dict(outcome.instances),
                        "atATime": outcome.at_a_time,
                        "noRoom": list(outcome.no_room),
                        "notes": list(outcome.notes),
                    }
                    for outcome, regions in grouped(forecast.outcomes)
                ],
                "notes": list(forecast.notes),
            }
            for forecast in forecasts
        ],
        "refused": list(refused),
        "skipped": list(skipped),
        "exitCode": exit_code(forecasts, refused),
    }


def _group(outcome: Outcome, regions: Sequence[str]) -> list[Any]:
    where = f"{_ACTIONS[outcome.action]} {count(len(regions), 'region')}: {', '.join(regions)}"
    counted = [_counted(kind, number, outcome.at_a_time) for kind, number in outcome.instances]
    each = "instances in each" if len(regions) > 1 else "instances"
    return [
        line(where, indent=2),
        *(line(str(change), indent=4) for change in outcome.changes),
        *([line(f"{each}: {', '.join(counted)}", indent=4)] if counted else []),
        *(line(f"no room: {why}", indent=4) for why in outcome.no_room),
        *(line(note, indent=4) for note in outcome.notes),
    ]


def _counted(kind: str, number: int, at_a_time: int) -> str:
    words = f"{number} {_INSTANCES.get(kind, kind)}"
    return f"{words}, {at_a_time} at a time" if at_a_time and kind == REPLACED else words


def _placed(manifest: Manifest, target: Target) -> Manifest:
    return in_namespace(manifest, target.namespace, given=bool(target.given_namespace))


def _secret_data(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Read a Secret's data as the API server would; what is no base64 it will refuse itself."""
    data: dict[str, bytes] = {}
    for key, value in (document.get("data") or {}).items():
        try:
            data[str(key)] = base64.b64decode(str(value), validate=True)
        except binascii.Error:
            data[str(key)] = b""
    texts = document.get("stringData") or {}
    return data | {str(key): str(value).encode() for key, value in texts.items()}
