"""Render the part of a machine's bundle that leads its data planes to the region's zone. Pure.

kuma-dp shows a token and no certificate, but the front door lets in who has a certificate of a
machine of the region. So an Envoy on the machine, the link, listens at loopback and wraps what
kuma-dps say in mutual TLS. What is inside is kuma-dp's own TLS, which ends at kuma-cp.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orrery import names
from orrery.render.bundle_files import (
    AUTHORITY,
    CERTIFICATE,
    DATA_PLANE,
    DATA_PLANE_SETTINGS,
    DATA_PLANE_TOKEN,
    DATA_PLANE_UNIT,
    DATA_PLANES_FOLDER,
    KEY,
    LINK,
    LINK_CONFIGURATION,
    LINK_UNIT,
    PRIVATE,
    PUBLIC,
    README,
    BundleFile,
)
from orrery.render.files import as_file
from orrery.render.region.blueprint import DATA_PLANE_PORT
from orrery.render.region.envoy_parts import (
    dns_cluster,
    listener,
    overload_manager,
    tcp_proxy,
    upstream_tls,
)
from orrery.render.region.kuma import DATA_PLANE_MESH

WORKLOAD: Final = "machines"
"""What the data planes of machines themselves are, beside all workloads that run there."""

CONNECTIONS: Final = 2_000
"""Through the link of one machine. A data plane holds one or two."""

CREDENTIALS: Final = f"/run/credentials/{LINK}"
"""Where systemd puts what the unit of the link loads, for its user alone."""

_LINK: Final = "zone"


@dataclass(frozen=True, slots=True)
class MeshJoin:
    """What a machine needs to know to join a region's mesh."""

    hosts: Sequence[str]
    """Where the front door is; the next one counts while DNS says nothing of the one before."""
    image: str
    """The image of the region's kuma-cps."""
    token: str = field(repr=False)
    """Of the machine's data plane. It ends with the machine's certificate."""
    token_id: str
    """By which it can be revoked."""


def data_plane_name(machine: str) -> str:
    """Name the data plane of a machine: by a name that no workload is likely to have."""
    return f"machine-{machine}"


def mesh_files(region: str, machine: str, join: MeshJoin) -> Sequence[BundleFile]:
    """Render all files of the mesh; only the token is a secret.

    Without a name of the *machine* they are for any, which then goes by its host name.
    """
    return [
        BundleFile(LINK_CONFIGURATION, PUBLIC, as_file(render_link(region, join.hosts))),
        BundleFile(LINK_UNIT, PUBLIC, _link_unit(region)),
        BundleFile(DATA_PLANE, PUBLIC, as_file(_data_plane(machine))),
        BundleFile(DATA_PLANE_TOKEN, PRIVATE, f"{join.token}\n"),
        BundleFile(DATA_PLANE_SETTINGS, PUBLIC, _settings()),
        BundleFile(DATA_PLANE_UNIT, PUBLIC, _data_plane_unit(region)),
    ]


def render_link(region: str, hosts: Sequence[str]) -> dict[str, Any]:
    """Write the configuration of the Envoy that leads from loopback to a *region*'s front door.

    It has no admin interface, and reads certificates at its start only.
    """
    chain = {"filters": [tcp_proxy(_LINK)]}
    return {
        "node": {"id": "machine", "cluster": region},
        "static_resources": {
            "listeners": [listener(_LINK, DATA_PLANE_PORT, chain, host="127.0.0.1")],
            "clusters": [_front_door(region, hosts)],
        },
        "overload_manager": overload_manager(CONNECTIONS),
    }


def _front_door(region: str, hosts: Sequence[str]) -> dict[str, Any]:
    """Reach the first of *hosts* that DNS knows: a lower priority has its turn while it has none.

    It is trusted by the name in its certificate, which is the same at every address.
    """
    first, *others = [dns_cluster(_LINK, host, DATA_PLANE_PORT) for host in hosts]
    localities = first["load_assignment"]["endpoints"]
    for priority, other in enumerate(others, start=1):
        (locality,) = other["load_assignment"]["endpoints"]
        localities.append({**locality, "priority": priority})
    host = names.front_door_host(region)
    # A pattern, since Envoy's exact matcher also takes a certificate for a wildcard.
    name = {"san_type": "DNS", "matcher": {"safe_regex": {"regex": host.replace(".", "[.]")}}}
    tls = {
        "tls_certificates": [
            {
                "certificate_chain": {"filename": f"{CREDENTIALS}/tls.crt"},
                "private_key": {"filename": f"{CREDENTIALS}/tls.key"},
            }
        ],
        "validation_context": {
            "trusted_ca": {"filename": f"{CREDENTIALS}/ca.crt"},
            "match_typed_subject_alt_names": [name],
        },
    }
    socket = upstream_tls(tls, sni=host, max_session_keys=0)
    thresholds = [{"max_connections": CONNECTIONS, "max_pending_requests": CONNECTIONS}]
    return first | {
        "transport_socket": socket,
        "circuit_breakers": {"thresholds": thresholds},
    }


def _data_plane(machine: str) -> dict[str, Any]:
    """Describe the machine's own data plane: it takes nothing in, so nobody needs its address.

    kuma-dp fills in a variable.
    """
    return {
        "type": "Dataplane",
        "mesh": DATA_PLANE_MESH,
        "name": data_plane_name(machine or "{{ machine }}"),
        "labels": {"kuma.io/workload": WORKLOAD},
        "networking": {"address": "127.0.0.1"},
    }


def _settings() -> str:
    """Write what all kuma-dps of the machine are told; a file of one's own may say otherwise."""
    settings = {
        "KUMA_CONTROL_PLANE_URL": f"https://127.0.0.1:{DATA_PLANE_PORT}",
        "KUMA_DNS_ENABLED": "false",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _link_unit(region: str) -> str:
    """Write the unit of the link, which runs as a user that owns nothing.

    It gets copies of the certificates when it starts: a renewal restarts it.
    """
    return f"""\
[Unit]
Description=Way of data planes to the zone {region}
Documentation=file:///{README}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=envoy -c /{LINK_CONFIGURATION} \\
  --concurrency 1 --disable-hot-restart --log-level warn
LoadCredential=tls.crt:/{CERTIFICATE}
LoadCredential=tls.key:/{KEY}
LoadCredential=ca.crt:/{AUTHORITY}
DynamicUser=yes
CapabilityBoundingSet=
Restart=always
RestartSec=2
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def _data_plane_unit(region: str) -> str:
    """Write the unit of data planes, each with files of its name."""
    files = f"/{DATA_PLANES_FOLDER}/%i"
    return f"""\
[Unit]
Description=Data plane %i of the zone {region}
Documentation=file:///{README}
Wants={LINK}
After={LINK}
StartLimitIntervalSec=0

[Service]
EnvironmentFile=/{DATA_PLANE_SETTINGS}
EnvironmentFile=-{files}.env
ExecStart=kuma-dp run \\
  --dataplane-file={files}.json \\
  --dataplane-var=machine=%H \\
  --dataplane-token-file=${{CREDENTIALS_DIRECTORY}}/token \\
  --ca-cert-file=${{CREDENTIALS_DIRECTORY}}/ca.crt \\
  --work-dir=${{RUNTIME_DIRECTORY}}
LoadCredential=token:{files}.token
LoadCredential=ca.crt:/{AUTHORITY}
RuntimeDirectory=orrery-data-plane/%i
DynamicUser=yes
CapabilityBoundingSet=
KillMode=mixed
Restart=always
RestartSec=5
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""
