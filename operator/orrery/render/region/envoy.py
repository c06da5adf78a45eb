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
from orrery.api.base import GROUP
from orrery.render.region.blueprint import HTTP_PORT, RPC_PORT
from orrery.render.region.envoy_secrets import TLS, identity, message, trust, typed

ADMIN: Final = f"@{GROUP}/front-door-admin"
"""Envoy's admin interface: an abstract socket, which lives in the pod's network namespace only."""

READY_PORT: Final = 9646
"""Where the kubelet asks in plain HTTP; serves ``/ready`` and nothing else."""

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

_NETWORK: Final = "envoy.extensions.filters.network"
_SPOOFABLE: Final = (
    "forwarded",
    "x-envoy-external-address",  # Envoy's own, and no server asks for it
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
)

_RPC: Final = "nomad-rpc"
_HTTP: Final = "nomad-http"
_READY: Final = "ready"
_HANDSHAKE: Final = "handshake"

_RPC_BUFFER: Final = 64 * 1024
"""Bytes of each direction of a connection: there may be thousands, and the kernel has its own."""


def render_envoy(region: str, *, servers: str) -> dict[str, Any]:
    """Write the static configuration of *region*'s front door; *servers* names all its servers.

    Nothing in it changes when a certificate is renewed: those are read from the files of
    `orrery.render.region.envoy_secrets`.
    """
    return {
        "node": {"id": "front-door", "cluster": region},
        "admin": {"address": {"pipe": {"path": ADMIN}}},
        "static_resources": {
            "listeners": [_rpc_listener(), _http_listener(region), _ready_listener()],
            "clusters": [
                _rpc_cluster(servers),
                _http_cluster(servers, names.server_host(region)),
                _ready_cluster(),
            ],
        },
        "overload_manager": {
            "resource_monitors": [
                typed(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "envoy.extensions.resource_monitors.downstream_connections.v3"
                    ".DownstreamConnectionsConfig",
                    max_active_downstream_connections=RPC_CONNECTIONS + HTTP_CONNECTIONS,
                )
            ]
        },
    }


def _rpc_listener() -> dict[str, Any]:
    filters = [
        typed(
            "envoy.filters.network.local_ratelimit",
            f"{_NETWORK}.local_ratelimit.v3.LocalRateLimit",
            stat_prefix=_RPC,
            token_bucket={
                "max_tokens": RPC_BURST,
                "tokens_per_fill": RPC_RATE // 10,
                "fill_interval": "0.1s",
            },
        ),
        _connection_limit(_RPC, RPC_CONNECTIONS),
        typed(
            "envoy.filters.network.tcp_proxy",
            f"{_NETWORK}.tcp_proxy.v3.TcpProxy",
            stat_prefix=_RPC,
            cluster=_RPC,
            # Nomad's multiplexer says something every 30 s, so this is a machine that is gone.
            idle_timeout="600s",
            max_connect_attempts=3,
            access_log=_failures_log(),
        ),
    ]
    return _listener(_RPC, RPC_PORT, {"filters": filters}) | {
        "per_connection_buffer_limit_bytes": _RPC_BUFFER
    }


def _http_listener(region: str) -> dict[str, Any]:
    chain = {
        "filters": [_connection_limit(_HTTP, HTTP_CONNECTIONS), _http_manager()],
        "transport_socket_connect_timeout": "10s",
        "transport_socket": typed(
            "envoy.transport_sockets.tls",
            f"{TLS}.DownstreamTlsContext",
            require_client_certificate=True,
            # A resumed session would skip the look at the client's certificate.
            disable_stateless_session_resumption=True,
            disable_stateful_session_resumption=True,
            common_tls_context={
                "alpn_protocols": ["http/1.1"],
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_2",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                **identity(),
                **trust(names.operator_host(region)),
            },
        ),
    }
    return _listener(_HTTP, HTTP_PORT, chain)


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
    return _manager(
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
        access_log=_failures_log(),
    )


def _ready_listener() -> dict[str, Any]:
    method = {"name": ":method", "string_match": {"exact": "GET"}}
    route = {
        "match": {"path": "/ready", "headers": [method]},
        "route": {"cluster": _READY, "timeout": "5s"},
    }
    manager = _manager(
        _READY,
        route,
        stream_idle_timeout="5s",
        request_timeout="5s",
        common_http_protocol_options={"idle_timeout": "60s", "max_headers_count": 64},
    )
    chain = {"filters": [_connection_limit(_READY, 100), manager]}
    return _listener(_READY, READY_PORT, chain) | {"ignore_global_conn_limit": True}


def _listener(name: str, port: int, chain: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},  # noqa: S104 - of a pod
        "filter_chains": [chain],
    }


