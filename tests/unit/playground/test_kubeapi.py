"""What is asked of the Kubernetes API: paths, and strict validation."""

import pytest

from orrery.playground.kubeapi import apply_options, collection, object_path


@pytest.mark.parametrize(
    ("api_version", "kind", "namespace", "expected"),
    [
        pytest.param("v1", "Namespace", "", "/api/v1/namespaces", id="core"),
        pytest.param("v1", "Secret", "a", "/api/v1/namespaces/a/secrets", id="namespaced"),
        pytest.param(
            "orrery.dev/v1alpha1",
            "RegionClass",
            "",
            "/apis/orrery.dev/v1alpha1/regionclasses",
            id="ends-with-s",
        ),
        pytest.param(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "a",
            "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies",
            id="ends-with-y",
        ),
        pytest.param(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "",
            "/apis/gateway.networking.k8s.io/v1/gateways",
            id="ends-with-vowel-and-y",
        ),
    ],
)
def test_collections(api_version: str, kind: str, namespace: str, expected: str) -> None:
    assert collection(api_version, kind, namespace) == expected


def test_an_object_stands_in_its_collection() -> None:
    manifest = {
        "apiVersion": "orrery.dev/v1alpha1",
        "kind": "GlobalDeployment",
        "metadata": {"name": "shop", "namespace": "team-a"},
    }

    assert object_path(manifest) == (
        "/apis/orrery.dev/v1alpha1/namespaces/team-a/globaldeployments/shop"
    )


def test_what_is_applied_is_validated_strictly() -> None:
    assert apply_options("me")["fieldValidation"] == "Strict"
