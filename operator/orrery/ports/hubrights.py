"""What the operator must be allowed to do in the hub, for each call that it makes there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from orrery.api.base import GROUP
from orrery.api.crd import PLURALS
from orrery.ports.continental import Right
from orrery.ports.values import Kind


@dataclass(frozen=True, slots=True)
class HubRight:
    """One right in the hub."""

    right: Right
    inside: bool = False
    """Whether it is needed in the operator's own namespace only, and not everywhere."""
    name: str = ""
    """The only object that it is needed for; empty: all of them."""

    def __str__(self) -> str:
        one = f" {self.name}" if self.name else ""
        where = "in its own namespace" if self.inside else "everywhere"
        return f"{self.right}{one}, {where}"


class HubRights(Protocol):
    """What the hub allows the operator to do."""

    async def missing(self, rights: Sequence[HubRight]) -> Sequence[HubRight]:
        """Return those of *rights* that the hub does not grant us, in their order."""


_SEEN: Final = ("get", "list", "watch")
_FINALIZED: Final = (Kind.CONTINENT, Kind.REGION, Kind.GLOBAL_DEPLOYMENT)
"""Kinds whose deletion waits for us. A finalizer is no subresource: who may change it may change
the object."""


def _ours() -> list[HubRight]:
    wanted = [Right(verb, GROUP, PLURALS[kind]) for kind in Kind for verb in _SEEN]
    wanted += [Right("patch", GROUP, PLURALS[kind]) for kind in _FINALIZED]
    wanted += [Right("patch", GROUP, f"{PLURALS[kind]}/status") for kind in Kind]
    return [HubRight(right) for right in sorted(wanted, key=lambda right: right.resource)]


_DEFINITIONS: Final = "apiextensions.k8s.io"
_LEASES: Final = "coordination.k8s.io"
_EVENTS: Final = "events.k8s.io"

EVERYWHERE: Final = (
    *_ours(),
    HubRight(Right("list", "", "namespaces")),
    HubRight(Right("create", _EVENTS, "events")),
    *(
        HubRight(Right("get", _DEFINITIONS, "customresourcedefinitions"), name=f"{plural}.{GROUP}")
        for plural in sorted(PLURALS.values())
    ),
)
"""Objects of our kinds lie in all namespaces, as do the events about them.

Definitions are read to tell an object's own deletion from that of its whole kind.
"""

INSIDE: Final = tuple(
    HubRight(Right(verb, group, resource), inside=True)
    for group, resource, verbs in (
        ("", "secrets", ("get", "create", "patch", "delete")),
        (_LEASES, "leases", ("get", "create", "update")),
    )
    for verb in verbs
)
"""Credentials of regions, kubeconfigs of continents, and the lease of the one that leads."""

TENANTS: Final = (HubRight(Right("get", "", "secrets")),)
"""Secrets that deployments name. It can be granted in some namespaces only; a deployment of another
one then says that its Secret may not be read. They are never listed nor watched."""
