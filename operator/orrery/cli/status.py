"""`orrery status`: the planet in a few lines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from orrery.cli.hub import (
    Reader,
    Target,
    ask,
    hub_options,
    operator_namespace_option,
)
from orrery.cli.output import (
    JSON,
    age,
    count,
    line,
    output_option,
    rendered,
    show,
    show_json,
    table,
    titled,
)
from orrery.errors import Refused
from orrery.moments import text_of
from orrery.names import LEASE, OPERATOR_NAMESPACE
from orrery.planning.region_status import USABLE
from orrery.ports import Document, Kind, Lease

__all__ = ["Planet", "look", "planet_text", "status"]

NEVER: Final = "no operator has run here yet"


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region, as its object says."""

    name: str
    display_name: str
    continent: str
    phase: str
    nomad_version: str
    machines: int
    machines_ready: int
    last_seen_time: str | None
    """When it last answered, of a region that does not answer."""


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """One GlobalDeployment, as its status says."""

    namespace: str
    name: str
    regions: str
    ready: str
    status: str


@dataclass(frozen=True, slots=True)
class Planet:
    """All of it, sorted."""

    regions: Sequence[RegionRow]
    deployments: Sequence[DeploymentRow]
    continents: Mapping[str, str]
    """The name that each continent has for people, of those that may be read."""
    operator: Lease | None = None
    """The operator's lease, when there is one that may be read."""
    no_lease_in: str = ""
    """The namespace that was looked into and has no lease; empty when there is one, or perhaps."""
    reported: bool = True
    """Whether any region or deployment has a status: only an operator writes one."""


_EXAMPLE: Final = """\b
Example:
  $ orrery status -n team-a
  2 continents, 4 regions: 3 Open, 1 Unreachable
"""


@click.command(epilog=_EXAMPLE)
@hub_options()
@operator_namespace_option
@output_option
def status(target: Target, operator_namespace: str, output: str) -> None:
    """Show the planet in a few lines: continents, regions, and the deployments of a namespace.

    What is shown is what the operator last saw; a region that does not answer has the time since
    it last did. When no operator runs, the first line says so, and since when; or that none has
    run here yet.
    """
    planet = ask(target, lambda reader: look(reader, target, operator_namespace))
    now = datetime.now(UTC)
    if output == JSON:
        show_json(as_json(planet, now))
        return
    place = "any namespace" if target.all_namespaces else f'namespace "{target.namespace}"'
    show(*planet_lines(planet, now, place=place))


async def look(
    reader: Reader, target: Target, operator_namespace: str = OPERATOR_NAMESPACE
) -> Planet:
    """Read regions and deployments, and whether anybody looks after them."""
    namespace = "" if target.all_namespaces else target.namespace
    regions = await reader.list_in(Kind.REGION, "")
    deployments = await reader.list_in(Kind.GLOBAL_DEPLOYMENT, namespace)
    try:
        lease = await reader.operator_lease(operator_namespace)
        no_lease_in = "" if lease else operator_namespace
    except Refused:
        lease, no_lease_in = None, ""
    return Planet(
        regions=sorted(map(_region, regions), key=lambda r: (r.continent, r.name)),
        deployments=sorted(map(_deployment, deployments), key=lambda d: (d.namespace, d.name)),
        continents=await _display_names(reader),
        operator=lease,
        no_lease_in=no_lease_in,
        reported=any(body.get("status") for body in (*regions, *deployments)),
    )


def planet_text(planet: Planet, now: datetime, *, place: str) -> str:
    """Return what `orrery status` prints where no terminal is."""
    return rendered(*planet_lines(planet, now, place=place))


def planet_lines(planet: Planet, now: datetime, *, place: str) -> list[Any]:
    """Lay out the planet for people."""
    continents = len({region.continent for region in planet.regions})
    since = told_at(planet.operator, now)
    unattended = _no_lease(planet) if since is None else _stale(since, now)
    parts = [line(unattended), line()] if unattended else []
    if not planet.regions:
        parts += [line("no regions: create a Continent, a RegionClass and a Region first")]
    else:
        summary = f"{count(continents, 'continent')}, {count(len(planet.regions), 'region')}"
        parts += [
            line(f"{summary}: {_by_phase(planet.regions)}"),
            line(),
            table(
                ("CONTINENT", "REGION", "PHASE", "NOMAD", "MACHINES", "LAST SEEN"),
                _region_rows(planet, now),
            ),
        ]
    parts.append(line())
    if not planet.deployments:
        return [*parts, line(f"no deployments in {place}")]
    headings = ("NAMESPACE", "NAME", "REGIONS", "READY", "STATUS")
    rows = [(d.namespace, d.name, d.regions, d.ready, d.status) for d in planet.deployments]
    return [*parts, table(headings, rows)]


