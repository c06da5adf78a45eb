"""Which events are worth writing. Pure: time is handed in.

An API server keeps each event for an hour; a flapping region could fill it with the same sentence.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from orrery.api.base import API_VERSION, GROUP
from orrery.ports import Document, HubEvent

K = TypeVar("K")
V = TypeVar("V")

CONTROLLER = f"{GROUP}/operator"

REPEAT_AFTER = 300.0
"""Seconds in which the same sentence about the same object is said once."""

BURST = 25
"""Events that one object may have at once."""

REFILL = 30.0
"""Seconds after which it may have one more."""

REMEMBERED = 4096
"""Sentences, and objects, that are kept in mind."""

LONGEST_NOTE = 1024
"""Limit of the events.k8s.io API."""

NAMESPACE_OF_CLUSTER_OBJECTS = "default"


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class EventFilter:
    """Lets through what is new, and not too much of it about one object."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admits(self, event: HubEvent, now: float) -> bool:
        """Tell whether *event* should be written at *now*."""
        sentence = (event.uid, event.reason, event.message)
        said_at = self._said.get(sentence)
        if said_at is not None and now - said_at < REPEAT_AFTER:
            return False
        if not self._take(event.uid, now):
            return False
        _remember(self._said, sentence, now)
        return True

    def _take(self, uid: str, now: float) -> bool:
        bucket = self._buckets.get(uid) or _Bucket(BURST, now)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL)
        bucket.at = now
        _remember(self._buckets, uid, bucket)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)


def render_event(event: HubEvent, *, instance: str, now: float) -> Document:
    """Describe *event* as events.k8s.io/v1 wants it."""
    namespace = event.key.namespace or NAMESPACE_OF_CLUSTER_OBJECTS
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{event.key.name}.{uuid4().hex[:16]}", "namespace": namespace},
        "eventTime": moment,
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": event.reason,
        "reason": event.reason,
        "type": event.type,
        "note": event.message[:LONGEST_NOTE],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": event.key.kind,
            "name": event.key.name,
            "namespace": event.key.namespace,
            "uid": event.uid,
        },
    }
