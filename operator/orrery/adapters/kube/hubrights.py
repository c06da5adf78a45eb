"""Ask the hub what this operator may do there, without trying it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery.adapters.kube.cluster import grants
from orrery.adapters.kube.connection import Connection
from orrery.ports.hubrights import HubRight

_AUTHORIZATION: Final = "authorization.k8s.io/v1"
_NOWHERE: Final = "orrery-rights-review"
"""A namespace that nobody has: what is granted there is granted everywhere."""
_QUESTIONS: Final = 4
"""Questions about single rights at the same time."""

Rules = Sequence[Mapping[str, Any]]


class KubeHubRights:
    """Implements `orrery.ports.hubrights.HubRights`; every account may ask these questions."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        """Take *namespace* for the operator's own."""
        self._connection = connection
        self._namespace = namespace

    async def missing(self, rights: Sequence[HubRight]) -> Sequence[HubRight]:
        """Return those of *rights* that the hub does not grant us, in their order.

        Where the hub says that its lists of what is granted are incomplete, as those of some
        providers do, each right that is on none of them is asked for.
        """
        everywhere, is_whole = await self._granted(_NOWHERE)
        inside, is_whole_inside = await self._granted(self._namespace)
        unlisted = [
            right
            for right in rights
            if not any(grants(_of(rule, right), right.right) for rule in everywhere)
            and not (right.inside and any(grants(_of(rule, right), right.right) for rule in inside))
        ]
        if is_whole and is_whole_inside:
            return unlisted
        turn = asyncio.Semaphore(_QUESTIONS)

        async def denied(right: HubRight) -> bool:
            async with turn:
                return not await self._may(right)

        answers = await asyncio.gather(*map(denied, unlisted))
        return [right for right, is_denied in zip(unlisted, answers, strict=True) if is_denied]

    async def _granted(self, namespace: str) -> tuple[Rules, bool]:
        """Return the rules that hold in *namespace*, and whether these are all."""
        status = await self._review("SelfSubjectRulesReview", {"namespace": namespace})
        return status.get("resourceRules") or (), not status.get("incomplete")

    async def _may(self, wanted: HubRight) -> bool:
        resource, _, subresource = wanted.right.resource.partition("/")
        attributes = {
            "verb": wanted.right.verb,
            "group": wanted.right.group,
            "resource": resource,
            "subresource": subresource,
            "name": wanted.name,
            "namespace": self._namespace if wanted.inside else "",
        }
        status = await self._review("SelfSubjectAccessReview", {"resourceAttributes": attributes})
        return bool(status.get("allowed"))

    async def _review(self, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {"apiVersion": _AUTHORIZATION, "kind": kind, "spec": spec}
        path = f"/apis/{_AUTHORIZATION}/{kind.lower()}s"
        answer = await self._connection.demand("POST", path, body=body)
        status: Mapping[str, Any] = answer.get("status") or {}
        return status


def _of(rule: Mapping[str, Any], wanted: HubRight) -> Mapping[str, Any]:
    """Read a rule for named objects as one for all, when the one that is wanted is named."""
    named = wanted.name and wanted.name in (rule.get("resourceNames") or ())
    return {**rule, "resourceNames": []} if named else rule
