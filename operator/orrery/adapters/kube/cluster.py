"""The calls of `orrery.ports.ContinentalCluster`, one method each."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from orrery.adapters.kube.access import HubSource, TextSource
from orrery.adapters.kube.connection import (
    APPLY_PATCH,
    DEADLINE,
    LIST_DEADLINE,
    Connection,
    HubConnection,
)
from orrery.adapters.kube.replies import Remote, Reply
from orrery.errors import OrreryError
from orrery.names import FIELD_MANAGER
from orrery.ports import ClusterAccess, ContinentalCluster, Document, ObjectRef, Right
from orrery.ports.resources import RESOURCES

CLUSTER: Final = Remote(
    "the continent's cluster", "Cluster", "the credentials of the kubeconfig: renew its Secret"
)
LOCAL: Final = Remote("the hub", "Cluster")

PAGE: Final = "100"
"""Objects per page of a list."""
REPLY_MAX: Final = 16 * 1024 * 1024
"""Bytes of a reply: a region's objects are small, and a strange server must not fill the memory."""

_AUTHORIZATION: Final = "authorization.k8s.io/v1"
_NOWHERE: Final = "orrery-rights-review"
"""A namespace that nobody has: what is granted there is granted everywhere."""
_QUESTIONS: Final = 4
"""Questions about single rights at the same time."""

_DELETE: Final = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}


class KubeCluster:
    """Implements `orrery.ports.ContinentalCluster` on a Kubernetes API server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> str:
        """Return the version of the API server, such as ``v1.34.3``."""
        found = await self._connection.demand("GET", "/version")
        return str(found.get("gitVersion", ""))

    async def missing_rights(self, rights: Sequence[Right]) -> Sequence[Right]:
        """Return those of *rights* that the cluster does not grant us everywhere.

        One question lists all that is granted. Where the cluster says that its list is incomplete,
        as those of some providers do, each right that is not in it is asked for.
        """
        status = await self._review("SelfSubjectRulesReview", {"namespace": _NOWHERE})
        rules = status.get("resourceRules") or ()
        missing = [right for right in rights if not any(grants(rule, right) for rule in rules)]
        if not missing or not status.get("incomplete"):
            return missing
        turn = asyncio.Semaphore(_QUESTIONS)

        async def denied(right: Right) -> bool:
            async with turn:
                return not await self._may(right)

        answers = await asyncio.gather(*map(denied, missing), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [right for right, is_denied in zip(missing, answers, strict=True) if is_denied]

    async def read(self, ref: ObjectRef) -> Document | None:
        """Read one object, None when it does not exist."""
        reply = await self._connection.call("GET", object_path(ref))
        if reply.missing:
            return None
        return self._checked("read", ref, reply)

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Document]:
        """List the objects of one kind in one namespace that carry all of *labels*."""
        path = collection(api_version, kind, namespace)
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        query = {"labelSelector": selector, "limit": PAGE}
        found: list[Document] = []
        while True:
            page = await self._connection.demand("GET", path, query=query, deadline=LIST_DEADLINE)
            items = page.get("items") or ()
            # Items of a list do not say what they are.
            found += ({**item, "apiVersion": api_version, "kind": kind} for item in items)
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            query = {**query, "continue": token}

    async def apply(self, manifest: Document) -> Document:
        """Server-side apply *manifest*; fields that somebody else took over are taken back."""
        ref = ObjectRef.of(manifest)
        reply = await self._connection.call(
            "PATCH",
            object_path(ref),
            body=manifest,
            content_type=APPLY_PATCH,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
        )
        return self._checked("apply", ref, reply)

    async def create(self, manifest: Document) -> bool:
        """Create the object; False when one of its name exists already."""
        ref = ObjectRef.of(manifest)
        reply = await self._connection.call(
            "POST",
            collection(ref.api_version, ref.kind, ref.namespace),
            body=manifest,
            query={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
        )
        if reply.exists:
            return False
        self._checked("create", ref, reply)
        return True

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """Delete the very object with *uid*, and what it owns; it may be gone already."""
        body = {**_DELETE, "preconditions": {"uid": uid}}
        reply = await self._connection.call("DELETE", object_path(ref), body=body)
        if not reply.missing:
            self._checked("delete", ref, reply)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    def _checked(self, verb: str, ref: ObjectRef, reply: Reply) -> dict[str, Any]:
        if reply.ok:
            return reply.document
        raise self._error(f"{verb} {ref}", ref, reply)

    def _error(self, request: str, ref: ObjectRef, reply: Reply) -> OrreryError:
        """Translate a refusal; what is wrong with a Secret may quote it, so it is not told."""
        if ref.kind == "Secret" and reply.status != HTTPStatus.FORBIDDEN:
            hushed = {**reply.document, "message": reply.document.get("reason")}
            reply = Reply(reply.status, hushed, reply.retry_after)
        return self._connection.error_of(request, reply)

    async def _may(self, right: Right) -> bool:
        resource, _, subresource = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
        }
        status = await self._review("SelfSubjectAccessReview", {"resourceAttributes": attributes})
        return bool(status.get("allowed"))

    async def _review(self, kind: str, spec: Document) -> Mapping[str, Any]:
        body = {"apiVersion": _AUTHORIZATION, "kind": kind, "spec": spec}
        path = f"/apis/{_AUTHORIZATION}/{kind.lower()}s"
        answer = await self._connection.demand("POST", path, body=body)
        status: Mapping[str, Any] = answer.get("status") or {}
        return status


class KubeClusterFactory:
    """Implements `orrery.ports.ClusterFactory`; clients share nothing."""

    def __init__(self, hub: HubSource, *, deadline: float = DEADLINE) -> None:
        self._hub = hub
        self._deadline = deadline

    def connect(self, access: ClusterAccess) -> ContinentalCluster:
        """Make a client of the cluster that a kubeconfig names, or of the hub itself."""
        if not access.kubeconfig:
            return KubeCluster(HubConnection(self._hub, remote=LOCAL, deadline=self._deadline))
        source = TextSource(access.kubeconfig)
        return KubeCluster(
            Connection(source, remote=CLUSTER, deadline=self._deadline, reply_max=REPLY_MAX)
        )


def grants(rule: Mapping[str, Any], right: Right) -> bool:
    """Tell whether one rule of a cluster grants *right*, for all objects. Pure."""
    if rule.get("resourceNames"):
        return False
    subresource = right.resource.partition("/")[2]
    resources = {"*", right.resource} | ({f"*/{subresource}"} if subresource else set())
    return bool(
        {"*", right.verb} & set(rule.get("verbs") or ())
        and {"*", right.group} & set(rule.get("apiGroups") or ())
        and resources & set(rule.get("resources") or ())
    )


def collection(api_version: str, kind: str, namespace: str) -> str:
    """Return the path of the objects of a kind that Orrery keeps."""
    resource = RESOURCES[api_version, kind]
    assert bool(namespace) == resource.namespaced, f"{kind} in namespace {namespace!r}"
    root = f"/apis/{api_version}" if resource.group else f"/api/{api_version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{place}/{resource.plural}"


def object_path(ref: ObjectRef) -> str:
    """Return the path of one object."""
    return f"{collection(ref.api_version, ref.kind, ref.namespace)}/{quote(ref.name, safe='')}"
