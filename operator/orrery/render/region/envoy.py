"""Write Envoy's configuration for a region's front door: who comes in, and where to. Pure.

Port 4647 is passed through as it is: Nomad's RPC starts with a byte of its own before its mutual
TLS, so nobody but a server can end it. Port 4646 ends here: a client proves with a certificate of
the region's authority that it is Orrery, and Envoy proves itself to the servers with another one.

Behind that, calls are spoken as HTTP and not passed on as decrypted bytes. So each call goes to a
server that is well, and not all of a connection to the server that it once reached; only Nomad's
API can be reached, and its exec sessions, which need an upgrade of the connection, cannot; a client
is asked for its certificate again every ten minutes without losing a call. The price is a second
HTTP parser: nothing here may rewrite a path, a job id may hold an escaped slash.

Every field exists in Envoy 1.36.
"""

from typing import Any, Final

from orrery import names
from orrery.render.region.blueprint import HTTP_PORT, RPC_PORT
from orrery.render.region.envoy_mesh import MESH_CONNECTIONS, mesh_cluster, mesh_listener
from orrery.render.region.envoy_parts import (
    ADMIN,
    NETWORK,
    by_handshake,
    checked_cluster,
    client_certificates,
    connection_limit,
    failures_log,
    handshake,
    http_manager,
    listener,
    overload_manager,
    ready_cluster,
    ready_listener,
    tcp_proxy,
    upstream_tls,
)
from orrery.render.region.envoy_secrets import identity, message, trust, typed

RPC_CONNECTIONS: Final = 10_000
"""At one Envoy. A machine holds one to three, so two Envoys carry a region of thousands."""

RPC_BURST: Final = 5_000
RPC_RATE: Final = 1_000
"""New connections to one Envoy: so many at once, then so many a second.

All machines of a region may come from the address of one gateway, so a limit by source would hit a
whole region where it should hit one machine. This one only spreads what follows an outage, when
thousands of machines return at once: who is turned away tries again.
"""

HTTP_CONNECTIONS: Final = 1_000
"""Orrery holds nine; the rest is for strangers that hang on until their handshake times out."""

REQUEST_BYTES: Final = 8 * 1024 * 1024
"""Of one request. A deployment has at most 1.5 MB in the hub, its job and submission the double."""

SILENCE: Final = 900
"""Seconds without a byte after which a call is over: Nomad holds a blocking query for 10 min 38 s,
and the event stream beats every 30 s."""

CONNECTION_AGE: Final = 600
"""Seconds after which the next reply ends a connection: certificates are looked at once more."""

_RPC: Final = "nomad-rpc"
_HTTP: Final = "nomad-http"

_RPC_BUFFER: Final = 64 * 1024
"""Bytes of each direction of a connection: there may be thousands, and the kernel has its own."""


def render_envoy(region: str, *, servers: str, mesh: str = "") -> dict[str, Any]:
    """Write the static configuration of *region*'s front door; *servers* names all its servers.

    *mesh* names all its kuma-cps, where it has a mesh. Nothing in it changes when a certificate is
    renewed: those are read from the files of `orrery.render.region.envoy_secrets`.
    """
    return {
        "node": {"id": "front-door", "cluster": region},
        "admin": {"address": {"pipe": {"path": ADMIN}}},
        "static_resources": {
            "listeners": [
                _rpc_listener(),
                _http_listener(region),
                *([mesh_listener(region)] if mesh else []),
                ready_listener(),
            ],
            "clusters": [
                _rpc_cluster(servers),
                _http_cluster(servers, names.server_host(region)),
                *([mesh_cluster(mesh)] if mesh else []),
                ready_cluster(),
            ],
        },
        "overload_manager": overload_manager(
            RPC_CONNECTIONS + HTTP_CONNECTIONS + (MESH_CONNECTIONS if mesh else 0)
        ),
    }


def _rpc_listener() -> dict[str, Any]:
    filters = [
        typed(
            "envoy.filters.network.local_ratelimit",
            f"{NETWORK}.local_ratelimit.v3.LocalRateLimit",
            stat_prefix=_RPC,
            token_bucket={
                "max_tokens": RPC_BURST,
                "tokens_per_fill": RPC_RATE // 10,
                "fill_interval": "0.1s",
            },
        ),
        connection_limit(_RPC, RPC_CONNECTIONS),
        # Nomad's multiplexer says something every 30 s, so silence is a machine that is gone.
        tcp_proxy(_RPC, idle_timeout="600s", max_connect_attempts=3),
    ]
    return listener(_RPC, RPC_PORT, {"filters": filters}) | {
        "per_connection_buffer_limit_bytes": _RPC_BUFFER
    }


def _http_listener(region: str) -> dict[str, Any]:
    chain = {
        "filters": [connection_limit(_HTTP, HTTP_CONNECTIONS), _http_manager()],
        "transport_socket_connect_timeout": "10s",
        "transport_socket": client_certificates(
            trust(names.operator_host(region)), "http/1.1", oldest="TLSv1_2"
        ),
    }
    return listener(_HTTP, HTTP_PORT, chain)


def _http_manager() -> dict[str, Any]:
    route = {
        "match": {"prefix": "/v1/"},
        "route": {
            "cluster": _HTTP,
            "timeout": "0s",  # of the whole reply, and the event stream's has no end
            # Only where no connection came about: nothing was sent, so nothing is sent twice.
            "retry_policy": {"retry_on": "connect-failure", "num_retries": 2},
        },
    }
    buffer = typed(
        "envoy.filters.http.buffer",
        "envoy.extensions.filters.http.buffer.v3.Buffer",
        max_request_bytes=REQUEST_BYTES,
    )
    return http_manager(
        _HTTP,
        route,
        buffer,
        stream_idle_timeout=f"{SILENCE}s",
        request_timeout="60s",
        http1_safe_max_connection_duration=True,
        common_http_protocol_options={
            "idle_timeout": f"{SILENCE}s",
            "max_connection_duration": f"{CONNECTION_AGE}s",
            "max_headers_count": 64,
        },
        access_log=failures_log(),
    )


def _rpc_cluster(servers: str) -> dict[str, Any]:
    """Reach the servers' RPC. Whether one lives is asked at its HTTP port, by a TLS handshake.

    It is not checked with whom: no byte follows, machines and servers tell each other apart, and
    the region must not lose its machines with the front door's own certificate.
    """
    return checked_cluster(_RPC, servers, RPC_PORT, check_port=HTTP_PORT, check=by_handshake()) | {
        **handshake(identity()),
        "per_connection_buffer_limit_bytes": _RPC_BUFFER,
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": RPC_CONNECTIONS, "max_pending_requests": RPC_CONNECTIONS}
            ]
        },
    }


def _http_cluster(servers: str, host: str) -> dict[str, Any]:
    """Reach the servers' HTTP API. Whether one lives is asked as one is used, by mutual TLS."""
    return checked_cluster(_HTTP, servers, HTTP_PORT, check_port=HTTP_PORT, check={}) | {
        "transport_socket": upstream_tls(identity() | trust(host), sni=host, max_session_keys=0),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": message(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http_protocol_options": {}},
                common_http_protocol_options={
                    "idle_timeout": "60s",  # Nomad closes none by itself, so no call meets a close
                    "max_connection_duration": f"{CONNECTION_AGE}s",
                },
            )
        },
    }
