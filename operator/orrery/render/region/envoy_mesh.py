"""Write the part of a front door's Envoy that leads machines to the region's Kuma. Pure.

kuma-dp presents no certificate of its own, so on each machine an Envoy wraps what it says in mutual
TLS. Here that is unwrapped, and what is inside, kuma-dp's own TLS, goes to a kuma-cp as it is.
"""

from typing import Any, Final

from orrery import names
from orrery.render.region.blueprint import DATA_PLANE_PORT
from orrery.render.region.envoy_parts import (
    by_handshake,
    checked_cluster,
    client_certificates,
    connection_limit,
    handshake,
    listener,
    tcp_proxy,
)
from orrery.render.region.envoy_secrets import trust

MESH_CONNECTIONS: Final = 10_000
"""At one Envoy. A data plane holds one or two."""

DATA_PLANE_AGE: Final = 4 * 3600
"""Seconds after which a connection ends, so that its machine's certificate is looked at again."""

_MESH: Final = "kuma-dp-server"
_BUFFER: Final = 64 * 1024


def mesh_listener(region: str) -> dict[str, Any]:
    """Let in who has a machine's certificate of just this *region*."""
    chain = {
        "filters": [
            connection_limit(_MESH, MESH_CONNECTIONS),
            tcp_proxy(
                _MESH,
                max_downstream_connection_duration=f"{DATA_PLANE_AGE}s",
                max_connect_attempts=3,
            ),
        ],
        "transport_socket_connect_timeout": "10s",
        "transport_socket": client_certificates(trust(names.client_host(region))),
    }
    return listener(_MESH, DATA_PLANE_PORT, chain) | {"per_connection_buffer_limit_bytes": _BUFFER}


def mesh_cluster(servers: str) -> dict[str, Any]:
    """Reach the kuma-cps. Whether one lives is asked by a TLS handshake."""
    return checked_cluster(
        _MESH, servers, DATA_PLANE_PORT, check_port=DATA_PLANE_PORT, check=by_handshake()
    ) | {
        **handshake({}),
        "per_connection_buffer_limit_bytes": _BUFFER,
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": MESH_CONNECTIONS, "max_pending_requests": MESH_CONNECTIONS}
            ]
        },
    }
