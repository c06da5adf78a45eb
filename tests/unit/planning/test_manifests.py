"""Objects of a continent's cluster: what is drift, whose they are, and whether they work."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.manifests import (
    a_control_plane,
    a_manifest,
    a_network_policy,
    a_service,
    a_stateful_set,
)

from orrery.planning.manifests import (
    BalancerAddress,
    deployment_ready,
    differs,
    is_foreign,
    job_state,
    left_over,
    load_balancer_address,
    stateful_set_ready,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)


def spec(**fields: Any) -> dict[str, Any]:
    return a_manifest("ConfigMap", spec=fields)


def pod(**container: Any) -> dict[str, Any]:
    return spec(template={"spec": {"containers": [{"name": "nomad", **container}]}})


CONTAINER = "spec.template.spec.containers[nomad]"


@pytest.mark.parametrize("manifest", a_control_plane(), ids=lambda manifest: manifest["kind"])
def test_an_object_does_not_differ_from_itself(manifest: dict[str, Any]) -> None:
    assert differs(manifest, copy.deepcopy(manifest)) == []


@given(value=JSON)
def test_any_value_equals_itself_and_an_object_that_has_more(value: Any) -> None:
    more = {**spec(field=value, more=1), "status": {"phase": "Active"}}

    assert differs(spec(field=value), more) == []


@given(one=st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), max_size=3), two=JSON)
def test_drift_is_a_field_that_was_set_and_is_otherwise(one: dict[str, int], two: Any) -> None:
    live = two if isinstance(two, dict) else {}

    wrong = [f"spec.field.{key}" for key, value in one.items() if live.get(key) != value]

    assert set(differs(spec(field=one), spec(field=live))) >= set(wrong)


@pytest.mark.parametrize(
    ("wanted", "live", "paths"),
    [
        pytest.param(spec(a=1), spec(a=2), ["spec.a"], id="value"),
        pytest.param(spec(a={"b": 1}), spec(), ["spec.a"], id="map-gone"),
        pytest.param(spec(a={"b": 1}), spec(a=1), ["spec.a"], id="no-map-any-more"),
        pytest.param(spec(a=[1]), spec(a="1"), ["spec.a"], id="no-list-any-more"),
        pytest.param(spec(a=None, b={}, c=[], d=""), spec(), [], id="empty-is-absent"),
        pytest.param(spec(a={"b": {}, "c": None}), spec(), [], id="emptiness-within-is-absent"),
        pytest.param(spec(a=[]), spec(a=[1]), ["spec.a[0]"], id="empty-list-is-filled"),
        pytest.param(spec(hostNetwork=False), spec(), [], id="false-that-is-left-out"),
        pytest.param(
            spec(automountServiceAccountToken=False),
            spec(),
            ["spec.automountServiceAccountToken"],
            id="false-that-says-something",
        ),
        pytest.param(spec(replicas=0), spec(), ["spec.replicas"], id="zero-that-says-something"),
        pytest.param(spec(a="80"), spec(a=80), ["spec.a"], id="text-is-no-number"),
        pytest.param(spec(a=1), spec(a=True), ["spec.a"], id="truth-is-no-number"),
        pytest.param(spec(a=1), spec(a=1.0), [], id="numbers-by-value"),
        pytest.param(
            pod(env=[{"name": "A", "value": "0.50"}]),
            pod(env=[{"name": "A", "value": "0.5"}]),
            [f"{CONTAINER}.env[A].value"],
            id="text-is-no-quantity",
        ),
        pytest.param(
            pod(resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2}}),
            pod(resources={"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": "2"}}),
            [],
            id="quantities-by-value",
        ),
        pytest.param(
            pod(resources={"limits": {"memory": "1Gi"}}),
            pod(resources={"limits": {"memory": "1G"}}),
            [f"{CONTAINER}.resources.limits.memory"],
            id="another-quantity",
        ),
        pytest.param(
            pod(env=[{"name": "B", "value": "b"}, {"name": "A", "value": "a"}]),
            pod(env=[{"name": "A", "value": "a"}, {"name": "B"}, {"name": "C"}]),
            [f"{CONTAINER}.env[B].value"],
            id="items-by-name",
        ),
        pytest.param(
            pod(ports=[{"containerPort": 1}]),
            pod(ports=[{"containerPort": 1, "protocol": "UDP"}]),
            [f"{CONTAINER}.ports[1,TCP]"],
            id="ports-by-protocol",
        ),
        pytest.param(
            pod(volumeMounts=[{"mountPath": "/a", "name": "x"}]),
            pod(volumeMounts=[{"mountPath": "/b", "name": "x"}]),
            [f"{CONTAINER}.volumeMounts[/a]"],
            id="mounts-by-path",
        ),
        pytest.param(
            pod(args=["a", "b"]), pod(args=["a"]), [f"{CONTAINER}.args[1]"], id="fewer-arguments"
        ),
        pytest.param(
            pod(args=["a"]), pod(args=["a", "b"]), [f"{CONTAINER}.args[1]"], id="more-arguments"
        ),
        pytest.param(
            spec(volumes=[{"name": "a", "emptyDir": {}}]),
            spec(volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
            ["spec.volumes[a].emptyDir"],
            id="another-sort-of-volume",
        ),
    ],
)
def test_what_is_drift(wanted: dict[str, Any], live: dict[str, Any], paths: list[str]) -> None:
    assert differs(wanted, live) == paths


def test_whatever_is_added_to_a_network_policy_is_drift() -> None:
    wanted, live = a_network_policy(), a_network_policy()
    live["spec"]["ingress"][0]["ports"].append({"port": 22})
    live["spec"]["ingress"][1]["from"].append({"namespaceSelector": {}})
    live["spec"]["ingress"].append({})

    assert differs(wanted, live) == [
        "spec.ingress[0].ports[2]",
        "spec.ingress[1].from[1]",
        "spec.ingress[2]",
    ]


def test_a_finalizer_of_somebody_else_is_no_drift() -> None:
    wanted, live = a_service(), a_service()
    wanted["metadata"]["finalizers"] = ["orrery.dev/ours"]
    live["metadata"]["finalizers"] = ["service.kubernetes.io/load-balancer-cleanup"]

    assert differs(wanted, live) == ["metadata.finalizers[orrery.dev/ours]"]
    live["metadata"]["finalizers"].append("orrery.dev/ours")
    assert differs(wanted, live) == []


def test_drift_of_a_secret_is_told_without_its_values() -> None:
    wanted, live = (a_manifest("Secret", data={"token": value}) for value in ("b2xk", "bmV3"))

    assert differs(wanted, live) == ["data.token"]


def applied(manifest: dict[str, Any], owned: dict[str, Any], **entry: Any) -> dict[str, Any]:
    """Return *manifest* as an object of which *owned* was applied."""
    ours = {"manager": "orrery", "operation": "Apply", "fieldsV1": owned, **entry}
    metadata = {**manifest["metadata"], "managedFields": [{"manager": "kubelet"}, ours]}
    return {**manifest, "metadata": metadata}


def test_fields_that_are_not_wanted_any_more_are_left_over() -> None:
    port = 'k:{"port":4646,"protocol":"TCP"}'
    gone = 'k:{"port":80,"protocol":"TCP"}'
    owned = {
        "f:metadata": {
            "f:labels": {"f:old": {}},
            "f:finalizers": {".": {}, 'v:"orrery.dev/old"': {}},
        },
        "f:spec": {
            "f:type": {},
            "f:ports": {port: {".": {}, "f:name": {}, "f:nodePort": {}}, gone: {".": {}}},
        },
    }

    assert left_over(a_service(), applied(a_service(), owned)) == [
        "metadata.finalizers",
        "metadata.labels.old",
        "spec.ports[4646,TCP].nodePort",
        "spec.ports[80,TCP]",
    ]


@pytest.mark.parametrize(
    "entry", [{"manager": "kubectl"}, {"operation": "Update"}, {"subresource": "status"}]
)
def test_fields_that_somebody_else_applied_are_not_left_over(entry: dict[str, str]) -> None:
    assert left_over(a_service(), applied(a_service(), {"f:spec": {"f:x": {}}}, **entry)) == []


def labelled(**labels: str) -> dict[str, Any]:
    body = a_service()
    body["metadata"]["labels"] = {
        {"install": "orrery.dev/install", "region": "orrery.dev/region"}[key]: value
        for key, value in labels.items()
    }
    return body


@pytest.mark.parametrize(
    ("live", "foreign"),
    [
        pytest.param(labelled(install="orrery", region="fra"), False, id="ours"),
        pytest.param(labelled(), True, id="nobodys"),
        pytest.param(labelled(install="orrery"), True, id="half-labelled"),
        pytest.param(labelled(install="other", region="fra"), True, id="another-install"),
        pytest.param(labelled(install="orrery", region="par"), True, id="another-region"),
        pytest.param(applied(labelled(), {}), False, id="ours-without-labels"),
        pytest.param(
            applied(labelled(install="other", region="fra"), {}), True, id="another-install-applied"
        ),
    ],
)
def test_whose_an_object_is(live: dict[str, Any], *, foreign: bool) -> None:
    assert is_foreign(a_service(), live) is foreign


def service(*ingress: dict[str, str]) -> dict[str, Any]:
    return {**a_service(), "status": {"loadBalancer": {"ingress": list(ingress)}}}


@pytest.mark.parametrize(
    ("body", "ip"),
    [
        pytest.param(a_service(), "", id="no-status"),
        pytest.param(service(), "", id="not-yet"),
        pytest.param(service({"ip": "192.0.2.7"}), "192.0.2.7", id="address"),
        pytest.param(service({"ip": "2001:db8::7"}), "2001:db8::7", id="version-6"),
        pytest.param(
            service({"ip": "2001:db8::7"}, {"ip": "192.0.2.7"}), "192.0.2.7", id="version-4-first"
        ),
        pytest.param(service({"ip": "192.0.2.9"}, {"ip": "192.0.2.7"}), "192.0.2.9", id="first"),
        pytest.param(
            service({"hostname": "lb.example", "ip": "192.0.2.7"}), "192.0.2.7", id="host-name-too"
        ),
    ],
)
def test_a_load_balancer_has_an_address_or_none_yet(body: dict[str, Any], ip: str) -> None:
    assert load_balancer_address(body) == BalancerAddress(ip=ip)


def test_a_load_balancer_with_nothing_but_a_host_name_is_of_no_use() -> None:
    found = load_balancer_address(service({"hostname": "lb.example"}))

    assert not found.ip
    assert 'its load balancer has the host name "lb.example" and no IP address' in found.problem


def standing(kind: str, generation: int = 2, **status: int) -> dict[str, Any]:
    body = a_manifest(kind, spec={"replicas": 3}, status=status)
    body["metadata"]["generation"] = generation
    return body


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        pytest.param({}, 0, id="nothing"),
        pytest.param({"observedGeneration": 2}, 0, id="none-ready"),
        pytest.param({"observedGeneration": 2, "readyReplicas": 2}, 2, id="two"),
        pytest.param({"observedGeneration": 1, "readyReplicas": 3}, 0, id="of-the-spec-before"),
    ],
)
def test_pods_of_a_stateful_set_are_ready_for_the_newest_spec(
    status: dict[str, int], ready: int
) -> None:
    assert stateful_set_ready(standing("StatefulSet", **status)) == (ready, 3)


def test_a_stateful_set_without_a_number_wants_one_pod() -> None:
    body = a_stateful_set()
    del body["spec"]["replicas"]

    assert stateful_set_ready(body).wanted == 1


def test_pods_of_a_deployment_count_when_they_are_available_and_new() -> None:
    rolling = standing("Deployment", observedGeneration=2, availableReplicas=3, updatedReplicas=1)
    failing = standing("Deployment", observedGeneration=2, updatedReplicas=3)

    assert deployment_ready(rolling) == (1, 3)
    assert deployment_ready(failing) == (0, 3)


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], "Running"),
        ([{"type": "Complete", "status": "True"}], "Complete"),
        ([{"type": "Failed", "status": "True"}], "Failed"),
        ([{"type": "Complete", "status": "False"}], "Running"),
        ([{"type": "FailureTarget", "status": "True"}], "Running"),
    ],
)
def test_a_job_runs_until_it_says_how_it_ended(
    conditions: list[dict[str, str]], state: str
) -> None:
    assert job_state(a_manifest("Job", status={"conditions": conditions})) == state
