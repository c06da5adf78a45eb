"""Choices that Kubernetes lets nobody change: they are kept, told, and hold nothing else."""

import copy
from typing import Any

import pytest
from tests.fakes.manifests import a_config_map, a_service, a_stateful_set

from orrery.planning.immutable import keep_choices


def servers(storage: str = "10Gi", storage_class: str | None = None) -> dict[str, Any]:
    body = copy.deepcopy(a_stateful_set())
    spec: dict[str, Any] = {"resources": {"requests": {"storage": storage}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    body["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": spec}]
    return body


def balancer(load_balancer_class: str | None = None, *, owned: bool = False) -> dict[str, Any]:
    body = copy.deepcopy(a_service())
    body["spec"]["type"] = "LoadBalancer"
    if load_balancer_class:
        body["spec"]["loadBalancerClass"] = load_balancer_class
    if owned:
        fields: dict[str, Any] = {"f:spec": {"f:loadBalancerClass": {}}}
        entry = {"manager": "orrery", "operation": "Apply", "fieldsV1": fields}
        body["metadata"]["managedFields"] = [entry]
    return body


@pytest.mark.parametrize(
    ("wanted", "live", "told"),
    [
        pytest.param(servers("20Gi"), servers(), ("storage", "20Gi", "10Gi"), id="larger"),
        pytest.param(
            servers(storage_class="fast"), servers(), ("storageClassName", "fast", ""), id="class"
        ),
        pytest.param(
            servers(),
            servers(storage_class="fast"),
            ("storageClassName", "", "fast"),
            id="no-class",
        ),
        pytest.param(
            balancer("a/b"), balancer("x/y"), ("loadBalancerClass", "a/b", "x/y"), id="balancer"
        ),
        pytest.param(
            balancer(),
            balancer("x/y", owned=True),
            ("loadBalancerClass", "", "x/y"),
            id="no-balancer-class",
        ),
    ],
)
def test_a_choice_stays_as_it_was_made_and_is_told(
    wanted: dict[str, Any], live: dict[str, Any], told: tuple[str, str, str]
) -> None:
    before = copy.deepcopy(wanted)

    kept, refusals = keep_choices(wanted, live)

    assert [tuple(refusal)[1:] for refusal in refusals] == [told]
    assert kept["spec"].get("volumeClaimTemplates") == live["spec"].get("volumeClaimTemplates")
    assert kept["spec"].get("loadBalancerClass") == live["spec"].get("loadBalancerClass")
    assert wanted == before


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        pytest.param(servers("10Gi"), servers("10240Mi"), id="the-same-amount"),
        pytest.param(balancer(), balancer("default/class"), id="defaulted-by-others"),
        pytest.param(a_config_map(), {**a_config_map(), "data": {}}, id="any-other-kind"),
    ],
)
def test_what_can_be_applied_is_left_as_it_is(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    kept, refusals = keep_choices(wanted, live)

    assert kept == wanted
    assert not refusals
