"""All of a region's control plane, in the order in which it is brought up. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orrery.render.region.blueprint import Blueprint, Manifest
from orrery.render.region.bootstrap import render_bootstrap
from orrery.render.region.foundation import render_foundation
from orrery.render.region.frontdoor import render_front_door, render_load_balancer
from orrery.render.region.mesh import render_mesh, render_store
from orrery.render.region.servers import render_servers
from orrery.render.region.snapshots import render_snapshots

FOUNDATION: Final = "foundation"
LOAD_BALANCER: Final = "load-balancer"
SERVERS: Final = "servers"
BOOTSTRAP: Final = "bootstrap"
FRONT_DOOR: Final = "front-door"
MESH_STORE: Final = "mesh-store"
MESH: Final = "mesh"
SNAPSHOTS: Final = "snapshots"


@dataclass(frozen=True, slots=True)
class Layer:
    """Manifests that are applied together; the next layer waits until they work."""

    name: str
    manifests: Sequence[Manifest]


_RENDERERS: Final[Mapping[str, Callable[[Blueprint], Sequence[Manifest]]]] = {
    FOUNDATION: render_foundation,
    LOAD_BALANCER: render_load_balancer,
    SERVERS: render_servers,
    FRONT_DOOR: render_front_door,
    BOOTSTRAP: render_bootstrap,
    MESH_STORE: render_store,
    MESH: render_mesh,
    SNAPSHOTS: render_snapshots,
}
"""In the order in which the layers are brought up."""

_WITHOUT_ADDRESS: Final = (FOUNDATION, LOAD_BALANCER)


def render_region(blueprint: Blueprint) -> Sequence[Layer]:
    """Render the control plane, layer by layer.

    Servers advertise the load balancer's address, so until it has one the layers end with it.
    """
    names = _RENDERERS if blueprint.address else _WITHOUT_ADDRESS
    return [render_layer(blueprint, name) for name in names]


def render_layer(blueprint: Blueprint, name: str) -> Layer:
    """Render the layer *name*; all but the first two need the load balancer's address."""
    return Layer(name, _RENDERERS[name](blueprint))
