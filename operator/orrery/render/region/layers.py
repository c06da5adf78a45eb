"""All of a region's control plane, in the order in which it is brought up. Pure."""

from collections.abc import Sequence
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


def render_region(blueprint: Blueprint) -> Sequence[Layer]:
    """Render the control plane, layer by layer.

    Servers advertise the load balancer's address, so until it has one the layers end with it.
    """
    layers = [
        Layer(FOUNDATION, render_foundation(blueprint)),
        Layer(LOAD_BALANCER, render_load_balancer(blueprint)),
    ]
    if blueprint.address:
        layers += [
            Layer(SERVERS, render_servers(blueprint)),
            Layer(FRONT_DOOR, render_front_door(blueprint)),
            Layer(BOOTSTRAP, render_bootstrap(blueprint)),
            Layer(MESH_STORE, render_store(blueprint)),
            Layer(MESH, render_mesh(blueprint)),
            Layer(SNAPSHOTS, render_snapshots(blueprint)),
        ]
    return layers
