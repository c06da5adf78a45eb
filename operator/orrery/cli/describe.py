"""`orrery describe`: one object as a tree, with its conditions and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from orrery.cli.describekinds import checks_table, class_tree, continent_tree
from orrery.cli.hub import Reader, Target, ask, find, hub_options, parse_reference
from orrery.cli.output import (
    JSON,
    Branch,
    age,
    count,
    line,
    output_option,
    parse_time,
    show,
    show_json,
    table,
    titled,
)
from orrery.errors import Refused
from orrery.ports import Document, Key, Kind

KINDS: Final = (Kind.GLOBAL_DEPLOYMENT, Kind.REGION, Kind.CONTINENT, Kind.REGION_CLASS)
EVENTS_SHOWN: Final = 10

_WORST_FIRST: Final = (
    "Failed",
    "Degraded",
    "Unreachable",
    "Updating",
    "Pending",
    "Stopping",
    "Healthy",
)


@dataclass(frozen=True, slots=True)
class Fold:
    """Regions of one continent that are alike."""

    regions: tuple[str, ...]
    phase: str
    ready: str
    revision: str
    reason: str
    message: str


_EXAMPLE: Final = """\b
Example:
  $ orrery describe gd/shop -n team-a
"""


@click.command(epilog=_EXAMPLE)
@click.argument("object_", metavar="KIND/NAME")
@hub_options()
@output_option
def describe(target: Target, object_: str, output: str) -> None:
    """Show one object as a tree: what it is made of, how it does, what happened.

    Regions of a continent that are alike share a line; those with a problem stand first.
    """
    kind, name = parse_reference(object_, KINDS)

    async def gather(reader: Reader) -> tuple[Document, Sequence[Document], Document | None]:
        body = await find(reader, kind, name, target)
        return body, await reader.events_of(body), await continent_of(reader, body)

    body, events, continent = ask(target, gather)
    if output == JSON:
        show_json(as_json(body, events))
    else:
        show(*description(body, events, datetime.now(UTC), continent))


async def continent_of(reader: Reader, body: Document) -> Document | None:
    """Read the continent of a Region, for its name only: None when that is not possible."""
    if body["kind"] != Kind.REGION:
        return None
    try:
        return await reader.read(Key(Kind.CONTINENT, "", body["spec"]["continent"]))
    except Refused:
        return None


def fold(regions: Mapping[str, Mapping[str, Any]]) -> list[Fold]:
    """Group the regions of a continent that are alike: problems first, then by name."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, state in sorted(regions.items()):
        fields = ("phase", "ready", "revision", "reason", "message")
        groups.setdefault(tuple(str(state.get(f) or "") for f in fields), []).append(name)
    folds = [Fold(tuple(names), *alike) for alike, names in groups.items()]
    return sorted(folds, key=lambda f: (_severity(f.phase), f.regions))


def description(
    body: Document, events: Sequence[Document], now: datetime, continent: Document | None = None
) -> list[Any]:
    """Lay out an object for people."""
    told = body.get("status") or {}
    parts: list[Any] = [_tree(body, now, continent)]
    if body["kind"] == Kind.REGION:
        parts += checks_table(told, now)
    conditions = told.get("conditions") or ()
    if conditions:
        headings = ("CONDITION", "STATUS", "REASON", "AGE", "MESSAGE")
        rows = [
            (c["type"], c["status"], c["reason"], age(c["lastTransitionTime"], now), c["message"])
            for c in conditions
        ]
        parts += [line(), table(headings, rows)]
    parts.append(line())
    if not events:
        return [*parts, line("no recent events")]
    happened = [
        (age(_when(e), now), e.get("type") or "", e.get("reason") or "", e.get("message") or "")
        for e in _newest(events)
    ]
    return [*parts, table(("AGE", "EVENT", "REASON", "MESSAGE"), happened)]


def _tree(body: Document, now: datetime, continent: Document | None) -> Branch:
    match body["kind"]:
        case Kind.REGION:
            return _region(body, now, continent)
        case Kind.CONTINENT:
            return continent_tree(body, now)
        case Kind.REGION_CLASS:
            return class_tree(body)
    return _deployment(body)


