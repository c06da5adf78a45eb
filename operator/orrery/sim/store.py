"""One raft log's state: tables, indexes, what changed when, and who wants to know."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Final

from orrery.sim.records import (
    Allocation,
    Deployment,
    Evaluation,
    Job,
    JobKey,
    Namespace,
    Node,
    Policy,
    Record,
    Token,
    Variable,
)
from orrery.sim.stream import Broker, Event

TABLES: Final = (
    "jobs",
    "allocations",
    "deployments",
    "evaluations",
    "nodes",
    "namespaces",
    "variables",
    "policies",
    "tokens",
)

TRACKED_VERSIONS: Final = 6
"""How many versions of a job Nomad keeps."""

Touched = tuple[str, ...]
"""A table, a namespace of it, or one object of it: what a blocking query waits for."""


@dataclass(slots=True)
class Tables:
    """All that a snapshot holds. Values are immutable, so a copy of the maps is a snapshot."""

    index: int = 1
    jobs: dict[JobKey, Job] = field(default_factory=dict)
    versions: dict[JobKey, tuple[Job, ...]] = field(default_factory=dict)
    """Newest first, the current one among them."""
    allocations: dict[str, Allocation] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    variables: dict[tuple[str, str], Variable] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    allocations_of: dict[JobKey, tuple[str, ...]] = field(default_factory=dict)
    deployments_of: dict[JobKey, tuple[str, ...]] = field(default_factory=dict)
    evaluations_of: dict[JobKey, tuple[str, ...]] = field(default_factory=dict)
    queued: dict[JobKey, Mapping[str, int]] = field(default_factory=dict)
    """Instances that found no place, by group."""
    summaries: dict[JobKey, int] = field(default_factory=dict)
    """The index of the last change of a job's summary."""
    order: list[JobKey] | None = None
    """The jobs by namespace and id; None after one came or went, until somebody asks."""
    indexes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 1))

    def job_keys(self) -> list[JobKey]:
        """Return the jobs by namespace and id."""
        if self.order is None:
            self.order = sorted(self.jobs)
        return self.order

    def copy(self) -> "Tables":
        """Copy the maps, share the records."""
        copied = Tables(index=self.index)
        for name in (one.name for one in fields(self)):
            value = getattr(self, name)
            setattr(copied, name, value.copy() if isinstance(value, dict) else value)
        return copied


class Write:
    """One raft entry being put together."""

    def __init__(self, tables: Tables, kind: str, index: int, now: int) -> None:
        self.index = index
        self.now = now
        self.touched: set[Touched] = set()
        self.groups: list[list[Event]] = [[]]
        self._tables = tables
        self._kind = kind

    def split(self) -> None:
        """Begin another batch of events at the same index."""
        self.groups.append([])

    def show(self, event: Event) -> None:
        """Add an event."""
        self.groups[-1].append(event)

    @property
    def kind(self) -> str:
        """The type of this entry's events."""
        return self._kind

    def touch(self, table: str, namespace: str = "", *keys: str) -> None:
        """Note that a table changed, and what in it."""
        self._tables.indexes[table] = self.index
        self.touched |= {(table,), (table, namespace)}
        self.touched |= {(table, namespace, key) for key in keys}


class Store:
    """The tables, and everything that hears of their changes."""

    def __init__(self, now: Callable[[], float], *, buffer: int) -> None:
        self.tables = Tables()
        self.broker = Broker(buffer)
        self.now = now
        self._waiting: dict[Touched, set[Callable[[], None]]] = {}

    @contextmanager
    def write(self, kind: str) -> Iterator[Write]:
        """Append one raft entry; its events have the type *kind*."""
        self.tables.index += 1
        entry = Write(self.tables, kind, self.tables.index, int(self.now() * 1e9))
        yield entry
        for events in entry.groups:
            if events:
                self.broker.publish(entry.index, tuple(events))
        self._tell(entry.touched)

    def watch(self, touched: Iterable[Touched], listener: Callable[[], None]) -> Callable[[], None]:
        """Call *listener* when one of *touched* changes, until the returned function is called."""
        watched = tuple(touched)
        for one in watched:
            self._waiting.setdefault(one, set()).add(listener)

        def unwatch() -> None:
            for one in watched:
                listeners = self._waiting.get(one, set())
                listeners.discard(listener)
                if not listeners:
                    self._waiting.pop(one, None)

        return unwatch

    def restore(self, tables: Tables) -> None:
        """Go back to older tables; everybody who waits is told."""
        self.tables = tables.copy()
        self.broker.forget()
        self._tell(set(self._waiting))

    def _tell(self, touched: set[Touched]) -> None:
        listeners = {one for key in touched for one in self._waiting.get(key, ())}
        for listener in listeners:
            listener()


def records_of(tables: Tables, table: str, key: JobKey) -> list[Any]:
    """Return a job's allocations, deployments or evaluations, oldest first."""
    rows: Mapping[str, Record] = getattr(tables, table)
    ids: Mapping[JobKey, tuple[str, ...]] = getattr(tables, f"{table}_of")
    return [rows[one] for one in ids.get(key, ())]
