"""What a class may say of its mesh: the API server and the operator judge it alike."""

from typing import Any

import pytest
from tests.lab.rest import Rest

from orrery.api.validation import ValidationFailure, validate_region_class

KUMA: dict[str, Any] = {"provider": "Kuma", "image": "docker.io/kumahq/kuma-cp:2.14.3"}
ADDRESS = {"globalAddress": "mesh.example:5685"}
SECRET = {"globalSecretRef": {"name": "global-mesh-ca"}}


@pytest.fixture
def hub(rest: Rest) -> Rest:
    return rest


def a_class(mesh: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "orrery.dev/v1alpha1",
        "kind": "RegionClass",
        "metadata": {"name": "candidate"},
        "spec": {"mesh": mesh},
    }


def external(**more: Any) -> dict[str, Any]:
    return {"store": {"mode": "External", "secretRef": {"name": "database"}, **more}}


GOOD = {
    "nothing": {},
    "none": {"provider": "None"},
    "kuma": KUMA,
    "joined": KUMA | ADDRESS | SECRET,
    "ipv6": KUMA | SECRET | {"globalAddress": "[2001:db8::1]:443"},
    "external": KUMA | external(),
    "memory": KUMA | {"store": {"mode": "Memory"}, "replicas": 1},
    "managed": KUMA | {"store": {"image": "postgres:17", "storage": "1Gi"}, "replicas": 3},
}
BAD = {
    "no-image": ({"provider": "Kuma"}, "spec.mesh.image"),
    "address-alone": (KUMA | ADDRESS, "spec.mesh.globalSecretRef"),
    "secret-alone": (KUMA | SECRET, "spec.mesh.globalAddress"),
    "no-port": (KUMA | SECRET | {"globalAddress": "mesh.example"}, "spec.mesh.globalAddress"),
    "a-url": (KUMA | SECRET | {"globalAddress": "grpcs://x:1"}, "spec.mesh.globalAddress"),
    "external-without": (KUMA | {"store": {"mode": "External"}}, "spec.mesh.store.secretRef"),
    "secret-of-managed": (
        KUMA | {"store": {"secretRef": {"name": "database"}}},
        "spec.mesh.store.secretRef",
    ),
    "image-of-external": (KUMA | external(image="postgres:17"), "spec.mesh.store.image"),
    "storage-of-memory": (
        KUMA | {"store": {"mode": "Memory", "storage": "1Gi"}},
        "spec.mesh.store.storage",
    ),
    "memory-of-two": (
        KUMA | {"store": {"mode": "Memory"}, "replicas": 2},
        "spec.mesh.replicas",
    ),
    "no-replicas": (KUMA | {"replicas": 0}, "spec.mesh.replicas"),
}


@pytest.mark.parametrize("mesh", GOOD.values(), ids=GOOD.keys())
def test_a_good_mesh_is_accepted_by_both(hub: Rest, mesh: dict[str, Any]) -> None:
    reply = hub.create(a_class(mesh), dry_run=True)

    assert reply.ok, reply.message
    assert validate_region_class(a_class(mesh)).metadata.name == "candidate"


@pytest.mark.parametrize(("mesh", "field"), BAD.values(), ids=BAD.keys())
def test_a_bad_mesh_is_refused_by_both(hub: Rest, mesh: dict[str, Any], field: str) -> None:
    reply = hub.create(a_class(mesh), dry_run=True)

    assert reply.status == 422
    assert "spec.mesh" in reply.message
    with pytest.raises(ValidationFailure, match=field):
        validate_region_class(a_class(mesh))
