"""Read Nomad's diff of a job as changes of a deployment's fields. Pure.

Fields that come from a field of the spec carry its name; what has no name there keeps Nomad's path.
What changes with every revision and concerns people only is left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic.alias_generators import to_camel, to_snake

from orrery.ports import Document
from orrery.render.nomad_job import TAG_PROTOCOL, TAG_ROUTE

NONE: Final = "None"
ADDED: Final = "Added"
DELETED: Final = "Deleted"

_SHOWN_MOST: Final = 60
_FOR_PEOPLE: Final = frozenset({"UI"})
_IDENTITIES: Final = ("Name", "Label", "LTarget", "DestPath")

_FIELDS: Final = {
    "count": "scaling.count",
    "resources.cpu": "resources.cpuMHz",
    "resources.memoryMb": "resources.memoryMB",
    "resources.memoryMaxMb": "resources.memoryMaxMB",
    "config.image": "docker.image",
    "config.command": "docker.command",
    "spread": "placement.dataCenters.spread",
}
"""Our names of Nomad's paths; paths that begin alike are renamed by `_PREFIXES`."""

_PREFIXES: Final = {"config.args[": "docker.args["}

_DURATIONS: Final = frozenset(
    {
        "Delay",
        "Grace",
        "HealthyDeadline",
        "Interval",
        "LostAfter",
        "MaxDelay",
        "MinHealthyTime",
        "ProgressDeadline",
        "Timeout",
    }
)
_UNITS: Final = (("h", 3600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6))
_ENV: Final = re.compile(r"Env\[(.*)\]", re.DOTALL)
_TEMPLATE_LINE: Final = re.compile(r"^(\w+)=\{\{", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One field that differs; None stands for a value that is not there."""

    field: str
    old: str | None
    new: str | None
    whole: bool = False
    """Whether *field* is an object that comes or goes as a whole, and *new* says which."""

    def __str__(self) -> str:
        if self.whole:
            return f"{self.field}: {self.new}"
        old, new = (_shown(value) for value in (self.old, self.new))
        return f"{self.field}: {old} -> {new}"


def changes_of(diff: Document) -> tuple[Change, ...]:
    """List what *diff*, Nomad's answer to a plan, changes; sorted by field."""
    found = [*_node("", diff)]
    for group in diff.get("TaskGroups") or ():
        if group.get("Type") == NONE:
            continue
        found += _node("", group)
        for task in group.get("Tasks") or ():
            found += _node("", task)
    return tuple(sorted(set(found)))


def _node(path: str, node: Mapping[str, Any]) -> Iterator[Change]:
    """Walk one level of the diff; objects of one name that came and went are one change."""
    for field in node.get("Fields") or ():
        if field["Type"] != NONE:
            yield _field(path, field)
    objects = [o for o in node.get("Objects") or () if o["Type"] != NONE]
    for name in sorted({o["Name"] for o in objects} - _FOR_PEOPLE):
        alike = [o for o in objects if o["Name"] == name]
        yield from _AS_SETS[name](alike) if name in _AS_SETS else _objects(path, name, alike)


def _field(path: str, field: Mapping[str, Any]) -> Change:
    name = str(field["Name"])
    old = None if field["Type"] == ADDED else _value(name, field["Old"])
    new = None if field["Type"] == DELETED else _value(name, field["New"])
    variable = _ENV.fullmatch(name)
    if variable:
        return Change(f"env.{variable[1]}", old, new)
    return Change(_ours(_join(path, name)), old, new)


def _objects(path: str, name: str, objects: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    for item in objects:
        below = _join(path, name)
        identity = _identity(item)
        if name == "Check":
            below = f"healthChecks[{identity}]"
        elif name == "Service":
            below = f"service[{identity}]"
        if item["Type"] == ADDED:
            yield Change(_ours(below), None, "added", whole=True)
        elif item["Type"] == DELETED:
            yield Change(_ours(below), None, "removed", whole=True)
        else:
            yield from _node(below, item)


def _ports(networks: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    ports = [
        (item["Type"], int(label.removeprefix("p")))
        for network in networks
        for item in network.get("Objects") or ()
        if (label := _identity(item)).removeprefix("p").isdecimal()
    ]
    yield from _came_and_went("ports", ports)


def _template(templates: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """Show which variables come from Secrets; the template itself is ours."""
    sides: list[tuple[str, Any]] = []
    for template in templates:
        for field in template.get("Fields") or ():
            if field["Name"] == "EmbeddedTmpl":
                sides += [(DELETED, v) for v in _TEMPLATE_LINE.findall(field["Old"] or "")]
                sides += [(ADDED, v) for v in _TEMPLATE_LINE.findall(field["New"] or "")]
    yield from _came_and_went("env from Secrets", sides)


def _tags(tags: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    values = [
        (f["Type"], (f["New"] or f["Old"]).partition("=")[::2])
        for tag in tags
        for f in tag.get("Fields") or ()
    ]
    for key, field in ((TAG_ROUTE, "routes"), (TAG_PROTOCOL, "ports.protocol")):
        yield from _came_and_went(field, [(t, v) for t, (k, v) in values if k == key])
    ours = {TAG_ROUTE, TAG_PROTOCOL}
    others = [(t, f"{k}={v}" if v else k) for t, (k, v) in values if k not in ours]
    yield from _came_and_went("service.tags", others)


def _data_centers(affinities: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    sides = []
    for affinity in affinities:
        for field in affinity.get("Fields") or ():
            if field["Name"] == "RTarget" and field["Type"] != NONE:
                sides += [(DELETED, field["Old"])] if field["Old"] else []
                sides += [(ADDED, field["New"])] if field["New"] else []
    yield from _came_and_went("placement.dataCenters.preferred", sides)


_AS_SETS: Final = {
    "Network": _ports,
    "Template": _template,
    "Tags": _tags,
    "Affinity": _data_centers,
}
"""Objects that Nomad replaces as a whole, in ours one list."""


def _came_and_went(field: str, sides: Sequence[tuple[str, Any]]) -> Iterator[Change]:
    """Show the two sides of a list; what stands unchanged in between is part of both."""
    old = sorted({value for kind, value in sides if kind != ADDED})
    new = sorted({value for kind, value in sides if kind != DELETED})
    if old != new:
        before, after = (", ".join(map(str, side)) or None for side in (old, new))
        yield Change(field, before, after)


def _identity(item: Mapping[str, Any]) -> str:
    fields = {field["Name"]: field["New"] or field["Old"] for field in item.get("Fields") or ()}
    return next((str(fields[key]) for key in _IDENTITIES if fields.get(key)), "")


def _ours(path: str) -> str:
    for prefix, ours in _PREFIXES.items():
        if path.startswith(prefix):
            return ours + path.removeprefix(prefix)
    return _FIELDS.get(path, path)


def _join(path: str, name: str) -> str:
    """Write Nomad's names as ours are written; the part in brackets is the user's."""
    word, bracket, rest = name.partition("[")
    step = to_camel(to_snake(word.replace(" ", ""))) + bracket + rest
    return f"{path}.{step}" if path else step


def _value(name: str, text: str) -> str:
    return _duration(int(text)) if name in _DURATIONS and text.isdecimal() else text


def _duration(nanoseconds: int) -> str:
    """Write a duration as users do, as in ``1m30s``."""
    parts = []
    for unit, size in _UNITS:
        number, nanoseconds = divmod(nanoseconds, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def _shown(value: str | None) -> str:
    if value is None:
        return "none"
    text = value or '""'
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}..."