def as_json(body: Document, events: Sequence[Document]) -> Document:
    """Return what `-o json` prints: the object's state without what Kubernetes adds."""
    metadata, told = body["metadata"], body.get("status") or {}
    return {
        "kind": body["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "generation": metadata.get("generation", 0),
        "deletionTimestamp": metadata.get("deletionTimestamp"),
        "spec": body["spec"],
        "status": told,
        "events": [
            {
                "time": _when(event),
                "type": event.get("type") or "",
                "reason": event.get("reason") or "",
                "message": event.get("message") or "",
            }
            for event in _newest(events)
        ],
    }


def _deployment(body: Document) -> Branch:
    metadata, told = body["metadata"], body.get("status") or {}
    display, spec = told.get("display") or {}, body["spec"]
    continents = tuple(
        Branch(continent["name"], tuple(map(_folded, fold(continent.get("regions") or {}))))
        for continent in told.get("continents") or ()
    )
    name = f"{metadata['namespace']}/{metadata['name']}"
    return Branch(
        f"GlobalDeployment {name}: {display.get('regions', '0/0')} regions ready",
        (
            Branch(f"{spec['type']} {spec['docker']['image']}"),
            *_notes(body),
            *(continents or (Branch("in no region yet"),)),
        ),
    )


def _folded(alike: Fold) -> Branch:
    revision = f" at {alike.revision}" if alike.revision else ""
    state = f"{alike.phase.lower()} {alike.ready}".rstrip() + revision
    if len(alike.regions) == 1:
        label = f"{alike.regions[0]} {state}"
    else:
        label = f"{count(len(alike.regions), 'region')} {state}: {', '.join(alike.regions)}"
    why = ": ".join(text for text in (alike.reason, alike.message) if text)
    return Branch(label, (Branch(why),) if why else ())


def _place(location: Mapping[str, Any]) -> str:
    """Say where on Earth a region is, as in ``Frankfurt, DE, 50.11 N 8.68 E``."""
    parts = [str(location[part]) for part in ("city", "country") if location.get(part)]
    degrees = [
        f"{abs(location[axis]):g} {letters[location[axis] < 0]}"
        for axis, letters in (("latitude", "NS"), ("longitude", "EW"))
        if location.get(axis) is not None
    ]
    return ", ".join([*parts, *([" ".join(degrees)] if degrees else [])])


def _region(body: Document, now: datetime, continent: Document | None) -> Branch:
    metadata, spec, told = body["metadata"], body["spec"], body.get("status") or {}
    place = _place(spec.get("location") or {})
    nomad = told.get("nomad") or {}
    seen = told.get("lastSeenTime")
    phase = told.get("phase") or "Pending"
    since = f", last seen {age(seen, now)} ago" if seen else ""
    then = ", when last seen" if phase == "Unreachable" else ""
    capacity, orphans = told.get("capacity"), told.get("orphans")
    around = titled(spec["continent"], continent["spec"].get("displayName") if continent else None)
    facts = [
        f"continent {around}, class {spec['class']}" + (f", {place}" if place else ""),
        f"Nomad {nomad.get('version') or 'unknown'} at {_address(spec, told) or 'no address yet'}",
    ]
    if expires := (told.get("controlPlane") or {}).get("expires"):
        facts.append(f"control plane: the first certificate expires at {expires}")
    if capacity:
        cpu, memory = (capacity.get(key, 0) for key in ("cpuMHz", "memoryMB"))
        facts.append(f"capacity {cpu} MHz, {memory} MiB memory{then}")
    if orphans:
        names = ", ".join(orphans.get("names") or ())
        facts.append(f"{count(orphans['count'], 'job')} without an owner, left alone: {names}")
    machines = [
        Branch(
            f"data center {d['name']}: {d.get('ready', 0)}/{d.get('machines', 0)} machines{then}"
        )
        for d in told.get("dataCenters") or ()
    ]
    return Branch(
        f"Region {titled(metadata['name'], spec.get('displayName'))}: {phase}{since}",
        (*map(Branch, facts), *_notes(body), *machines),
    )


def _address(spec: Document, told: Document) -> str:
    """Name the address of a region's Nomad: given for an External one, else the load balancer's."""
    external = (spec.get("controlPlane") or {}).get("external")
    address = (told.get("controlPlane") or {}).get("address")
    return str(external["nomadAddress"] if external else address or "")


def _ready(data_center: Mapping[str, Any]) -> str:
    return f"{data_center.get('ready', 0)}/{data_center.get('machines', 0)}"


def _notes(body: Document) -> list[Branch]:
    """Say what makes the status something else than the whole truth."""
    metadata, told = body["metadata"], body.get("status") or {}
    observed, generation = told.get("observedGeneration"), metadata.get("generation", 0)
    notes = []
    if metadata.get("deletionTimestamp"):
        notes.append("is being deleted")
    if observed is None:
        notes.append("the operator has not looked at it yet")
    elif observed < generation:
        notes.append(
            f"the operator has not looked at the newest spec yet: it saw generation {observed},"
            f" now it is {generation}"
        )
    if body["spec"].get("paused"):
        notes.append("paused: nothing is written to any region")
    return [Branch(note) for note in notes]


def _severity(phase: str) -> int:
    return _WORST_FIRST.index(phase) if phase in _WORST_FIRST else 0


def _newest(events: Sequence[Document]) -> list[Document]:
    start = datetime.fromtimestamp(0, UTC)
    newest = sorted(events, key=lambda e: parse_time(_when(e)) or start, reverse=True)
    return newest[:EVENTS_SHOWN]


def _when(event: Document) -> str | None:
    """Return when an event last happened, by whichever of its fields is filled in."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    )
    return next((str(time) for time in times if time), None)
