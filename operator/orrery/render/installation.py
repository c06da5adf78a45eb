"""Render the operator itself, as it runs in the hub: its account, its rights, its pods. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from orrery import __version__, names
from orrery.ports import Right
from orrery.ports.hubrights import EVERYWHERE, INSIDE, TENANTS, HubRight
from orrery.render.region.foundation import POD_SECURITY
from orrery.render.region.pods import USER, container_security, pod_security

Manifest = dict[str, Any]

IMAGE: Final = f"registry.example/orrery:{__version__}"
"""Stands for the image of whoever installs: no registry of that name can exist."""

NAME: Final = "orrery-operator"
HEALTH_PORT: Final = 8081
METRICS_PORT: Final = 8080

GRACE_SECONDS: Final = 30
"""The operator ends by itself within 20 s, and hands its lease on at once."""

_RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What differs between two installations."""

    image: str = IMAGE
    install: str = names.INSTALL_DEFAULT
    namespace: str = names.OPERATOR_NAMESPACE
    replicas: int = 2
    tenants: Sequence[str] = ()
    """Namespaces whose Secrets deployments may name; none: all of them."""

    @property
    def labels(self) -> dict[str, str]:
        """Label all objects. None of these is what Orrery knows its own objects by."""
        return {names.LABEL_NAME: NAME, names.LABEL_PART_OF: "orrery"}

    def inside(self, name: str = NAME) -> dict[str, Any]:
        """Write the metadata of an object in the operator's namespace."""
        return {"name": name, "namespace": self.namespace, "labels": self.labels}

    def everywhere(self, part: str = "") -> dict[str, Any]:
        """Write the metadata of an object of the whole cluster."""
        return {"name": self.role_name(part), "labels": self.labels}

    def role_name(self, part: str = "") -> str:
        """Name a role of the whole cluster, which other installations may have, too."""
        return "-".join(filter(None, (self.install, "operator", part)))


def render_installation(installation: Installation) -> dict[str, list[Manifest]]:
    """Render all but the definitions of our kinds, by the name of the file that each belongs to."""
    return {
        "namespace": [_namespace(installation)],
        "access": [_account(installation), *_access(installation)],
        "operator": [_deployment(installation), _disruption_budget(installation)],
        "network": [_metrics(installation), _policy(installation)],
    }


def render_local_rights(
    installation: Installation, rights: Sequence[Right], part: str
) -> list[Manifest]:
    """Render *rights* in the hub itself, for Continents with ``cluster: {local: true}``."""
    rules = [_rule([HubRight(right) for right in each]) for each in _by_resource(rights)]
    return _everywhere(installation, rules, part)


def _namespace(installation: Installation) -> Manifest:
    modes = ("enforce", "audit", "warn")
    security = {f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in modes}
    metadata = {"name": installation.namespace, "labels": installation.labels | security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _account(installation: Installation) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": installation.inside(),
        # Of all pods, only the operator's own asks for the token.
        "automountServiceAccountToken": False,
    }


def _access(installation: Installation) -> list[Manifest]:
    tenants: list[Manifest] = []
    if not installation.tenants:
        tenants = _everywhere(installation, _rules(TENANTS), "tenants")
    for tenant in installation.tenants:
        place = {**installation.inside(installation.role_name("tenants")), "namespace": tenant}
        tenants += _inside(installation, _rules(TENANTS), place)
    return [
        *_everywhere(installation, _rules(EVERYWHERE)),
        *_inside(installation, _rules(INSIDE), installation.inside()),
        *tenants,
    ]


def _everywhere(
    installation: Installation, rules: Sequence[Manifest], part: str = ""
) -> list[Manifest]:
    metadata = installation.everywhere(part)
    return _granted("ClusterRole", installation, rules, metadata)


def _inside(
    installation: Installation, rules: Sequence[Manifest], metadata: Mapping[str, Any]
) -> list[Manifest]:
    return _granted("Role", installation, rules, metadata)


def _granted(
    kind: str, installation: Installation, rules: Sequence[Manifest], metadata: Mapping[str, Any]
) -> list[Manifest]:
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": installation.namespace}
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": kind,
            "metadata": dict(metadata),
            "rules": list(rules),
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
            "subjects": [account],
        },
    ]


def _rules(wanted: Sequence[HubRight]) -> list[Manifest]:
    """Write one rule for each resource, with all that is needed of it, in their order."""
    groups = groupby(wanted, key=lambda each: (each.right.group, each.right.resource))
    return [_rule(list(each)) for _, each in groups]


def _by_resource(rights: Sequence[Right]) -> list[list[Right]]:
    groups: dict[tuple[str, str], list[Right]] = {}
    for right in rights:
        groups.setdefault((right.group, right.resource), []).append(right)
    return list(groups.values())


def _rule(wanted: Sequence[HubRight]) -> Manifest:
    right = wanted[0].right
    named = [each.name for each in wanted if each.name]
    assert not named or len(named) == len(wanted), "one rule is for all objects or for named ones"
    return {
        "apiGroups": [right.group],
        "resources": [right.resource],
        **({"resourceNames": named} if named else {}),
        "verbs": list(dict.fromkeys(each.right.verb for each in wanted)),
    }


def _deployment(installation: Installation) -> Manifest:
    """Run the operator; those that do not lead watch, and take over at once.

    A new pod must be ready before an old one goes: one that lacks a right is not, so an upgrade
    without its new rights stands still, and the former operator works on.
    """
    metadata = installation.inside()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": installation.replicas,
            "selector": {"matchLabels": installation.labels},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {"labels": installation.labels},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": True,
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": pod_security(USER),
                    "topologySpreadConstraints": [_spread(installation)],
                    "containers": [_container(installation)],
                },
            },
        },
    }


def _container(installation: Installation) -> Manifest:
    return {
        "name": "operator",
        "image": installation.image,
        # An empty address means every one that the pod has, be it of IPv4 or of IPv6.
        "command": ["orrery", "run", "--health-address=", "--metrics-address="],
        "env": [
            {"name": "ORRERY_INSTALL", "value": installation.install},
            {
                "name": "ORRERY_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            },
            {"name": "ORRERY_HEALTH_PORT", "value": str(HEALTH_PORT)},
            {"name": "ORRERY_METRICS_PORT", "value": str(METRICS_PORT)},
            {"name": "ORRERY_LOG_FORMAT", "value": "json"},
        ],
        "ports": [
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "readinessProbe": _probe("/readyz", period=5, failures=3),
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": container_security(),
    }


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "health", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _spread(installation: Installation) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": installation.labels},
    }


def _disruption_budget(installation: Installation) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": installation.inside(),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": installation.labels},
            # A pod that is not ready holds up no drain of its node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _metrics(installation: Installation) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": installation.inside(f"{NAME}-metrics"),
        "spec": {
            "type": "ClusterIP",
            "selector": installation.labels,
            # What an operator that is not ready tells is what one wants to know.
            "publishNotReadyAddresses": True,
            "ports": [
                {
                    "name": "metrics",
                    "port": METRICS_PORT,
                    "targetPort": "metrics",
                    "protocol": "TCP",
                }
            ],
        },
    }


def _policy(installation: Installation) -> Manifest:
    """Let in who asks for metrics or probes; where it goes is not known here, so all may go out."""
    ports = [{"port": port, "protocol": "TCP"} for port in (METRICS_PORT, HEALTH_PORT)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": installation.inside(),
        "spec": {
            "podSelector": {"matchLabels": installation.labels},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": ports}],
        },
    }