def told_at(operator: Lease | None, now: datetime) -> datetime | None:
    """Say when an operator last looked; None while one does, or when it is not known."""
    if operator is None:
        return None
    renewed = datetime.fromtimestamp(operator.renewed, UTC)
    expired = (now - renewed).total_seconds() > operator.duration
    return renewed if expired or not operator.holder else None


def _stale(since: datetime, now: datetime) -> str:
    moment = f"{since:%Y-%m-%d %H:%M:%S} UTC"
    return f"no operator has run since {moment}, what follows is {age(text_of(since), now)} old"


def _no_lease(planet: Planet) -> str:
    """Say that there is no lease; an operator may also run without one, or elsewhere."""
    if not planet.no_lease_in:
        return ""
    start = "whether an operator runs is not known" if planet.reported else NEVER
    return f'{start}: there is no lease "{LEASE}" in namespace "{planet.no_lease_in}"'


def _operator_runs(planet: Planet, since: datetime | None) -> bool | None:
    """Tell whether an operator looks after the planet, None when that is not known."""
    if planet.operator is None:
        return False if planet.no_lease_in and not planet.reported else None
    return since is None


def as_json(planet: Planet, now: datetime) -> Document:
    """Return the planet as `-o json` prints it."""
    since = told_at(planet.operator, now)
    continents: dict[str, list[Document]] = {}
    for region in planet.regions:
        continents.setdefault(region.continent, []).append(
            {
                "name": region.name,
                "displayName": region.display_name,
                "phase": region.phase,
                "nomadVersion": region.nomad_version,
                "machines": region.machines,
                "machinesReady": region.machines_ready,
                "lastSeenTime": region.last_seen_time or _seen_by(since, region),
            }
        )
    return {
        "operatorRuns": _operator_runs(planet, since),
        "operatorSeenTime": since and text_of(since),
        "continents": [
            {"name": n, "displayName": planet.continents.get(n) or n, "regions": regions}
            for n, regions in continents.items()
        ],
        "deployments": [
            {
                "namespace": d.namespace,
                "name": d.name,
                "regions": d.regions,
                "ready": d.ready,
                "status": d.status,
            }
            for d in planet.deployments
        ],
    }


async def _display_names(reader: Reader) -> dict[str, str]:
    try:
        found = await reader.list_in(Kind.CONTINENT, "")
    except Refused:
        return {}
    return {body["metadata"]["name"]: body["spec"].get("displayName", "") for body in found}


def _region_rows(planet: Planet, now: datetime) -> Iterable[Sequence[str]]:
    """Write a continent's name once, on its first region."""
    before = ""
    since = told_at(planet.operator, now)
    for region in planet.regions:
        continent = titled(region.continent, planet.continents.get(region.continent))
        yield (
            "" if region.continent == before else continent,
            titled(region.name, region.display_name),
            region.phase,
            region.nomad_version or "-",
            _machines(region),
            _last_seen(region, since, now),
        )
        before = region.continent


def _machines(region: RegionRow) -> str:
    """Count the ready machines; of a region that does not answer, those that were last seen."""
    counted = f"{region.machines_ready}/{region.machines}"
    return f"last {counted}" if region.phase == "Unreachable" else counted


def _last_seen(region: RegionRow, since: datetime | None, now: datetime) -> str:
    seen = region.last_seen_time or _seen_by(since, region)
    if seen:
        return f"{age(seen, now)} ago"
    return "now" if region.phase in USABLE else "-"


def _seen_by(since: datetime | None, region: RegionRow) -> str | None:
    """Say when a region that answered was last seen by an operator that does not look any more."""
    return text_of(since) if since and region.phase in USABLE else None


def _by_phase(regions: Sequence[RegionRow]) -> str:
    phases = [region.phase for region in regions]
    return ", ".join(f"{phases.count(phase)} {phase}" for phase in sorted(set(phases)))


def _region(body: Document) -> RegionRow:
    told = body.get("status") or {}
    data_centers = told.get("dataCenters") or []
    return RegionRow(
        name=body["metadata"]["name"],
        display_name=body["spec"].get("displayName") or body["metadata"]["name"],
        continent=body["spec"].get("continent", ""),
        phase=told.get("phase") or "Pending",
        nomad_version=(told.get("nomad") or {}).get("version", ""),
        machines=sum(d.get("machines", 0) for d in data_centers),
        machines_ready=sum(d.get("ready", 0) for d in data_centers),
        last_seen_time=told.get("lastSeenTime"),
    )


def _deployment(body: Document) -> DeploymentRow:
    told: Mapping[str, Any] = body.get("status") or {}
    display = told.get("display") or {}
    return DeploymentRow(
        namespace=body["metadata"]["namespace"],
        name=body["metadata"]["name"],
        regions=display.get("regions", "-"),
        ready=_ready(told),
        status=display.get("status", "not looked at yet"),
    )


def _ready(told: Mapping[str, Any]) -> str:
    conditions = told.get("conditions") or ()
    return next((c["status"] for c in conditions if c["type"] == "Ready"), "Unknown")
