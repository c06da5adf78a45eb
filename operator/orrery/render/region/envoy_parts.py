"""Parts that all Envoys of ours have in common: listeners, clusters, TLS, what is logged. Pure.

Every field exists in Envoy 1.36.
"""

from collections.abc import Mapping
from typing import Any, Final

from orrery.api.base import GROUP
from orrery.render.region.envoy_secrets import TLS, identity, typed

ADMIN: Final = f"@{GROUP}/front-door-admin"
"""Envoy's admin interface: an abstract socket, which lives in the pod's network namespace only."""

READY_PORT: Final = 9646
"""Where the kubelet asks in plain HTTP; serves ``/ready`` and nothing else."""

NETWORK: Final = "envoy.extensions.filters.network"
_SPOOFABLE: Final = (
    "forwarded",
    "x-envoy-external-address",  # Envoy's own, and no server asks for it
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
)

_READY: Final = "ready"
_HANDSHAKE: Final = "handshake"


def listener(
    name: str,
    port: int,
    chain: dict[str, Any],
    *,
    host: str = "0.0.0.0",  # noqa: S104 - of a pod
) -> dict[str, Any]:
    """Listen at *port* of the pod, and serve by *chain* of filters."""
    return {
        "name": name,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [chain],
    }


def ready_listener() -> dict[str, Any]:
    """Serve what the kubelet asks for, from the admin interface."""
    method = {"name": ":method", "string_match": {"exact": "GET"}}
    route = {
        "match": {"path": "/ready", "headers": [method]},
        "route": {"cluster": _READY, "timeout": "5s"},
    }
    manager = http_manager(
        _READY,
        route,
        stream_idle_timeout="5s",
        request_timeout="5s",
        common_http_protocol_options={"idle_timeout": "60s", "max_headers_count": 64},
    )
    chain = {"filters": [connection_limit(_READY, 100), manager]}
    return listener(_READY, READY_PORT, chain) | {"ignore_global_conn_limit": True}


def http_manager(
    name: str, route: dict[str, Any], *filters: dict[str, Any], **settings: Any
) -> dict[str, Any]:
    """Speak HTTP as the only proxy before a server: nothing is rewritten, added or believed."""
    return typed(
        "envoy.filters.network.http_connection_manager",
        f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
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


def tcp_proxy(name: str, **more: Any) -> dict[str, Any]:
    """Pass bytes on to the cluster *name*, and tell of connections that came to nothing."""
    return typed(
        "envoy.filters.network.tcp_proxy",
        f"{NETWORK}.tcp_proxy.v3.TcpProxy",
        stat_prefix=name,
        cluster=name,
        access_log=failures_log(),
        **more,
    )


def connection_limit(name: str, connections: int) -> dict[str, Any]:
    """Turn away what would be more than *connections* at a listener."""
    return typed(
        "envoy.filters.network.connection_limit",
        f"{NETWORK}.connection_limit.v3.ConnectionLimit",
        stat_prefix=name,
        max_connections=connections,
    )


def client_certificates(
    trusted: Mapping[str, Any], *protocols: str, oldest: str = "TLSv1_3"
) -> dict[str, Any]:
    """Demand a certificate that is *trusted*, in TLS of the *oldest* version or a newer one.

    Where Envoys are the clients that is 1.3.
    """
    return typed(
        "envoy.transport_sockets.tls",
        f"{TLS}.DownstreamTlsContext",
        require_client_certificate=True,
        # A resumed session would skip the look at the client's certificate.
        disable_stateless_session_resumption=True,
        disable_stateful_session_resumption=True,
        common_tls_context={
            **({"alpn_protocols": list(protocols)} if protocols else {}),
            "tls_params": {
                "tls_minimum_protocol_version": oldest,
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            **identity(),
            **trusted,
        },
    )


def overload_manager(connections: int) -> dict[str, Any]:
    """Turn away what is more than *connections* at all listeners together."""
    return {
        "resource_monitors": [
            typed(
                "envoy.resource_monitors.global_downstream_max_connections",
                "envoy.extensions.resource_monitors.downstream_connections.v3"
                ".DownstreamConnectionsConfig",
                max_active_downstream_connections=connections,
            )
        ]
    }


def failures_log() -> list[dict[str, Any]]:
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


def dns_cluster(name: str, host: str, port: int) -> dict[str, Any]:
    """Reach all that DNS says of *host*, which may be an address, at *port*."""
    endpoint = {"address": {"socket_address": {"address": host, "port_value": port}}}
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
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }


def checked_cluster(
    name: str, servers: str, port: int, *, check_port: int, check: dict[str, Any]
) -> dict[str, Any]:
    """Spread over the servers that DNS names and that pass checks.

    While none is known or none is well, connections are turned away. A server that DNS no longer
    names stays in use as long as it passes: an empty answer must not cut a region off.
    """
    cluster = dns_cluster(name, servers, port)
    (locality,) = cluster["load_assignment"]["endpoints"]
    (named,) = locality["lb_endpoints"]
    named["endpoint"]["health_check_config"] = {"port_value": check_port}
    return cluster | {
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
    }


def by_handshake() -> dict[str, Any]:
    """Write a check that shakes hands and says nothing; its socket is one of *handshake*.

    The kernel takes connections for a frozen process, too; a handshake takes the process itself.
    """
    return {"transport_socket_match_criteria": {_HANDSHAKE: True}}


def handshake(common: dict[str, Any]) -> dict[str, Any]:
    """Write the TLS of checks `by_handshake` for a cluster that otherwise passes bytes."""
    match = {"name": _HANDSHAKE, "match": {_HANDSHAKE: True}}
    return {"transport_socket_matches": [{**match, "transport_socket": upstream_tls(common)}]}


def ready_cluster() -> dict[str, Any]:
    """Reach the admin interface."""
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


def upstream_tls(common: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Speak TLS 1.3 to who is reached."""
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
