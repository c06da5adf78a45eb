"""The foundation: a namespace that Kubernetes guards, and the few connections that are allowed."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.render.region.blueprints import a_blueprint

from orrery.render.region import render_region
from orrery.render.region.blueprint import Blueprint, Component, Manifest
from orrery.render.region.foundation import render_foundation

SERVERS, FRONT_DOOR, BOOTSTRAP = Component.NOMAD, Component.FRONT_DOOR, Component.BOOTSTRAP
ANYBODY = "anybody"


def of_kind(kind: str, blueprint: Blueprint | None = None) -> list[Manifest]:
    return [m for m in render_foundation(blueprint or a_blueprint()) if m["kind"] == kind]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def policies_of(component: Component, direction: str) -> list[Mapping[str, Any]]:
    """List the policies that limit a component's pods in one direction."""
    labels = a_blueprint().labels(component)
    specs = (policy["spec"] for policy in of_kind("NetworkPolicy"))
    limits = (s for s in specs if direction in s["policyTypes"])
    return [s for s in limits if selects(s["podSelector"], labels)]


def allows(rule: Mapping[str, Any], side: str, peer: str, port: tuple[int, str]) -> bool:
    ports = [(allowed["port"], allowed["protocol"]) for allowed in rule["ports"]]
    labels = {} if peer == ANYBODY else a_blueprint().labels(Component(peer))
    return port in ports and (
        side not in rule
        or any("podSelector" in p and selects(p["podSelector"], labels) for p in rule[side])
    )


def connects(source: str, target: str, port: int, protocol: str = "TCP") -> bool:
    """Tell whether the policies let *source* reach a port of *target*, on both sides."""
    leaves = source == ANYBODY or any(
        allows(rule, "to", target, (port, protocol))
        for policy in policies_of(Component(source), "Egress")
        for rule in policy.get("egress", [])
    )
    enters = any(
        allows(rule, "from", source, (port, protocol))
        for policy in policies_of(Component(target), "Ingress")
        for rule in policy.get("ingress", [])
    )
    return leaves and enters


def test_the_namespace_takes_restricted_pods_only() -> None:
    (namespace,) = of_kind("Namespace", a_blueprint(continent={"namespacePrefix": "eu-"}))

    labels = namespace["metadata"]["labels"]
    assert namespace["metadata"]["name"] == "eu-fra"
    assert {k: v for k, v in labels.items() if k.startswith("pod-security")} == {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }


def test_pods_have_no_rights_in_kubernetes() -> None:
    accounts = of_kind("ServiceAccount")

    assert [a["metadata"]["name"] for a in accounts] == ["fra-nomad", "fra-front-door"]
    assert not any(account["automountServiceAccountToken"] for account in accounts)
    named = {
        (m["metadata"]["name"], m["spec"]["template"]["spec"]["serviceAccountName"])
        for layer in render_region(a_blueprint())
        for m in layer.manifests
        if m["kind"] in {"StatefulSet", "Deployment"}
    }
    assert named == {("fra-nomad", "fra-nomad"), ("fra-front-door", "fra-front-door")}
    kinds = {manifest["kind"] for manifest in render_foundation(a_blueprint())}
    assert kinds == {"Namespace", "ServiceAccount", "NetworkPolicy"}


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        pytest.param(SERVERS, SERVERS, (4647, "TCP"), id="raft"),
        pytest.param(SERVERS, SERVERS, (4648, "TCP"), id="gossip"),
        pytest.param(SERVERS, SERVERS, (4648, "UDP"), id="gossip-udp"),
        pytest.param(FRONT_DOOR, SERVERS, (4646, "TCP"), id="api"),
        pytest.param(FRONT_DOOR, SERVERS, (4647, "TCP"), id="machines"),
        pytest.param(BOOTSTRAP, SERVERS, (4646, "TCP"), id="bootstrap"),
        pytest.param(ANYBODY, FRONT_DOOR, (4646, "TCP"), id="api-from-outside"),
        pytest.param(ANYBODY, FRONT_DOOR, (4647, "TCP"), id="machines-from-outside"),
    ],
)
def test_what_has_to_talk_can(source: str, target: str, port: tuple[int, str]) -> None:
    assert connects(source, target, *port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        pytest.param(ANYBODY, SERVERS, (4646, "TCP"), id="api-past-the-front-door"),
        pytest.param(ANYBODY, SERVERS, (4647, "TCP"), id="machines-past-the-front-door"),
        pytest.param(ANYBODY, SERVERS, (4648, "UDP"), id="gossip-from-outside"),
        pytest.param(FRONT_DOOR, SERVERS, (4648, "TCP"), id="gossip-of-the-front-door"),
        pytest.param(BOOTSTRAP, SERVERS, (4647, "TCP"), id="rpc-of-the-bootstrap"),
        pytest.param(SERVERS, FRONT_DOOR, (4646, "TCP"), id="servers-to-the-front-door"),
        pytest.param(ANYBODY, BOOTSTRAP, (4646, "TCP"), id="bootstrap-listens-to-nobody"),
    ],
)
def test_what_need_not_talk_cannot(source: str, target: str, port: tuple[int, str]) -> None:
    assert not connects(source, target, *port)


@pytest.mark.parametrize("component", [*Component])
def test_nothing_but_dns_leaves_the_namespace(component: Component) -> None:
    rules = [r for policy in policies_of(component, "Egress") for r in policy.get("egress", [])]

    outside = [rule for rule in rules if any(peer.keys() - {"podSelector"} for peer in rule["to"])]
    ports = {(port["port"], port["protocol"]) for rule in outside for port in rule["ports"]}
    assert ports == {(53, "UDP"), (53, "TCP")}
    assert all("to" in rule for rule in rules)


def test_a_pod_of_nobody_may_do_nothing_but_ask_dns() -> None:
    specs = [policy["spec"] for policy in of_kind("NetworkPolicy")]

    everywhere = [spec for spec in specs if not spec["podSelector"]]
    assert [spec["policyTypes"] for spec in everywhere] == [["Ingress", "Egress"], ["Egress"]]
    assert not any("ingress" in spec for spec in everywhere)
    rules = [rule for spec in everywhere for rule in spec.get("egress", [])]
    assert [port["port"] for rule in rules for port in rule["ports"]] == [53, 53]
