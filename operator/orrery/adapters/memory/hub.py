"""An API server in memory: objects with resource versions, generations, finalizers, deletion."""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from orrery.adapters.memory.documents import copied
from orrery.adapters.memory.worldclock import now_text
from orrery.errors import Conflict
from orrery.names import FIELD_MANAGER, LABEL_MANAGED_BY
from orrery.ports import Document, HubEvent, Key, Kind, Secret
from orrery.ports.hub import foreign_secret, is_own

T = TypeVar("T")

Observer = Callable[[Kind, str | None, Mapping[str, Any]], None]


class MemoryHub:
    """An API server in memory: the port `Hub`, and what users do to it.

    Each call takes *latency* seconds; the watch tells of a change *lag* seconds after it.
    """

    def __init__(self, *, latency: float = 0.0, lag: float = 0.0) -> None:
        self.latency = latency
        self.lag = lag
        self.objects: dict[Key, dict[str, Any]] = {}
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.namespace_labels: dict[str, dict[str, str]] = {}
        """Labels by name."""
        self.events: list[HubEvent] = []
        self.writes: Counter[str] = Counter()
        """Writes of ours by verb: status, finalizer, event, secret."""
        self.leaving: set[Kind] = set()
        """Kinds whose definition is being deleted."""
        self.observer: Observer | None = None
        self._versions = itertools.count(1)
        self._late: deque[tuple[Observer, tuple[Kind, str, dict[str, Any]]]] = deque()

    def apply(self, kind: Kind, document: Mapping[str, Any]) -> Key:
        """Create or change an object as a user does; the same spec again changes nothing."""
        metadata = document["metadata"]
        key = Key(kind, metadata.get("namespace", ""), metadata["name"])
        held = self.objects.get(key)
        if held is None:
            created = copied(document)
            created["metadata"] |= {
                "uid": f"uid-{next(self._versions)}",
                "generation": 1,
                "creationTimestamp": now_text(),
            }
            self._store(key, created, "ADDED")
            return key
        changed = copied(held)
        changed["spec"] = copied(document.get("spec"))
        for part in ("labels", "annotations"):
            if part in metadata:
                changed["metadata"][part] = dict(metadata[part])
        if changed == held:
            return key
        if changed["spec"] != held["spec"]:
            changed["metadata"]["generation"] += 1
        self._store(key, changed, "MODIFIED")
        return key

    def delete(self, key: Key) -> None:
        """Delete an object as a user does: at once, or when its last finalizer goes."""
        held = copied(self.objects[key])
        if held["metadata"].get("finalizers"):
            held["metadata"]["deletionTimestamp"] = now_text()
            held["metadata"]["generation"] += 1
            self._store(key, held, "MODIFIED")
        else:
            self._remove(key)

    async def read(self, key: Key) -> Document | None:
        """Read one object."""
        await asyncio.sleep(self.latency)
        return copied(self.objects.get(key))

    async def list(self, kind: Kind, take: Callable[[Document], T]) -> Sequence[T]:
        """Take all objects of *kind*, as they are when the list is asked for."""
        found = [copied(body) for key, body in self.objects.items() if key.kind is kind]
        await asyncio.sleep(self.latency)
        return [take(body) for body in found]

    async def list_namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """List the namespaces."""
        await asyncio.sleep(self.latency)
        return copied(self.namespace_labels)

    async def is_leaving(self, kind: Kind) -> bool:
        """Tell whether the definition of *kind* is being deleted."""
        await asyncio.sleep(self.latency)
        return kind in self.leaving

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Read a Secret."""
        await asyncio.sleep(self.latency)
        return self.secrets.get((namespace, name))

    async def write_secret(self, secret: Secret) -> None:
        """Create or replace a Secret of our own."""
        await asyncio.sleep(self.latency)
        place = secret.namespace, secret.name
        held = self.secrets.get(place)
        if held is not None and not is_own(held.labels):
            raise foreign_secret(*place)
        self.writes["secret"] += 1
        self.secrets[place] = replace(secret, labels={LABEL_MANAGED_BY: FIELD_MANAGER})

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret of our own."""
        await asyncio.sleep(self.latency)
        held = self.secrets.get((namespace, name))
        if held is not None and is_own(held.labels):
            self.writes["secret"] += 1
            del self.secrets[namespace, name]

    async def write_status(self, key: Key, uid: str, status: Document) -> None:
        """Replace the status of the very object with *uid*."""
        await asyncio.sleep(self.latency)
        held = self._held(key, uid)
        self.writes["status"] += 1
        if held.get("status") != status:
            self._store(key, {**held, "status": copied(status)}, "MODIFIED")

    async def add_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Add *finalizer*."""
        await asyncio.sleep(self.latency)
        held = self._held(key, uid)
        finalizers = held["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            self.writes["finalizer"] += 1
            finalizers.append(finalizer)
            self._store(key, held, "MODIFIED")

    async def remove_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Remove *finalizer*; the object goes with the last one."""
        await asyncio.sleep(self.latency)
        if key not in self.objects or self.objects[key]["metadata"]["uid"] != uid:
            return
        held = self._held(key, uid)
        if finalizer in held["metadata"].get("finalizers", ()):
            self.writes["finalizer"] += 1
            held["metadata"]["finalizers"].remove(finalizer)
            self._store(key, held, "MODIFIED")
        if held["metadata"].get("deletionTimestamp") and not held["metadata"]["finalizers"]:
            self._remove(key)

    async def emit_event(self, event: HubEvent) -> None:
        """Record an event."""
        await asyncio.sleep(self.latency)
        self.writes["event"] += 1
        self.events.append(event)

    def _held(self, key: Key, uid: str) -> dict[str, Any]:
        held = self.objects.get(key)
        if held is None or held["metadata"]["uid"] != uid:
            raise Conflict("ObjectGone", f"{key} is gone or was created anew")
        return copied(held)

    def _store(self, key: Key, body: dict[str, Any], event_type: str) -> None:
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[key] = body
        self._tell(key.kind, event_type, body)

    def _remove(self, key: Key) -> None:
        self._tell(key.kind, "DELETED", self.objects.pop(key))

    def _tell(self, kind: Kind, event_type: str, body: Mapping[str, Any]) -> None:
        if self.observer is None:
            return
        news = kind, event_type, copied(body)
        if self.lag:
            self._late.append((self.observer, news))
            asyncio.get_running_loop().call_later(self.lag, self._tell_late)
        else:
            self.observer(*news)

    def _tell_late(self) -> None:
        observer, news = self._late.popleft()  # In order, whatever the timers say.
        if observer is self.observer:
            observer(*news)
