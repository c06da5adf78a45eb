"""Objects with only the interesting field given."""

from typing import Any

from orrery.api.base import API_VERSION
from orrery.ports import Secret


def a_deployment(name: str = "shop", *, namespace: str = "team-a", **spec: Any) -> dict[str, Any]:
    """Make a GlobalDeployment that is valid unless *spec* says otherwise."""
    whole = {
        "type": "WEB",
        "docker": {"image": "registry.example/shop:1"},
        "ports": [{"port": 3000, "protocol": "http"}],
        "scaling": {"count": 2},
        **spec,
    }
    return _object("GlobalDeployment", name, whole, namespace)


def a_region(
    name: str, *, continent: str = "eu", labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """Make an External Region whose Secret is `<name>-nomad`."""
    whole = {
        "continent": continent,
        "class": "standard",
        "controlPlane": {
            "management": "External",
            "external": {
                "nomadAddress": endpoint(name),
                "credentialsSecretRef": {"name": f"{name}-nomad"},
            },
        },
        **spec,
    }
    body = _object("Region", name, whole)
    body["metadata"]["labels"] = labels or {}
    return body


def a_managed_region(name: str, *, continent: str = "eu", **spec: Any) -> dict[str, Any]:
    """Make a Region whose control plane Orrery runs."""
    return _object("Region", name, {"continent": continent, "class": "standard", **spec})


def a_continent(name: str = "eu") -> dict[str, Any]:
    """Make a Continent."""
    return _object("Continent", name, {})


def a_class(name: str = "standard", **nomad: Any) -> dict[str, Any]:
    """Make a RegionClass."""
    return _object("RegionClass", name, {"nomad": nomad} if nomad else {})


def endpoint(region: str) -> str:
    """Name the address of a region's Nomad."""
    return f"https://nomad.{region}.example:4646"


def region_secret(region: str, *, namespace: str = "orrery-system") -> Secret:
    """Make the credentials Secret of a region."""
    data = {"token": b"t0ken", "ca.crt": b"ca", "tls.crt": b"crt", "tls.key": b"key"}
    annotations = {"orrery.dev/endpoint": endpoint(region)}
    return Secret(namespace, f"{region}-nomad", "Opaque", annotations, data)


def a_secret(name: str, *, namespace: str = "team-a", **data: str) -> Secret:
    """Make a Secret of a tenant."""
    return Secret(namespace, name, "Opaque", {}, {k: v.encode() for k, v in data.items()})


def _object(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
