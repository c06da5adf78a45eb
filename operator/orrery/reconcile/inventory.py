"""What the hub holds, as last told by its watch: kept compact, compared by what matters.

The inventory is a cache to decide *when* to look. Before anything destructive the object is read
fresh from the hub.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from orrery import names
from orrery.api.base import GROUP
from orrery.ports import Document, Key, Kind

Signature = tuple[object, ...]


class Inventory:
    """Objects of the hub by key, each held as JSON text: a tenth of the memory of the objects."""

    def __init__(self) -> None:
        self._bodies: dict[Key, bytes] = {}
        self._signatures: dict[Key, Signature] = {}

    def put(self, kind: Kind, body: Mapping[str, Any]) -> Key | None:
        """Remember *body*; return its key when it changed in a way that asks for a reconcile.

        Our own status writes come back through the watch: they change nothing that counts here.
        """
        key = key_of(kind, body)
        signature = _signature(body)
        self._bodies[key] = orjson.dumps(_trimmed(body))
        if self._signatures.get(key) == signature:
            return None
        self._signatures[key] = signature
        return key

    def remove(self, kind: Kind, body: Mapping[str, Any]) -> Key:
        """Forget the very object that *body* was, and return its key.

        The end of an object may be told after the beginning of another one of the same name.
        """
        key = key_of(kind, body)
        held = self.get(key)
        if held is not None and held["metadata"].get("uid") == body["metadata"].get("uid"):
            del self._bodies[key]
            del self._signatures[key]
        return key

    def replace_all(self, kind: Kind, bodies: Sequence[Document]) -> list[Key]:
        """Take a full list as the truth; return the keys that changed, or are gone."""
        listed = {key_of(kind, body) for body in bodies}
        changed = [key for body in bodies if (key := self.put(kind, body)) is not None]
        for key in [k for k in self.keys(kind) if k not in listed]:
            del self._bodies[key]
            self._signatures.pop(key, None)
            changed.append(key)
        return changed

    def get(self, key: Key) -> dict[str, Any] | None:
        """Return a fresh copy of an object, None when it is not known."""
        body = self._bodies.get(key)
        return None if body is None else orjson.loads(body)

    def __contains__(self, key: Key) -> bool:
        return key in self._bodies

    def keys(self, kind: Kind) -> Iterator[Key]:
        """Iterate over the keys of *kind*."""
        return iter([key for key in self._bodies if key.kind is kind])


def key_of(kind: Kind, body: Mapping[str, Any]) -> Key:
    """Name the object that *body* is."""
    metadata = body["metadata"]
    return Key(kind, metadata.get("namespace", ""), metadata["name"])


def _signature(body: Mapping[str, Any]) -> Signature:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        names.FINALIZER in (metadata.get("finalizers") or ()),
        annotations.get(names.ANNOTATION_RECONCILE_AT),
        tuple(sorted((metadata.get("labels") or {}).items())),
    )


def _trimmed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what nobody reads: managed fields, and kubectl's copy of the whole object."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if name.startswith(f"{GROUP}/")
    }
    return {**body, "metadata": {**metadata, "annotations": annotations}}
