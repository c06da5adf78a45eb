"""A continent's cluster in memory: objects under server-side apply, and no controller at all.

What controllers would do - addresses of load balancers, pods that become ready - tests set by
`MemoryCluster.set_status`.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orrery.adapters.memory.apply import merge, owned
from orrery.adapters.memory.documents import copied
from orrery.adapters.memory.worldclock import now_text
from orrery.errors import Conflict, InvalidSpec, Refused, Unreachable
from orrery.names import FIELD_MANAGER
from orrery.ports import ClusterAccess, ContinentalCluster, Document, ObjectRef, Right

_COUNTED: Final = frozenset(
    {"StatefulSet", "Deployment", "Job", "CronJob", "PodDisruptionBudget", "NetworkPolicy"}
)
"""Kinds with a generation."""

_CHANGEABLE: Final[Mapping[str, frozenset[str]]] = {
    "StatefulSet": frozenset(
        {
            "minReadySeconds",
            "ordinals",
            "persistentVolumeClaimRetentionPolicy",
            "replicas",
            "revisionHistoryLimit",
            "template",
            "updateStrategy",
        }
    ),
    "Deployment": frozenset(
        {
            "minReadySeconds",
            "paused",
            "progressDeadlineSeconds",
            "replicas",
            "revisionHistoryLimit",
            "strategy",
            "template",
        }
    ),
    "Job": frozenset(
        {
            "activeDeadlineSeconds",
            "backoffLimit",
            "parallelism",
            "suspend",
            "ttlSecondsAfterFinished",
        }
    ),
}
"""What of a spec may change, of kinds where not all of it may."""


class MemoryCluster:
    """One cluster. Set *dark* to make it unreachable, *denied* to take rights away."""

    def __init__(self, name: str = "eu", *, latency: float = 0.0) -> None:
        self.name = name
        self.latency = latency
        """Seconds that each call takes."""
        self.dark = False
        self.closed = False
        self.denied: set[Right] = set()
        self.kubernetes = "v1.34.3"
        self.objects: dict[ObjectRef, dict[str, Any]] = {}
        self.writes: Counter[str] = Counter()
        """Writes of ours by verb, those that changed nothing included."""
        self.reads: Counter[str] = Counter()
        self.mutate: Callable[[dict[str, Any]], None] | None = None
        """Changes each object as it is written, as an admission webhook may."""
        self._applied: dict[ObjectRef, Document] = {}
        self._numbers = itertools.count(1)

    def set_status(self, ref: ObjectRef, status: Document) -> None:
        """Replace an object's status, as its controller does."""
        if self.objects[ref].get("status") == status:
            return
        held = copied(self.objects[ref])
        held["status"] = copied(status)
        self._store(ref, held)

    def edit(self, ref: ObjectRef, patch: Document) -> None:
        """Change an object by hand, beside Orrery: a JSON merge patch."""
        self._store(ref, _patched(self.objects[ref], patch))

    def put(self, document: Document) -> ObjectRef:
        """Create an object that is not Orrery's."""
        ref = ObjectRef.of(document)
        self._store(ref, copied(document))
        return ref

    def remove(self, ref: ObjectRef) -> None:
        """Delete an object and what it owns, beside Orrery; a namespace with its content."""
        uid = self.objects.pop(ref)["metadata"]["uid"]
        self._applied.pop(ref, None)
        for other, body in list(self.objects.items()):
            owners = {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())}
            inside = ref.kind == "Namespace" and other.namespace == ref.name
            if (inside or uid in owners) and other in self.objects:
                self.remove(other)

    async def version(self) -> str:
        """Return the version of the API server."""
        await self._call()
        return self.kubernetes

    async def missing_rights(self, rights: Sequence[Right]) -> Sequence[Right]:
        """Return those of *rights* that are denied, in their order."""
        await self._call()
        return [right for right in rights if right in self.denied]

    async def read(self, ref: ObjectRef) -> Document | None:
        """Read one object, None when it does not exist."""
        await self._call()
        self.reads["read"] += 1
        return copied(self.objects.get(ref))

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Document]:
        """List the objects of one kind in one namespace that carry all of *labels*."""
        await self._call()
        self.reads["list"] += 1
        place = (api_version, kind, namespace)
        return [
            copied(body)
            for ref, body in sorted(self.objects.items())
            if (ref.api_version, ref.kind, ref.namespace) == place
            and labels.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    async def apply(self, manifest: Document) -> Document:
        """Server-side apply *manifest*; return the object as it is then."""
        await self._call()
        self.writes["apply"] += 1
        ref = ObjectRef.of(manifest)
        self._require_namespace(ref)
        held = self.objects.get(ref, {})
        wanted = self._preconditions_met(ref, held, manifest)
        body = merge((), held, wanted, self._applied.get(ref))
        self._require_changeable(ref, held, body)
        others = [
            entry
            for entry in body["metadata"].get("managedFields", ())
            if entry["manager"] != FIELD_MANAGER or entry["operation"] != "Apply"
        ]
        body["metadata"]["managedFields"] = [*others, _entry(manifest)]
        self._applied[ref] = wanted
        return self._store(ref, body)

    async def create(self, manifest: Document) -> bool:
        """Create the object; False when one of its name exists already."""
        await self._call()
        self.writes["create"] += 1
        ref = ObjectRef.of(manifest)
        self._require_namespace(ref)
        if ref in self.objects:
            return False
        self._store(ref, copied(manifest))
        return True

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """Delete the very object with *uid*, and what it owns; it may be gone already."""
        await self._call()
        self.writes["delete"] += 1
        held = self.objects.get(ref)
        if held is None:
            return
        if held["metadata"]["uid"] != uid:
            raise Conflict("ClusterConflict", f"{ref} was created anew")
        self.remove(ref)

    async def close(self) -> None:
        """Note that nobody calls any more."""
        self.closed = True

    async def _call(self) -> None:
        await asyncio.sleep(self.latency)
        if self.dark:
            raise Unreachable("ClusterUnreachable", "the continent's cluster does not answer")

    def _require_namespace(self, ref: ObjectRef) -> None:
        home = ObjectRef("v1", "Namespace", "", ref.namespace)
        if ref.namespace and home not in self.objects:
            message = f'{ref}: namespaces "{ref.namespace}" not found'
            raise Refused("ClusterRefused", message)

    def _preconditions_met(self, ref: ObjectRef, held: Document, manifest: Document) -> Any:
        """Return what *manifest* asks for, if *held* is the object that it is to change.

        As the API server does: a uid asks for that very object, a version for one that exists.
        """
        wanted = copied(manifest)
        metadata = wanted["metadata"] = dict(wanted["metadata"])
        uid, version = metadata.pop("uid", None), metadata.pop("resourceVersion", None)
        found = held.get("metadata", {})
        if uid is not None and not held:
            raise Conflict("ClusterConflict", f"{ref}: there is no object with the uid {uid}")
        if version is not None and held and version != found["resourceVersion"]:
            raise Conflict("ClusterConflict", f"{ref}: the object has been modified")
        if uid is not None and uid != found["uid"]:
            raise Refused("ClusterRefused", f"{ref}: metadata.uid: field is immutable")
        return wanted

    def _require_changeable(self, ref: ObjectRef, held: Document, body: Document) -> None:
        """Refuse to change what the API server never lets change."""
        changeable = _CHANGEABLE.get(ref.kind)
        if changeable is None or not held:
            return
        old, new = held.get("spec", {}), body.get("spec", {})
        for field in sorted(old.keys() | new.keys()):
            if field not in changeable and old.get(field) != new.get(field):
                raise Refused("ClusterRefused", f"{ref}: spec.{field}: field is immutable")

    def _store(self, ref: ObjectRef, body: dict[str, Any]) -> Document:
        held = self.objects.get(ref)
        if self.mutate is not None:
            self.mutate(body)
        if held is not None and _essence(held) == _essence(body):
            return copied(held)
        number = next(self._numbers)
        metadata = body["metadata"] = dict(body["metadata"])
        metadata.setdefault("uid", f"uid-{number}")
        metadata.setdefault("creationTimestamp", now_text())
        metadata["resourceVersion"] = str(number)
        if ref.kind in _COUNTED:
            before = held["metadata"]["generation"] if held else 0
            changed = held is None or held.get("spec") != body.get("spec")
            metadata["generation"] = before + (1 if changed else 0)
        self.objects[ref] = body
        return copied(body)


class MemoryClusterFactory:
    """Hands out clusters by the text of their kubeconfig; empty for the hub itself."""

    def __init__(self, clusters: Mapping[str, MemoryCluster]) -> None:
        self._clusters = clusters

    def connect(self, access: ClusterAccess) -> ContinentalCluster:
        """Return the cluster. Raises `InvalidSpec` for a kubeconfig that names none."""
        cluster = self._clusters.get(access.kubeconfig)
        if cluster is None:
            raise InvalidSpec("KubeconfigInvalid", "the kubeconfig names no cluster in memory")
        cluster.closed = False
        return cluster


def _entry(manifest: Document) -> dict[str, Any]:
    return {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": manifest["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": owned(manifest),
    }


def _essence(body: Document) -> Document:
    unimportant = {"resourceVersion", "generation"}
    metadata = {k: v for k, v in body["metadata"].items() if k not in unimportant}
    return {**body, "metadata": metadata}


def _patched(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch, RFC 7396."""
    if not isinstance(patch, Mapping):
        return copied(patch)
    patched = copied(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            patched.pop(key, None)
        else:
            patched[key] = _patched(patched.get(key), value)
    return patched
