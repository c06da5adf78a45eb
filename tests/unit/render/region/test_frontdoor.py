"""The front door's manifests: its address, what its pods may do, and when they are replaced."""

from typing import Any

import pytest
from tests.unit.render.region.blueprints import a_blueprint, restricted_violations

from orrery import names
from orrery.render.region.blueprint import Blueprint, Manifest
from orrery.render.region.frontdoor import (
    GRACE_SECONDS,
    LINGER_SECONDS,
    render_files,
    render_front_door,
    render_load_balancer,
)

OWN = {
    "app.kubernetes.io/managed-by": "orrery",
    "app.kubernetes.io/name": "front-door",
    "app.kubernetes.io/part-of": "region-control-plane",
    "orrery.dev/install": "orrery",
    "orrery.dev/region": "fra",
}
SELECTED = {"app.kubernetes.io/name": "front-door", "orrery.dev/region": "fra"}


def load_balancer(**front_door: Any) -> dict[str, Any]:
    (service,) = render_load_balancer(a_blueprint(continent={"frontDoor": front_door}))
    return dict(service)


def by_kind(blueprint: Blueprint) -> dict[str, Manifest]:
    return {manifest["kind"]: manifest for manifest in render_front_door(blueprint)}


def template(blueprint: Blueprint) -> dict[str, Any]:
    found: dict[str, Any] = by_kind(blueprint)["Deployment"]["spec"]["template"]
    return found


def container(blueprint: Blueprint) -> dict[str, Any]:
    (only,) = template(blueprint)["spec"]["containers"]
    return dict(only)


def test_a_load_balancer_without_settings_has_none() -> None:
    assert load_balancer() == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fra-front-door", "namespace": "orrery-fra", "labels": OWN},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": SELECTED,
            "ports": [
                {"name": "nomad-rpc", "port": 4647, "targetPort": "nomad-rpc", "protocol": "TCP"},
                {"name": "nomad-http", "port": 4646, "targetPort": "nomad-http", "protocol": "TCP"},
            ],
        },
    }


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ({"loadBalancerClass": "x.example/nlb"}, "loadBalancerClass", "x.example/nlb"),
        ({"sourceRanges": ["192.0.2.0/24"]}, "loadBalancerSourceRanges", ["192.0.2.0/24"]),
    ],
)
def test_a_setting_of_the_continent_is_on_its_load_balancers(
    setting: dict[str, Any], place: str, value: object
) -> None:
    assert load_balancer(**setting)["spec"] == load_balancer()["spec"] | {place: value}


def test_annotations_of_the_continent_are_on_its_load_balancers() -> None:
    annotated = load_balancer(annotations={"x.example/type": "internal"})

    assert annotated["metadata"]["annotations"] == {"x.example/type": "internal"}


def test_all_stands_in_the_regions_namespace_and_carries_its_labels() -> None:
    manifests = render_front_door(a_blueprint())

    assert [m["kind"] for m in manifests] == ["ConfigMap", "Deployment", "PodDisruptionBudget"]
    for manifest in manifests:
        assert manifest["metadata"] == {
            "name": "fra-front-door",
            "namespace": "orrery-fra",
            "labels": OWN,
        }


def test_service_deployment_and_budget_mean_the_same_pods() -> None:
    deployment = by_kind(a_blueprint())["Deployment"]["spec"]
    budget = by_kind(a_blueprint())["PodDisruptionBudget"]["spec"]

    assert deployment["selector"] == budget["selector"] == {"matchLabels": SELECTED}
    assert SELECTED.items() <= deployment["template"]["metadata"]["labels"].items()


def test_ports_of_the_service_are_ports_of_the_pod() -> None:
    targets = {port["targetPort"]: port["port"] for port in load_balancer()["spec"]["ports"]}

    ports = {port["name"]: port["containerPort"] for port in container(a_blueprint())["ports"]}
    assert ports == targets | {"ready": 9646}


def test_pods_keep_to_the_restricted_standard() -> None:
    assert restricted_violations(template(a_blueprint())["spec"]) == []


def test_the_key_is_read_from_its_secret_and_by_its_group_only() -> None:
    pod = template(a_blueprint())["spec"]
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]

    assert secret == {"secretName": "fra-front-door-tls", "defaultMode": 0o440}
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_nothing_needs_a_shell() -> None:
    envoy = container(a_blueprint())

    assert envoy["command"] == ["envoy"]
    assert envoy["lifecycle"] == {"preStop": {"sleep": {"seconds": LINGER_SECONDS}}}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert envoy[probe]["httpGet"] == {"path": "/ready", "port": "ready"}


def test_a_pod_has_the_time_that_it_takes_to_end() -> None:
    pod = template(a_blueprint())["spec"]

    assert pod["terminationGracePeriodSeconds"] == GRACE_SECONDS > LINGER_SECONDS


def test_the_class_decides_on_image_and_number() -> None:
    blueprint = a_blueprint(front_door={"image": "registry.example/envoy:1", "replicas": 5})

    assert by_kind(blueprint)["Deployment"]["spec"]["replicas"] == 5
    assert container(blueprint)["image"] == "registry.example/envoy:1"


def test_the_image_comes_from_the_mirror_of_the_continent() -> None:
    blueprint = a_blueprint(continent={"registry": {"mirror": "mirror.example/cache"}})

    expected = "mirror.example/cache/docker.io/envoyproxy/envoy:distroless-v1.36.2"
    assert container(blueprint)["image"] == expected


def test_the_same_blueprint_gives_the_same_bytes() -> None:
    assert render_files(a_blueprint()) == render_files(a_blueprint())
    assert render_front_door(a_blueprint()) == render_front_door(a_blueprint())


def test_pods_are_replaced_when_their_configuration_is_another_and_not_else() -> None:
    def digest(blueprint: Blueprint) -> str:
        return str(template(blueprint)["metadata"]["annotations"][names.ANNOTATION_CONFIGURATION])

    usual = digest(a_blueprint())

    assert digest(a_blueprint(front_door={"replicas": 3}, address="203.0.113.8")) == usual
    assert digest(a_blueprint("ber")) != usual


def test_configuration_is_mounted_where_envoy_looks() -> None:
    envoy = container(a_blueprint())
    mounts = {mount["name"]: mount["mountPath"] for mount in envoy["volumeMounts"]}

    assert envoy["args"][:2] == ["-c", f"{mounts['configuration']}/envoy.json"]
    for name in ("certificate.json", "authorities.json"):
        assert f"{mounts['configuration']}/{name}" in render_files(a_blueprint())["envoy.json"]
        assert f"{mounts['certificates']}/" in render_files(a_blueprint())[name]
