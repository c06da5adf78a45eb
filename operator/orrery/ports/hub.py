"""The hub's API server: the calls, and the values they exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from orrery.errors import Refused
from orrery.names import FIELD_MANAGER, LABEL_MANAGED_BY
from orrery.ports.values import Document, Key, Kind

T = TypeVar("T")


class Hub(Protocol):
    """The hub's API server, as far as reconcilers write to or freshly read from it."""

    async def read(self, key: Key) -> Document | None:
        """Read one object fresh, None when it does not exist."""

    async def list(self, kind: Kind, take: Callable[[Document], T]) -> Sequence[T]:
        """Return what *take* makes of each object of *kind*, page by page: never all at once."""

    async def list_namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of every Namespace, by its name."""

    async def is_leaving(self, kind: Kind) -> bool:
        """Tell whether the definition of *kind* is being deleted, with all objects of it."""

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Read a Secret, None when it does not exist."""

    async def write_secret(self, secret: Secret) -> None:
        """Create or replace a Secret of our own, by server-side apply.

        Raises `Refused` for one of that name that is not ours.
        """

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret of our own; one that is not ours is left, and it may be gone already."""

    async def write_status(self, key: Key, uid: str, status: Document) -> None:
        """Replace the status of the very object with *uid*. Raises `Conflict` when it is gone."""

    async def add_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Add *finalizer* to the very object with *uid*; adding it twice changes nothing."""

    async def remove_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Remove *finalizer* from the very object with *uid*; it may be gone already."""

    async def emit_event(self, event: HubEvent) -> None:
        """Record a Kubernetes Event. Best effort: losing one is logged, never raised."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret's decoded data and annotations."""

    namespace: str
    name: str
    type: str
    annotations: Mapping[str, str]
    data: Mapping[str, bytes] = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)


def is_own(labels: Mapping[str, str]) -> bool:
    """Tell whether the Secret with *labels* is one that Orrery wrote."""
    return labels.get(LABEL_MANAGED_BY) == FIELD_MANAGER


def foreign_secret(namespace: str, name: str) -> Refused:
    """Refuse to write over somebody else's Secret."""
    return Refused(
        "ForeignSecret",
        f'Secret "{name}" in namespace "{namespace}" exists and is not Orrery\'s, which would write'
        f" over it: rename or delete it, or label it {LABEL_MANAGED_BY}={FIELD_MANAGER} to hand it"
        " over",
    )


@dataclass(frozen=True, slots=True)
class HubEvent:
    """Something that changed, in the past tense, about one object."""

    key: Key
    uid: str
    type: str
    """Normal or Warning."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leads, and for how long; times are wall-clock seconds, for people only."""

    holder: str
    """Empty when it was released."""
    duration: float
    """Seconds after which it is free when it is not renewed."""
    acquired: float
    renewed: float
    transitions: int = 0
    version: str = ""
    """Changes with every write; an update names the one that it replaces."""


class LeaseStore(Protocol):
    """Where candidates keep the one lease they compete for."""

    async def read(self) -> Lease | None:
        """Read the lease, None when nobody ever led."""

    async def create(self, lease: Lease) -> Lease:
        """Create the lease. Raises `Conflict` when somebody was faster."""

    async def update(self, lease: Lease) -> Lease:
        """Replace the lease of that *version*. Raises `Conflict` when it has changed."""
