"""What Orrery must be allowed to do in a continent's cluster, and what allows it there. Pure."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from orrery.names import (
    FIELD_MANAGER,
    LABEL_INSTALL,
    LABEL_MANAGED_BY,
    OPERATOR_NAMESPACE,
)
from orrery.planning.pruning import PRUNED
from orrery.ports import Right
from orrery.ports.resources import RESOURCES, Resource

Manifest = Mapping[str, Any]

RBAC: Final = "rbac.authorization.k8s.io"

_APPLY: Final = ("get", "create", "patch")
"""Server-side apply of what does not exist yet needs the right to create, too."""
_PRUNE: Final = ("list", "delete")


def _verbs(resource: Resource) -> Sequence[str]:
    if resource.kind == "Pod":
        return ("get",)
    return _APPLY + (_PRUNE if (resource.api_version, resource.kind) in PRUNED else ())


RIGHTS: Final = tuple(
    Right(verb, resource.group, resource.plural)
    for resource in RESOURCES.values()
    for verb in _verbs(resource)
)
"""All that is needed and nothing else: no wildcards, no right to delete what cannot be made anew.

The questions for the version and for our own rights need none: every user may ask them.
"""


TEARDOWN_RIGHTS: Final = (Right("delete", "", "namespaces"),)
"""What a teardown needs beside. Who may delete a namespace may delete each, so it is not asked for
where no region has ``deletionPolicy: Teardown``; volumes and keys go with it, without a right."""


def render_rbac(install: str, *, teardown: bool = False) -> Sequence[Manifest]:
    """Render an account in a continent's cluster that has just the `RIGHTS`, with its token.

    It has those of a *teardown* only when asked to. The regions' namespaces do not exist yet, so
    the rights hold in all namespaces.
    """
    name, labels = f"{install}-hub", {LABEL_INSTALL: install, LABEL_MANAGED_BY: FIELD_MANAGER}
    rights = sorted((*RIGHTS, *(TEARDOWN_RIGHTS if teardown else ())), key=_rank)
    inside = {"name": name, "namespace": OPERATOR_NAMESPACE, "labels": labels}
    outside = {"name": name, "labels": labels}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": OPERATOR_NAMESPACE},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": inside,
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                **inside,
                "name": f"{name}-token",
                "annotations": {"kubernetes.io/service-account.name": name},
            },
            "type": "kubernetes.io/service-account-token",
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": outside,
            "rules": [_rule(rights) for rights in _by_resource(rights)],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": outside,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": OPERATOR_NAMESPACE}],
        },
    ]


_ORDER: Final = tuple(dict.fromkeys((right.group, right.resource) for right in RIGHTS))


def _rank(right: Right) -> int:
    return _ORDER.index((right.group, right.resource))


def _by_resource(rights: Sequence[Right]) -> list[list[Right]]:
    return [list(each) for _, each in groupby(rights, key=lambda r: (r.group, r.resource))]


def _rule(rights: Sequence[Right]) -> dict[str, Any]:
    """Write one rule for *rights*, which are of one resource."""
    return {
        "apiGroups": [rights[0].group],
        "resources": [rights[0].resource],
        "verbs": [right.verb for right in rights],
    }
