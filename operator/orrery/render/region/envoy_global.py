"""Write Envoy's configuration for the front door of a global Kuma control plane. Pure.

Kuma takes any zone at its word: who reaches KDS says which zone it is, in the header ``client-id``.
So nobody reaches it but by this front door, where a zone is who its certificate says.
"""

from typing import Any, Final

from orrery import names
from orrery.render.region.envoy_parts import (
    ADMIN,
    NETWORK,
    checked_cluster,
    client_certificates,
    connection_limit,
    failures_log,
    listener,
    overload_manager,
    ready_cluster,
    ready_listener,
    upstream_tls,
)
from orrery.render.region.envoy_secrets import identity, message, trust, trust_pattern, typed
from orrery.render.region.kuma import KDS_PORT

ZONES: Final = 1_000
"""Connections at one Envoy. A zone holds one."""

AGE: Final = 24 * 3600
"""Seconds after which a zone has to connect anew, and to show a certificate that is still valid.

A connection is told to end and a stream is ended after so long, so it is the double at most.
"""

_KDS: Final = "kds"

_BIND_ZONE: Final = """\
function envoy_on_request(handle)
  local headers = handle:headers()
  local zone = headers:get("client-id")
  if zone ~= nil and headers:getNumValues("client-id") == 1 then
    for _, name in ipairs(handle:streamInfo():downstreamSslConnection():dnsSansPeerCertificate()) do
      if name == zone .. "SUFFIX" then return end
    end
  end
  handle:respond({[":status"] = "403"}, "the zone is not the certificate's")
end
"""


def render_global_envoy(name: str, *, servers: str) -> dict[str, Any]:
    """Write the static configuration of the front door before *servers*, the kuma-cps."""
    return {
        "node": {"id": "global-mesh-front-door", "cluster": name},
        "admin": {"address": {"pipe": {"path": ADMIN}}},
        "static_resources": {
            "listeners": [_listener(), ready_listener()],
            "clusters": [_cluster(servers), ready_cluster()],
        },
        "overload_manager": overload_manager(ZONES),
    }


def _listener() -> dict[str, Any]:
    chain = {
        "filters": [connection_limit(_KDS, ZONES), _manager()],
        "transport_socket_connect_timeout": "10s",
        "transport_socket": client_certificates(trust_pattern(_any_zone()), "h2"),
    }
    return listener(_KDS, KDS_PORT, chain)


def _any_zone() -> str:
    """Write what the names of zones look like: Lua compares them with what the zone says."""
    return f"[a-z]([-a-z0-9]*[a-z0-9])?{names.ZONE_SUFFIX.replace('.', '[.]')}"


def _manager() -> dict[str, Any]:
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": _KDS, "timeout": "0s"},  # of a reply, and a stream's has no end
    }
    bind = typed(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": _BIND_ZONE.replace("SUFFIX", names.ZONE_SUFFIX)},
    )
    router = typed(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        suppress_envoy_headers=True,
    )
    return typed(
        "envoy.filters.network.http_connection_manager",
        f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=_KDS,
        codec_type="HTTP2",
        use_remote_address=True,
        internal_address_config={},
        skip_xff_append=True,
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        # Streams of KDS stay open, and say nothing while nothing changes.
        stream_idle_timeout="0s",
        request_headers_timeout="10s",
        common_http_protocol_options={
            "max_connection_duration": f"{AGE}s",
            "max_stream_duration": f"{AGE}s",
            "max_headers_count": 64,
        },
        route_config={"virtual_hosts": [{"name": _KDS, "domains": ["*"], "routes": [route]}]},
        http_filters=[bind, router],
        access_log=failures_log(),
    )


def _cluster(servers: str) -> dict[str, Any]:
    """Reach the kuma-cps. Whether one lives is asked as one is used, by a TLS handshake."""
    host = names.GLOBAL_CONTROL_PLANE_HOST
    tls = {"alpn_protocols": ["h2"], **identity(), **trust(host)}
    return checked_cluster(_KDS, servers, KDS_PORT, check_port=KDS_PORT, check={}) | {
        "transport_socket": upstream_tls(tls, sni=host, max_session_keys=0),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": message(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http2_protocol_options": {}},
            )
        },
    }
