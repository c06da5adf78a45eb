"""The calls of `orrery.ports.Hub`, one method each."""

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from orrery.adapters.kube.connection import APPLY_PATCH, JSON_PATCH, LIST_DEADLINE, HubConnection
from orrery.adapters.kube.events import EventFilter, render_event
from orrery.adapters.kube.replies import Reply, error_of
from orrery.api.base import API_VERSION, GROUP
from orrery.api.crd import PLURALS
from orrery.errors import Conflict, NotYet, OrreryError
from orrery.names import FIELD_MANAGER, LABEL_MANAGED_BY
from orrery.ports import Clock, Document, HubEvent, Key, Kind, Secret
from orrery.ports.hub import foreign_secret, is_own
from orrery.ports.values import decoded
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

T = TypeVar("T")

Finalizers = list[str]

PAGE = "100"
"""Objects per page of a list."""

ATTEMPTS = 5
"""How often a change is tried against somebody who keeps writing the same object."""


class KubeHub:
    """Implements `orrery.ports.Hub` on a Kubernetes API server."""

    def __init__(
        self, connection: HubConnection, *, clock: Clock, telemetry: Telemetry, instance: str
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._telemetry = telemetry
        self._instance = instance
        self._events = EventFilter()

    async def read(self, key: Key) -> Document | None:
        """Read one object fresh, None when it does not exist."""
        path = object_path(key)
        reply = await self._connection.call("GET", path)
        if reply.missing:
            return None
        if not reply.ok:
            raise error_of(f"GET {path}", reply)
        return reply.document

    async def list(self, kind: Kind, take: Callable[[Document], T]) -> Sequence[T]:
        """Return what *take* makes of each object of *kind*, in all namespaces.

        Page by page: the server reads the pages at one and the same revision.
        """
        return await self._collect(collection(kind), take)

    async def list_namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of every Namespace, by its name."""

        def labels(body: Document) -> tuple[str, Mapping[str, str]]:
            metadata = body["metadata"]
            return metadata["name"], metadata.get("labels") or {}

        return dict(await self._collect("/api/v1/namespaces", labels))

    async def _collect(self, path: str, take: Callable[[Document], T]) -> Sequence[T]:
        taken: list[T] = []
        query = {"limit": PAGE}
        while True:
            page = await self._connection.demand("GET", path, query=query, deadline=LIST_DEADLINE)
            taken += map(take, page.get("items", []))
            token = page.get("metadata", {}).get("continue")
            if not token:
                return taken
            query = {"limit": PAGE, "continue": token}

    async def require_kinds(self) -> None:
        """Look whether all kinds can be listed, before anything is built on it.

        Raises `NotYet` for kinds that the hub does not serve, `Refused` for those we may not see.
        """
        missing = []
        for kind in Kind:
            path = collection(kind)
            reply = await self._connection.call("GET", path, query={"limit": "1"})
            if reply.missing:
                missing.append(kind)
            elif not reply.ok:
                raise error_of(f"GET {path}", reply)
        if missing:
            names = ", ".join(sorted(missing))
            raise NotYet(
                "DefinitionsMissing", f"the hub does not know {names}: install Orrery's CRDs"
            )

    async def is_leaving(self, kind: Kind) -> bool:
        """Tell whether the definition of *kind* is being deleted, with all objects of it.

        One that may not be read counts as staying, as do those of an API server without any.
        """
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURALS[kind]}.{GROUP}"
        reply = await self._connection.call("GET", path)
        return reply.ok and bool(reply.document.get("metadata", {}).get("deletionTimestamp"))

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Read a Secret, None when it does not exist."""
        path = _secret_path(namespace, name)
        reply = await self._connection.call("GET", path)
        if reply.missing:
            return None
        if not reply.ok:
            raise error_of(f"GET {path}", reply)
        return Secret(
            namespace=namespace,
            name=name,
            type=reply.document.get("type", ""),
            annotations=reply.document["metadata"].get("annotations") or {},
            labels=reply.document["metadata"].get("labels") or {},
            data=decoded(reply.document),
        )

    async def write_secret(self, secret: Secret) -> None:
        """Create or replace a Secret of our own, by server-side apply."""
        path = _secret_path(secret.namespace, secret.name)
        held = await self.read_secret(secret.namespace, secret.name)
        if held is not None and not is_own(held.labels):
            raise foreign_secret(secret.namespace, secret.name)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret.name,
                "namespace": secret.namespace,
                "labels": {LABEL_MANAGED_BY: FIELD_MANAGER},
                "annotations": dict(secret.annotations),
            },
            "type": secret.type,
            "data": {key: base64.b64encode(value).decode() for key, value in secret.data.items()},
        }
        self._telemetry.hub_write("Secret", "apply")
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        await self._connection.demand(
            "PATCH", path, body=body, content_type=APPLY_PATCH, query=query
        )

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret of our own; one that is not ours is left, and it may be gone already."""
        path = _secret_path(namespace, name)
        reply = await self._connection.call("GET", path)
        if reply.missing:
            return
        if not reply.ok:
            raise error_of(f"GET {path}", reply)
        metadata = reply.document["metadata"]
        if not is_own(metadata.get("labels") or {}):
            return
        self._telemetry.hub_write("Secret", "delete")
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": metadata["uid"]},
        }
        reply = await self._connection.call("DELETE", path, body=body)
        if not reply.ok and not reply.missing:
            raise error_of(f"DELETE {path}", reply)

    async def write_status(self, key: Key, uid: str, status: Document) -> None:
        """Replace the status of the very object with *uid*. Raises `Conflict` when it is gone."""
        path = f"{object_path(key)}/status"
        patch: Sequence[Document] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        self._telemetry.hub_write(key.kind, "status")
        reply = await self._patch(path, patch)
        if reply.missing:
            raise Conflict("HubConflict", f"{key.kind} '{key}' is gone")
        if not reply.ok:
            raise error_of(f"PATCH {path}", reply)

    async def add_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Add *finalizer* to the very object with *uid*; adding it twice changes nothing."""

        def added(finalizers: Finalizers) -> Finalizers:
            return finalizers if finalizer in finalizers else [*finalizers, finalizer]

        if not await self._change_finalizers(key, uid, added):
            raise Conflict("HubConflict", f"{key.kind} '{key}' is gone")

    async def remove_finalizer(self, key: Key, uid: str, finalizer: str) -> None:
        """Remove *finalizer* from the very object with *uid*; it may be gone already."""
        await self._change_finalizers(
            key, uid, lambda finalizers: [each for each in finalizers if each != finalizer]
        )

    async def emit_event(self, event: HubEvent) -> None:
        """Record a Kubernetes Event. Best effort: losing one is logged, never raised."""
        now = self._clock.now()
        if not self._events.admits(event, now):
            log.debug("event not written: %s", event.message, extra={"reason": event.reason})
            return
        document = render_event(event, instance=self._instance, now=now)
        namespace = document["metadata"]["namespace"]
        self._telemetry.hub_write("Event", "create")
        try:
            await self._connection.demand(
                "POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body=document
            )
        except OrreryError as error:
            log.warning("event lost: %s", error.message, extra={"reason": error.reason})

    async def _change_finalizers(
        self, key: Key, uid: str, change: Callable[[Finalizers], Finalizers]
    ) -> bool:
        """Change the finalizers of one object; False when it is gone.

        The list belongs to others too, so it is replaced only in the state that it was read in.
        """

        async def attempt() -> bool:
            body = await self.read(key)
            if body is None or body["metadata"]["uid"] != uid:
                return False
            before = body["metadata"].get("finalizers") or []
            after = change(before)
            if after == before:
                return True
            version = body["metadata"]["resourceVersion"]
            patch = [
                {"op": "test", "path": "/metadata/uid", "value": uid},
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/metadata/finalizers", "value": after},
            ]
            self._telemetry.hub_write(key.kind, "finalizers")
            path = object_path(key)
            reply = await self._patch(path, patch)
            if not reply.ok and not reply.missing:
                raise error_of(f"PATCH {path}", reply)
            return reply.ok

        return await _against_others(attempt)

    async def _patch(self, path: str, patch: Sequence[Document]) -> Reply:
        return await self._connection.call(
            "PATCH",
            path,
            body=patch,
            content_type=JSON_PATCH,
            query={"fieldManager": FIELD_MANAGER},
        )


async def _against_others(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again when somebody wrote in between, a few times."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except Conflict:
            continue
    return await attempt()


def collection(kind: Kind) -> str:
    """Return the path of all objects of *kind*, in all namespaces."""
    return f"/apis/{API_VERSION}/{PLURALS[kind]}"


def object_path(key: Key) -> str:
    """Return the path of one object."""
    place = f"namespaces/{quote(key.namespace, safe='')}/" if key.namespace else ""
    return f"/apis/{API_VERSION}/{place}{PLURALS[key.kind]}/{quote(key.name, safe='')}"


def _secret_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets/{quote(name, safe='')}"
