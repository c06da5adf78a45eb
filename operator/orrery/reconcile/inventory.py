"""What the hub holds, as last told by its watch: kept compact, compared by what matters.

The inventory is a cache to decide *when* to look. Before anything destructive the object is read
fresh from the hub.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from orrery import names
from orrery.api.base import GROUP
from orrery.ports import Key, Kind

PACKING = 1
"""The quickest: a status of a hundred regions shrinks to a fifteenth within 0.03 ms."""

ENDED_MAX = 10_000
"""Objects that are known to have ended: their uids are kept, the latest ones."""

Signature = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """One object as the inventory holds it: a hundredth of the memory of the object itself."""

    key: Key
    text: bytes
    signature: Signature
    version: str
    settled: bool
    """Whether its status tells of its latest generation, and nobody deletes it."""

    @property
    def uid(self) -> object:
        """The uid of the object, None for one that was never stored."""
        return self.signature[0]


class Inventory:
    """Objects of the hub by key."""

    def __init__(self) -> None:
        self._objects: dict[Key, Packed] = {}
        self._told: dict[Key, int] = {}
        """When the watch last told of an object, gone ones included, as counted by `mark`."""
        self._count = 0
        self._ended: dict[str, None] = {}
        """Uids of objects that are gone for good, oldest first: a stale list still shows them."""
        self._doubts: dict[Key, str] = {}
        """Versions of what the last list showed and was known to be past."""

    def mark(self) -> int:
        """Return a mark to take before a list is asked for."""
        self._count += 1
        return self._count

    def put(self, kind: Kind, body: Mapping[str, Any]) -> Key | None:
        """Remember *body*; return its key when it changed in a way that asks for a reconcile.

        Our own status writes come back through the watch: they change nothing that counts here.
        """
        packed = pack(kind, body)
        self._told[packed.key] = self._count
        return packed.key if not self._is_past(packed) and self._take(packed) else None

    def remove(self, kind: Kind, body: Mapping[str, Any]) -> Key:
        """Forget the very object that *body* was, and return its key.

        The end of an object may be told after the beginning of another one of the same name.
        """
        key = key_of(kind, body)
        self._told[key] = self._count
        uid = body["metadata"].get("uid")
        if uid is not None:
            self._note_end(uid)
        held = self._objects.get(key)
        if held is not None and held.uid == uid:
            del self._objects[key]
        return key

    def replace_all(self, kind: Kind, objects: Sequence[Packed], *, since: int) -> list[Key]:
        """Take a full list as the truth; return the keys that changed, or are gone.

        A list shows the hub as it was when its first page was read. What the watch has told since
        the mark *since*, which was taken before that, stands. So does what is known to be newer: an
        API server that lags shows the hub as it was. The same in two lists in a row is believed:
        the hub was restored.
        """
        listed = {packed.key: packed for packed in objects}
        told = {key for key, count in self._told.items() if count >= since}
        doubts = {
            key: packed.version
            for key, packed in listed.items()
            if key not in told and self._is_past(packed)
        }
        past = {key for key, version in doubts.items() if self._doubts.get(key) != version}
        self._doubts = {k: v for k, v in self._doubts.items() if k.kind is not kind} | doubts
        changed = [
            key
            for key, packed in listed.items()
            if key not in told and key not in past and self._take(packed)
        ]
        for key in [k for k in self.keys(kind) if k not in listed and k not in told]:
            del self._objects[key]
            changed.append(key)
        self._told = {key: self._told[key] for key in told}
        return changed

    def get(self, key: Key) -> dict[str, Any] | None:
        """Return a fresh copy of an object, None when it is not known."""
        packed = self._objects.get(key)
        return None if packed is None else orjson.loads(zlib.decompress(packed.text))

    def _take(self, packed: Packed) -> bool:
        """Hold *packed* from now on; tell whether that asks for a reconcile."""
        held = self._objects.get(packed.key)
        self._ended.pop(str(packed.uid), None)
        self._objects[packed.key] = packed
        return held is None or held.signature != packed.signature

    def _note_end(self, uid: str) -> None:
        self._ended[uid] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def _is_past(self, packed: Packed) -> bool:
        """Tell whether *packed* is an earlier state of the object than what is known of it.

        The watch may lag behind a list. Versions of one object are numbers that grow: clients may
        compare them since Kubernetes 1.35, and could before in all that keep their objects in etcd.
        """
        if packed.uid in self._ended:
            return True
        held = self._objects.get(packed.key)
        if held is None or held.uid != packed.uid:
            return False
        version, known = packed.version, held.version
        return version.isdecimal() and known.isdecimal() and int(version) < int(known)

    def is_settled(self, key: Key) -> bool:
        """Tell whether nobody waits for *key*, as for one that was changed, or is gone."""
        packed = self._objects.get(key)
        return packed is not None and packed.settled

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def keys(self, kind: Kind) -> Iterator[Key]:
        """Iterate over the keys of *kind*."""
        return iter([key for key in self._objects if key.kind is kind])


def key_of(kind: Kind, body: Mapping[str, Any]) -> Key:
    """Name the object that *body* is."""
    metadata = body["metadata"]
    return Key(kind, metadata.get("namespace", ""), metadata["name"])


def pack(kind: Kind, body: Mapping[str, Any]) -> Packed:
    """Make of *body* what the inventory holds."""
    return Packed(
        key=key_of(kind, body),
        text=zlib.compress(orjson.dumps(_trimmed(body)), PACKING),
        signature=_signature(body),
        version=str(body["metadata"].get("resourceVersion") or ""),
        settled=_is_settled(body),
    )


def _is_settled(body: Mapping[str, Any]) -> bool:
    metadata, status = body["metadata"], body.get("status") or {}
    told = status.get("observedGeneration") == metadata.get("generation")
    return told and not metadata.get("deletionTimestamp")


def _signature(body: Mapping[str, Any]) -> Signature:
    metadata = body["metadata"]
    annotations = (metadata.get("annotations") or {}).items()
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        names.FINALIZER in (metadata.get("finalizers") or ()),
        tuple(sorted((name, value) for name, value in annotations if name.startswith(GROUP))),
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
