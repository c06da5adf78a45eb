"""Render what a control plane stands on: its namespace, and who may talk to whom in it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orrery.names import ANNOTATION_OWNER
from orrery.render.region.blueprint import (
    HTTP_PORT,
    RPC_PORT,
    SERF_PORT,
    Blueprint,
    Component,
    Manifest,
)
from orrery.render.region.site import Site

POD_SECURITY: Final = "restricted"

DNS_PORT: Final = 53
NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""NodeLocal DNSCache answers here, outside of every namespace (its documented default)."""

Rule = Mapping[str, Any]


def render_foundation(blueprint: Blueprint) -> list[Manifest]:
    """Render the namespace, the accounts of its pods, and the connections that are allowed in it.

    The accounts have no rights and no pod gets a token: a control plane does not talk to
    Kubernetes. No connection leaves the namespace but for DNS.
    """
    namespace = render_namespace(blueprint, {ANNOTATION_OWNER: blueprint.continent.metadata.name})
    return [
        namespace,
        *(account(blueprint, component) for component in (Component.NOMAD, Component.FRONT_DOOR)),
        deny_all(blueprint),
        allow_dns(blueprint),
        *_allow_components(blueprint),
    ]


def render_namespace(site: Site, annotations: Mapping[str, str] | None = None) -> Manifest:
    """Render the namespace, in which no pod may ask for more than Pod Security allows."""
    modes = ("enforce", "audit", "warn")
    security = {f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in modes}
    metadata = {"name": site.namespace, "labels": site.labels() | security}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def account(site: Site, component: Component) -> Manifest:
    """Render the account of the pods of *component*, which has no rights."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": site.metadata(component),
        "automountServiceAccountToken": False,
    }


def deny_all(site: Site) -> Manifest:
    """Forbid all pods every connection; each other policy adds some."""
    return policy(site, "deny-all", {}, ingress=[], egress=[])


def allow_dns(site: Site) -> Manifest:
    """Allow questions to whatever serves DNS in the cluster: its namespace and pods vary."""
    to = [{"namespaceSelector": {}}, {"ipBlock": {"cidr": NODE_LOCAL_DNS}}]
    ports = [port(DNS_PORT, "UDP"), port(DNS_PORT)]
    return policy(site, "dns", {}, egress=[{"to": to, "ports": ports}])


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
    http, rpc = port(HTTP_PORT), port(RPC_PORT)
    among_servers = [rpc, port(SERF_PORT), port(SERF_PORT, "UDP")]
    return [
        policy(
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
        policy(
            blueprint,
            Component.FRONT_DOOR,
            front_door,
            # From everywhere: which addresses may try is for the load balancer to decide.
            ingress=[{"ports": [http, rpc]}],
            egress=[{"to": [{"podSelector": servers}], "ports": [http, rpc]}],
        ),
        *(
            policy(
                blueprint,
                component,
                pods,
                egress=[{"to": [{"podSelector": servers}], "ports": [http]}],
            )
            for component, pods in callers.items()
        ),
    ]


def policy(
    site: Site,
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
            "name": f"{site.name}-{name}",
            "namespace": site.namespace,
            "labels": site.labels(name if isinstance(name, Component) else None),
        },
        "spec": spec,
    }


def port(number: int, protocol: str = "TCP") -> Rule:
    """Write one port of a rule."""
    return {"port": number, "protocol": protocol}