def _manager(
    name: str, route: dict[str, Any], *filters: dict[str, Any], **settings: Any
) -> dict[str, Any]:
    """Speak HTTP as the only proxy before a server: nothing is rewritten, added or believed."""
    return typed(
        "envoy.filters.network.http_connection_manager",
        f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="HTTP1",
        normalize_path=False,
        merge_slashes=False,
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        use_remote_address=True,
        internal_address_config={},  # no address may steer Envoy by headers, private ones included
        skip_xff_append=True,
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        max_request_headers_kb=32,
        request_headers_timeout="10s",
        route_config={
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}],
            "request_headers_to_remove": list(_SPOOFABLE),
        },
        http_filters=[
            *filters,
            typed(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
            ),
        ],
        **settings,
    )


def _connection_limit(name: str, connections: int) -> dict[str, Any]:
    return typed(
        "envoy.filters.network.connection_limit",
        f"{_NETWORK}.connection_limit.v3.ConnectionLimit",
        stat_prefix=name,
        max_connections=connections,
    )


def _failures_log() -> list[dict[str, Any]]:
    """Log what did not reach a server or lost it, and why; headers and queries stay out of it."""
    log = typed(
        "envoy.access_loggers.stdout",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={
            "text_format_source": {
                "inline_string": "%START_TIME% %UPSTREAM_CLUSTER% %RESPONSE_FLAGS%"
                " %RESPONSE_CODE_DETAILS% %DOWNSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST%"
                " %UPSTREAM_TRANSPORT_FAILURE_REASON%\n"
            }
        },
    )
    return [log | {"filter": {"response_flag_filter": {}}}]


def _rpc_cluster(servers: str) -> dict[str, Any]:
    """Reach the servers' RPC. Whether one lives is asked at its HTTP port, by a TLS handshake.

    The kernel takes connections for a frozen process, too; a handshake takes the process itself.
    It is not checked with whom: no byte follows, machines and servers tell each other apart, and
    the region must not lose its machines with the front door's own certificate.
    """
    socket = _upstream_tls(identity())
    return _cluster(
        _RPC,
        servers,
        RPC_PORT,
        check={"transport_socket_match_criteria": {_HANDSHAKE: True}},
    ) | {
        "transport_socket_matches": [
            {"name": _HANDSHAKE, "match": {_HANDSHAKE: True}, "transport_socket": socket}
        ],
        "per_connection_buffer_limit_bytes": _RPC_BUFFER,
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": RPC_CONNECTIONS, "max_pending_requests": RPC_CONNECTIONS}
            ]
        },
    }


def _http_cluster(servers: str, host: str) -> dict[str, Any]:
    """Reach the servers' HTTP API. Whether one lives is asked as one is used, by mutual TLS."""
    return _cluster(_HTTP, servers, HTTP_PORT, check={}) | {
        "transport_socket": _upstream_tls(identity() | trust(host), sni=host, max_session_keys=0),
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


def _cluster(name: str, servers: str, port: int, *, check: dict[str, Any]) -> dict[str, Any]:
    """Spread over the servers that DNS names and that pass checks.

    While none is known or none is well, connections are turned away. A server that DNS no longer
    names stays in use as long as it passes: an empty answer must not cut a region off.
    """
    endpoint = {
        "address": {"socket_address": {"address": servers, "port_value": port}},
        "health_check_config": {"port_value": HTTP_PORT},
    }
    return {
        "name": name,
        "connect_timeout": "3s",
        "cluster_type": typed(
            "envoy.cluster.dns",
            "envoy.extensions.clusters.dns.v3.DnsCluster",
            dns_refresh_rate="5s",
            dns_failure_refresh_rate={"base_interval": "1s", "max_interval": "5s"},
            dns_lookup_family="V4_PREFERRED",
            # Envoy listens after its first look, which a silent DNS would draw out for minutes.
            typed_dns_resolver_config=typed(
                "envoy.network.dns_resolver.cares",
                "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                query_timeout_seconds=1,
                query_tries=2,
            ),
        ),
        "lb_policy": "ROUND_ROBIN",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": "3s",
                "interval": "5s",
                "no_traffic_interval": "5s",
                "unhealthy_interval": "1s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "tcp_health_check": {},
                **check,
            }
        ],
        # Whoever hangs on a dead server shall learn it before Nomad's heartbeats run out.
        "close_connections_on_host_health_failure": True,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }


def _ready_cluster() -> dict[str, Any]:
    endpoint = {"address": {"pipe": {"path": ADMIN}}}
    return {
        "name": _READY,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _READY,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }


def _upstream_tls(common: dict[str, Any], **settings: Any) -> dict[str, Any]:
    # Towards servers Envoy would offer nothing above 1.2 by itself.
    versions = {
        "tls_minimum_protocol_version": "TLSv1_3",
        "tls_maximum_protocol_version": "TLSv1_3",
    }
    return typed(
        "envoy.transport_sockets.tls",
        f"{TLS}.UpstreamTlsContext",
        common_tls_context={"tls_params": versions, **common},
        **settings,
    )
