"""Server-side apply in memory: what one manager applied, and what others added beside it.

Written apart from what judges drift, so that a mistake in one of the two shows in the other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery.ports import Document

Path = tuple[str, ...]

_TCP: Final = {"protocol": "TCP"}
"""What the API server fills in where a key of a list has no value."""

_KEYS: Final[Mapping[str, Sequence[str]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ownerReferences": ("uid",),
}


def merge(path: Path, live: Any, wanted: Any, before: Any) -> Any:
    """Lay *wanted* over *live*, and take away what of *before* is not wanted any more."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return {key: merge((*path, key), None, wanted[key], None) for key in wanted}
        held = before if isinstance(before, Mapping) else {}
        kept = _without(path, live, {k: v for k, v in held.items() if k not in wanted})
        laid = {
            key: merge((*path, key), live.get(key), value, held.get(key))
            for key, value in wanted.items()
        }
        return {**kept, **laid}
    keys = _keys_of(path)
    if keys and isinstance(wanted, list):
        theirs, ours, old = (_by_key(items, keys) for items in (live, wanted, before))
        gone = {key: item for key, item in old.items() if key not in ours}
        kept = {k: _without(path, v, gone[k]) if k in gone else v for k, v in theirs.items()}
        laid = {k: merge(path, theirs.get(k), v, old.get(k)) for k, v in ours.items()}
        return [item for item in {**kept, **laid}.values() if item]
    return wanted


def fields(path: Path, value: Any) -> dict[str, Any]:
    """Write down which fields *value* sets, as ``managedFields`` has them."""
    if isinstance(value, Mapping):
        return {f"f:{key}": fields((*path, key), value[key]) for key in value}
    keys = _keys_of(path)
    if keys and isinstance(value, list):
        return {
            f"k:{key}": {".": {}, **fields(path, item)}
            for key, item in _by_key(value, keys).items()
        }
    return {}


def owned(manifest: Document) -> dict[str, Any]:
    """Write down which fields of an object *manifest* sets; its name is nobody's."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in {"name", "namespace"}}
    body = {k: v for k, v in manifest.items() if k not in {"apiVersion", "kind"}}
    return fields((), {**body, "metadata": metadata})


def _without(path: Path, live: Any, gone: Any) -> Any:
    """Take the fields of *gone* away from *live*; what others set below them stays."""
    if isinstance(live, Mapping) and isinstance(gone, Mapping):
        rest = {k: _without((*path, k), v, gone[k]) if k in gone else v for k, v in live.items()}
        return {key: value for key, value in rest.items() if key not in gone or value}
    keys = _keys_of(path)
    if keys and isinstance(live, list):
        old = _by_key(gone, keys)
        rest = {
            k: _without(path, v, old[k]) if k in old else v for k, v in _by_key(live, keys).items()
        }
        return [item for item in rest.values() if item]
    return None


def _keys_of(path: Path) -> Sequence[str]:
    match path:
        case (*_, "containers" | "initContainers", "ports"):
            return ("containerPort", "protocol")
        case ("spec", "ports"):
            return ("port", "protocol")
        case (*_, name):
            return _KEYS.get(name, ())
        case _:
            return ()


def _by_key(items: Any, keys: Sequence[str]) -> dict[str, Any]:
    if not isinstance(items, list):
        return {}
    return {
        json.dumps({key: item.get(key, _TCP.get(key)) for key in keys}, separators=(",", ":")): item
        for item in items
    }
