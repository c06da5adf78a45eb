"""Render what a control plane stands on: its namespace, and who may talk to whom in it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery.render.region.blueprint import (
    HTTP_PORT,
    RPC_PORT,
    SERF_PORT,
    Blueprint,
    Component,
    Manifest,
)

POD_SECURITY: Final = "restricted"

DNS_PORT: Final = 53
NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""NodeLocal DNSCache answers here, outside of every namespace (its documented default)."""

Rule = Mapping[str, Any]


def render_foundation(blueprint: Blueprint) -> list[Manifest]:
    """Render the namespace, the account of its pods, and the connections that are allowed in it.

    The account has no rights and its token reaches no pod: a control plane does not talk to
    Kubernetes. No connection leaves the namespace but for DNS.
    """
    return [
        _namespace(blueprint),
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": blueprint.metadata(Component.NOMAD),
            "automountServiceAccountToken": False,
        },
        _deny_all(blueprint),
        _allow_dns(blueprint),
        *_allow_components(blueprint),
    ]


def _namespace(blueprint: Blueprint) -> Manifest:
    modes = ("enforce", "audit", "warn")
    security = {f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in modes}
    metadata = {"name": blueprint.namespace, "labels": blueprint.labels() | security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _deny_all(blueprint: Blueprint) -> Manifest:
    """Forbid all pods every connection; each other policy adds some."""
    return _policy(blueprint, "deny-all", {}, ingress=[], egress=[])


def _allow_dns(blueprint: Blueprint) -> Manifest:
    """Allow questions to whatever serves DNS in the cluster: its namespace and pods vary."""
    to = [{"namespaceSelector": {}}, {"ipBlock": {"cidr": NODE_LOCAL_DNS}}]
    ports = [_port(DNS_PORT, "UDP"), _port(DNS_PORT)]
    return _policy(blueprint, "dns", {}, egress=[{"to": to, "ports": ports}])


def _allow_components(blueprint: Blueprint) -> list[Manifest]:
    """Allow servers each other, the front door the servers, and everybody the front door."""
    servers, front_door, bootstrap, snapshot = (
        {"matchLabels": blueprint.selector(component)}
        for component in (
            Component.NOMAD,
            Component.FRONT_DOOR,
            Component.BOOTSTRAP,
            Component.SNAPSHOT,
        )
    )
    callers = {Component.BOOTSTRAP: bootstrap, Component.SNAPSHOT: snapshot}
    http, rpc = _port(HTTP_PORT), _port(RPC_PORT)
    among_servers = [rpc, _port(SERF_PORT), _port(SERF_PORT, "UDP")]
    return [
        _policy(
            blueprint,
            Component.NOMAD,
            servers,
            ingress=[
                {"from": [{"podSelector": servers}], "ports": among_servers},
                {"from": [{"podSelector": front_door}], "ports": [http, rpc]},
                *({"from": [{"podSelector": pods}], "ports": [http]} for pods in callers.values()),
            ],
            egress=[{"to": [{"podSelector": servers}], "ports": among_servers}],
        ),
        _policy(
            blueprint,
            Component.FRONT_DOOR,
            front_door,
            # From everywhere: which addresses may try is for the load balancer to decide.
            ingress=[{"ports": [http, rpc]}],
            egress=[{"to": [{"podSelector": servers}], "ports": [http, rpc]}],
        ),
        *(
            _policy(
                blueprint,
                component,
                pods,
                egress=[{"to": [{"podSelector": servers}], "ports": [http]}],
            )
            for component, pods in callers.items()
        ),
    ]


def _policy(
    blueprint: Blueprint,
    name: str,
    pods: Mapping[str, Any],
    *,
    ingress: Sequence[Rule] | None = None,
    egress: Sequence[Rule] | None = None,
) -> Manifest:
    """Allow *pods* what the rules say; in a direction with rules, be they none, nothing else.

    No rules are not written as an empty list: the API server drops it, and so would see a change
    in every apply.
    """
    spec: dict[str, Any] = {"podSelector": pods, "policyTypes": []}
    for direction, rules in (("Ingress", ingress), ("Egress", egress)):
        if rules is not None:
            spec["policyTypes"].append(direction)
            spec |= {direction.lower(): list(rules)} if rules else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"{blueprint.name}-{name}",
            "namespace": blueprint.namespace,
            "labels": blueprint.labels(name if isinstance(name, Component) else None),
        },
        "spec": spec,
    }


def _port(port: int, protocol: str = "TCP") -> Rule:
    return {"port": port, "protocol": protocol}
