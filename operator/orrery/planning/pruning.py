"""Decide which objects of a region's control plane are not wanted any more. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orrery.names import LABEL_NAME
from orrery.ports import Document, ObjectRef
from orrery.ports.resources import RESOURCES

FEW: Final = 3
"""So many may always go at once."""
PART: Final = 5
"""Of many objects, one in so many may go at once."""

KEPT: Final = frozenset({"Secret", "PersistentVolumeClaim", "Namespace"})
"""Kinds that are never pruned: what they hold cannot be made anew."""

PRUNED: Final = tuple(
    (resource.api_version, resource.kind)
    for resource in RESOURCES.values()
    if resource.kind not in KEPT | {"Pod"}
)
"""API versions and kinds to look through; pods go with what owns them."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is to be deleted, or what is held since it is too much at once."""

    going: Mapping[ObjectRef, str]
    """By their names, the uids of the objects to delete."""
    held: Sequence[ObjectRef] = ()


def prune(
    live: Sequence[Document],
    wanted: Collection[ObjectRef],
    *,
    limit: int | None = None,
    retired: Collection[str] = (),
) -> Pruning:
    """Choose of the objects in *live* those that are not *wanted*, all of them or none.

    None when they are more than *limit*, by default a fifth of all and at least three, and none
    when nothing that lives is wanted: a mistake in rendering must not empty a namespace. What other
    objects own goes with its owners, so it is left alone; so is what is being deleted already.
    Objects of *retired* components do not count: somebody asked for a region without them.
    """
    standing = {
        ObjectRef.of(body): str(body["metadata"]["uid"])
        for body in live
        if body["kind"] not in KEPT
        and not body["metadata"].get("ownerReferences")
        and not body["metadata"].get("deletionTimestamp")
    }
    going = {ref: standing[ref] for ref in sorted(standing.keys() - set(wanted))}
    asked = {
        ObjectRef.of(body)
        for body in live
        if (body["metadata"].get("labels") or {}).get(LABEL_NAME) in retired
    }
    allowed = max(FEW, len(standing) // PART) if limit is None else limit
    if len(going.keys() - asked) > allowed or len(going) == len(standing):
        return Pruning({}, tuple(going))
    return Pruning(going)
