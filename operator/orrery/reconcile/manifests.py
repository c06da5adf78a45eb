"""Keep the objects of a continent's cluster as their manifests say; write only what is not so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeVar

import orjson

from orrery.api.conditions import Reason
from orrery.errors import NotYet, Refused
from orrery.names import LABEL_INSTALL, LABEL_REGION
from orrery.planning.manifests import differs, is_foreign, left_over
from orrery.planning.pruning import PRUNED, Pruning, prune
from orrery.ports import ContinentalCluster, Document, ObjectRef

log = logging.getLogger(__name__)

T = TypeVar("T")

READERS: Final = 8
"""Objects that are read at the same time."""


@dataclass(frozen=True, slots=True)
class Contested:
    """A difference that stood right after we applied: something else insists on it."""

    manifest: str
    live: str
    """Digests of both."""
    paths: list[str]

    def is_about(self, manifest: str, paths: list[str]) -> bool:
        """Tell whether it is the same difference, whatever else the object has."""
        return (self.manifest, self.paths) == (manifest, paths)


@dataclass(slots=True)
class AppliedMemory:
    """What earlier passes over one region found out.

    Losing it costs an apply of each contested object.
    """

    manifests: dict[ObjectRef, str] = field(default_factory=dict)
    """Digests of the manifests that the objects were last seen to match, or were applied from."""
    contested: dict[ObjectRef, Contested] = field(default_factory=dict)


@dataclass(slots=True)
class Enforced:
    """What a pass found and did."""

    live: dict[ObjectRef, Document] = field(default_factory=dict)
    """The objects as they are after it."""
    created: list[ObjectRef] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    """Objects whose manifests had changed, each with the fields."""
    repaired: list[str] = field(default_factory=list)
    """Objects that somebody had changed, each with the fields."""
    contested: list[str] = field(default_factory=list)
    """Objects that do not stay as we apply them, each with the fields; told once."""


async def enforce(
    cluster: ContinentalCluster,
    manifests: Sequence[Document],
    *,
    previous: AppliedMemory,
    adjust: Callable[[Document, Document], Document] = lambda manifest, _: manifest,
) -> Enforced:
    """Apply, in order, those of *manifests* that are missing or not as they say.

    Those of objects that exist are *adjust*ed to them before.

    One that is refused does not keep the others from being applied. Raises `Refused` for the first
    of them, or for an object that belongs to somebody else; `NotYet` for one that is being deleted.
    """
    refs = [ObjectRef.of(manifest) for manifest in manifests]
    read = await _together([_reading(cluster, ref) for ref in refs])
    this = _Pass(cluster, previous, Enforced())
    failures: list[Refused | NotYet] = []
    for ref, manifest, live in zip(refs, manifests, read, strict=True):
        try:
            wanted = manifest if live is None else adjust(manifest, live)
            this.found.live[ref] = await this.enforce(ref, wanted, live)
        except (Refused, NotYet) as failure:
            failures.append(failure)
            if ref.kind == "Namespace":
                break  # Nothing can be made in there.
    if failures:
        raise next((each for each in failures if isinstance(each, Refused)), failures[0])
    return this.found


async def prune_region(
    cluster: ContinentalCluster,
    namespace: str,
    labels: Mapping[str, str],
    wanted: Collection[ObjectRef],
    *,
    retired: Collection[str] = (),
) -> Pruning:
    """Delete what carries *labels* in *namespace* and is not *wanted* any more, if it is little.

    What is of *retired* components goes however much it is.
    """
    pruning = prune(await list_region(cluster, namespace, labels), wanted, retired=retired)
    for ref, uid in pruning.going.items():
        await cluster.delete(ref, uid)
    if pruning.held:
        log.warning(
            "not deleted, since it is too much at once: %s",
            ", ".join(map(str, pruning.held)),
            extra={"region": labels.get(LABEL_REGION, namespace), "reason": "PruningHeld"},
        )
    return pruning


async def list_region(
    cluster: ContinentalCluster, namespace: str, labels: Mapping[str, str]
) -> Sequence[Document]:
    """List what carries *labels* in *namespace*, of the kinds that Orrery may list."""
    listed = await _together(
        [_listing(cluster, version, kind, namespace, labels) for version, kind in PRUNED]
    )
    return [body for bodies in listed for body in bodies]


@dataclass(frozen=True, slots=True)
class _Pass:
    cluster: ContinentalCluster
    previous: AppliedMemory
    found: Enforced

    async def enforce(self, ref: ObjectRef, manifest: Document, live: Document | None) -> Document:
        """Apply *manifest* unless *live* is as it says, or was just after the last apply."""
        digest = _digest(manifest)
        paths: list[str] = []
        if live is not None:
            _require_ours(ref, manifest, live)
            paths = _differences(manifest, live)
            known = Contested(digest, _essence(live), paths)
            if not paths:
                self.previous.contested.pop(ref, None)
            if not paths or self.previous.contested.get(ref) == known:
                self.previous.manifests[ref] = digest
                return live
        applied = await self.cluster.apply(manifest)
        self._tell(ref, digest, paths)
        self.previous.manifests[ref] = digest
        self._judge(ref, digest, _differences(manifest, applied), applied)
        return applied

    def _tell(self, ref: ObjectRef, digest: str, paths: list[str]) -> None:
        contested = self.previous.contested.get(ref)
        if not paths:
            self.found.created.append(ref)
        elif contested is None or not contested.is_about(digest, paths):
            drifted = self.previous.manifests.get(ref) == digest
            news = self.found.repaired if drifted else self.found.updated
            news.append(_sentence(ref, paths))

    def _judge(self, ref: ObjectRef, digest: str, paths: list[str], applied: Document) -> None:
        before = self.previous.contested.pop(ref, None)
        if not paths:
            return
        self.previous.contested[ref] = Contested(digest, _essence(applied), paths)
        if before is None or not before.is_about(digest, paths):
            self.found.contested.append(_sentence(ref, paths))


def _require_ours(ref: ObjectRef, manifest: Document, live: Document) -> None:
    if is_foreign(manifest, live):
        labels = manifest["metadata"].get("labels") or {}
        stamp = ",".join(f"{k}={labels[k]}" for k in (LABEL_INSTALL, LABEL_REGION) if k in labels)
        message = (
            f"{ref} exists and is not Orrery's: delete it, or label it {stamp} to hand it over"
        )
        raise Refused("ForeignObject", message)
    if live["metadata"].get("deletionTimestamp"):
        raise NotYet(
            Reason.PROVISIONING, f"{ref} is being deleted and is made anew when it is gone"
        )


def _differences(manifest: Document, live: Document) -> list[str]:
    return sorted({*differs(manifest, live), *left_over(manifest, live)})


def _sentence(ref: ObjectRef, paths: Sequence[str]) -> str:
    return f"{ref}: {', '.join(paths)}"


def _essence(live: Document) -> str:
    """Digest what people and webhooks change of an object, and its own controller does not."""
    kept = ("labels", "annotations", "finalizers")
    metadata = {key: live["metadata"].get(key) for key in kept}
    body = {key: value for key, value in live.items() if key not in {"metadata", "status"}}
    return _digest({**body, "metadata": metadata})


def _digest(document: Document) -> str:
    return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _reading(
    cluster: ContinentalCluster, ref: ObjectRef
) -> Callable[[], Awaitable[Document | None]]:
    return lambda: cluster.read(ref)


def _listing(
    cluster: ContinentalCluster,
    api_version: str,
    kind: str,
    namespace: str,
    labels: Mapping[str, str],
) -> Callable[[], Awaitable[Sequence[Document]]]:
    return lambda: cluster.list_labelled(api_version, kind, namespace, labels)


async def _together(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Make *calls*, a few at a time; the first that fails ends the others."""
    turn = asyncio.Semaphore(READERS)

    async def in_turn(call: Callable[[], Awaitable[T]]) -> T:
        async with turn:
            return await call()

    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(in_turn(call)) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
