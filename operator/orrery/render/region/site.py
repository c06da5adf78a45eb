"""Where a control plane stands, a region's or the global one: what its objects are called. Pure."""

from typing import Any, Protocol

from orrery.render.region.blueprint import Component, SecretName


class Site(Protocol):
    """How objects of a control plane are named and labelled, and where images come from."""

    @property
    def name(self) -> str:
        """What the names of all objects begin with."""

    @property
    def namespace(self) -> str:
        """Namespace of the control plane."""

    def object_name(self, part: Component | SecretName) -> str:
        """Name the objects of *part*."""

    def labels(self, component: Component | None = None) -> dict[str, str]:
        """Label an object, of *component* when it belongs to one."""

    def selector(self, component: Component) -> dict[str, str]:
        """Select the pods of *component*: what never changes of their labels."""

    def metadata(self, part: Component | SecretName) -> dict[str, Any]:
        """Write the metadata of an object of *part*."""

    def image(self, name: str) -> str:
        """Name an image as the cluster gets it."""


def service_host(site: Site, component: Component) -> str:
    """Name the Service of *component* in DNS."""
    return f"{site.object_name(component)}.{site.namespace}.svc"


def service_names(site: Site, service: str) -> list[str]:
    """Write all names that a Service has in DNS, for its certificate."""
    return [
        service,
        f"{service}.{site.namespace}",
        f"{service}.{site.namespace}.svc",
        f"{service}.{site.namespace}.svc.cluster.local",
    ]
