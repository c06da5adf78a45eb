"""The event stream: what happened, in order, as long as the buffer holds it."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ALL = "*"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one object; the payload is made when somebody asks."""

    topic: str
    type: str
    key: str
    namespace: str
    filter_keys: tuple[str, ...]
    index: int
    payload: Callable[[], Mapping[str, Any]]

    def document(self) -> dict[str, Any]:
        """Render the event as a line of the stream shows it."""
        return {
            "Topic": self.topic,
            "Type": self.type,
            "Key": self.key,
            "Namespace": self.namespace,
            "FilterKeys": list(self.filter_keys) or None,
            "Index": self.index,
            "Payload": self.payload(),
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one raft index; one index may have more than one batch."""

    number: int
    """Counts batches, also those that the buffer no longer holds."""
    index: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """What a subscriber asked for: keys by topic, and the namespaces it may see."""

    topics: Mapping[str, frozenset[str]]
    namespaces: frozenset[str] | None
    """None: all, also of topics without a namespace."""
    cluster: bool = True
    """Whether events of no namespace are shown."""

    def wants(self, event: Event) -> bool:
        """Tell whether *event* is shown."""
        if not event.namespace:
            if not self.cluster:
                return False
        elif self.namespaces is not None and event.namespace not in self.namespaces:
            return False
        keys = self.topics.get(event.topic, frozenset()) | self.topics.get(ALL, frozenset())
        return ALL in keys or event.key in keys or any(key in keys for key in event.filter_keys)


class Broker:
    """A bounded buffer of batches; the oldest are forgotten without a word."""

    def __init__(self, size: int) -> None:
        self._batches: deque[Batch] = deque(maxlen=size)
        self._count = 0
        self._listeners: set[Callable[[], None]] = set()

    def publish(self, index: int, events: tuple[Event, ...]) -> None:
        """Append a batch."""
        self._batches.append(Batch(self._count, index, events))
        self._count += 1
        self.nudge()

    def nudge(self) -> None:
        """Let all listeners look, whether there is something new or not."""
        for listener in tuple(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call *listener* after each batch, until the returned function is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def forget(self) -> None:
        """Evict everything, as many small events would."""
        self._batches.clear()

    def start(self, index: int) -> int:
        """Find the batch to begin with: the first at or after *index* that is still held.

        An index of the future begins with what comes next, whatever its index.
        """
        for batch in self._batches:
            if batch.index >= index:
                return batch.number
        return self._count

    def after(self, number: int) -> list[Batch]:
        """Return the batches from *number* on that are still held."""
        if number >= self._count or not self._batches:
            return []
        skip = max(0, number - self._batches[0].number)
        return [batch for i, batch in enumerate(self._batches) if i >= skip]
