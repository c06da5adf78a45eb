"""Tell in what a job that was read differs from the one that is wanted.

Pure. Judged on the fields that are written, against Nomad's reading of them: Nomad fills in
defaults, drops what is empty, and keeps objects in lists by their names.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orrery.ports import Document

_MISSING: Final = object()

_FOR_PEOPLE: Final = frozenset({"UI"})
"""Job fields that are no part of what is wanted."""

_WHOLE: Final = frozenset({"Meta", "Env", "Config"})
"""Maps that are ours entirely: an additional key differs. Their values are never quoted, since
users put secrets where they do not belong."""

_KEYS: Final = ("Name", "Label", "DestPath", "Attribute", "LTarget", "Value")
"""What names an object in a list, the first that it has."""

_QUOTED_MAX: Final = 60


def differences(wanted: Document, seen: Document) -> list[str]:
    """List the fields of *wanted* that *seen* has differently, as ``path: wanted -> seen``.

    Sorted; an empty list means that nobody changed what we wrote.
    """
    fields = {key: value for key, value in wanted.items() if key not in _FOR_PEOPLE}
    return sorted(_mapping("", fields, seen))


def _compare(path: str, wanted: Any, seen: Any) -> Iterator[str]:
    if _is_empty(wanted) and _is_empty(seen):
        return
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping | None):
        yield from _mapping(path, wanted, seen or {})
    elif _is_objects(wanted) and _is_objects(seen or []):
        yield from _objects(path, wanted, seen or [])
    elif _is_objects(seen) and not wanted:
        yield from _objects(path, [], seen)
    elif wanted != seen:
        yield f"{path}: {_quote(wanted)} -> {_quote(seen)}"


def _mapping(path: str, wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    for key, value in wanted.items():
        field = f"{path}.{key}" if path else key
        theirs = seen.get(key)
        if key in _WHOLE and isinstance(value, Mapping) and isinstance(theirs, Mapping | None):
            yield from _whole(field, value, theirs or {})
        else:
            yield from _compare(field, value, theirs)


def _whole(path: str, wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    for key in wanted.keys() | seen.keys():
        ours, theirs = wanted.get(key, _MISSING), seen.get(key, _MISSING)
        if ours == theirs:
            continue
        if ours is _MISSING:
            yield f"{path}.{key}: added"
        elif theirs is _MISSING:
            yield f"{path}.{key}: removed"
        else:
            yield f"{path}.{key}: changed"


def _objects(
    path: str, wanted: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    ours, theirs = _by_name(wanted), _by_name(seen)
    for name in ours.keys() | theirs.keys():
        item = f"{path}[{name}]"
        if name not in ours:
            yield f"{item}: added"
        elif name not in theirs:
            yield f"{item}: removed"
        else:
            yield from _mapping(item, ours[name], theirs[name])


def _by_name(objects: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Key *objects* by their names; those without a name, or of a name twice, by their position."""
    named: dict[str, Mapping[str, Any]] = {}
    for position, item in enumerate(objects):
        name = next((str(item[key]) for key in _KEYS if item.get(key)), str(position))
        named[f"{name}#{position}" if name in named else name] = item
    return named


def _is_objects(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _is_empty(value: Any) -> bool:
    return (
        value is None
        or value in (0, "", False)
        or (isinstance(value, Mapping | list | tuple) and not value)
    )


def _quote(value: Any) -> str:
    text = "none" if _is_empty(value) and value != 0 else str(value)
    return text if len(text) <= _QUOTED_MAX else f"{text[:_QUOTED_MAX]}..."
