"""Render the files with which a machine joins a region: a list, to be packed and unpacked. Pure.

All is Orrery's own: nothing that a package of Nomad brings is touched, its example configuration
would make the machine a server.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from orrery.ports import KeyPair
from orrery.render.bundle_expiry import expiry_files
from orrery.render.bundle_files import (
    AUTHORITY,
    CERTIFICATE,
    DATA_FOLDER,
    KEY,
    NOMAD_CONFIGURATION,
    NOMAD_FOLDER,
    NOMAD_UNIT,
    PRIVATE,
    PUBLIC,
    README,
    TOKEN,
    BundleFile,
)
from orrery.render.bundle_mesh import MeshJoin, mesh_files
from orrery.render.bundle_readme import render_readme
from orrery.render.files import as_file

DRAIN_WITHIN: Final = "10m"

LEEWAY: Final = timedelta(minutes=1)
"""For how long Nomad lets a token count beyond its end: clocks differ (2.0.6, measured)."""


@dataclass(frozen=True, slots=True)
class Join:
    """What a machine needs to know to join a region."""

    region: str
    data_center: str
    machine: str
    """Its name; empty for whichever machine gets the files, which then goes by its host name."""
    servers: Sequence[str]
    """Where the front door is, each ``host:port``."""
    version: str
    """The Nomad that the region's servers run; empty when they have not said."""
    authority: str
    """All that is trusted, PEM; the one that signed *pair* comes first."""
    pin: str
    """Fingerprint (SHA-256) of the authority that signed *pair*."""
    pair: KeyPair
    token: str = field(repr=False)
    made: datetime
    token_expires: datetime
    certificate_expires: datetime
    mesh: MeshJoin | None = None
    """What its data planes need; None where the region has no mesh."""


def render_bundle(join: Join) -> Sequence[BundleFile]:
    """Render all files, sorted by path; only those that others may not read hold a secret."""
    files = [
        BundleFile(README, PUBLIC, render_readme(join)),
        BundleFile(AUTHORITY, PUBLIC, join.authority),
        BundleFile(CERTIFICATE, PUBLIC, join.pair.certificate),
        BundleFile(KEY, PRIVATE, join.pair.key),
        BundleFile(NOMAD_CONFIGURATION, PUBLIC, as_file(_nomad(join))),
        BundleFile(NOMAD_UNIT, PUBLIC, _nomad_unit(join)),
        BundleFile(TOKEN, PRIVATE, f"{join.token}\n"),
        *expiry_files(join.region, join.made, join.certificate_expires),
        *(mesh_files(join.region, join.machine, join.mesh) if join.mesh else ()),
    ]
    return sorted(files, key=lambda file: file.path)


def _nomad(join: Join) -> dict[str, Any]:
    """Configure Nomad's client. What a machine has of its own, as drivers, is not ours to know."""
    name = {"name": join.machine} if join.machine else {}
    return name | {
        "region": join.region,
        "datacenter": join.data_center,
        "data_dir": f"/{DATA_FOLDER}",
        "client": {
            "enabled": True,
            "servers": list(join.servers),
            # On SIGINT the machine leaves: its work goes elsewhere first. On SIGTERM, as when it is
            # restarted with other certificates, what runs goes on running.
            "drain_on_shutdown": {"deadline": DRAIN_WITHIN},
        },
        "leave_on_interrupt": True,
        "leave_on_terminate": False,
        # Its own API listens, too: only who has a certificate of the region gets an answer.
        "tls": {
            "http": True,
            "rpc": True,
            "ca_file": f"/{AUTHORITY}",
            "cert_file": f"/{CERTIFICATE}",
            "key_file": f"/{KEY}",
            "verify_server_hostname": True,
            "verify_https_client": True,
        },
        "acl": {"enabled": True},
        "consul": {
            "auto_advertise": False,
            "client_auto_join": False,
            "server_auto_join": False,
        },
        "telemetry": {
            "prometheus_metrics": True,
            "publish_allocation_metrics": True,
            "publish_node_metrics": True,
        },
        "disable_update_check": True,
    }


def _nomad_unit(join: Join) -> str:
    """Write the unit of Nomad's client; what it runs outlives it, and is found again.

    A token that has expired is removed before each start. While it is there, a client whose
    identity the servers no longer know, as after a restore, shows that one for ever; without, it
    starts over with what it has, and is let in if they know its node (2.0.6, measured).
    """
    minutes = (join.token_expires - join.made + LEEWAY) // timedelta(minutes=1) + 1
    folder, token = TOKEN.rsplit("/", 1)
    return f"""\
[Unit]
Description=Nomad client of the region {join.region}
Documentation=file:///{README}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStartPre=-find /{folder} -maxdepth 1 -name {token} -mmin +{minutes} -delete
ExecStart=nomad agent -config=/{NOMAD_FOLDER}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
KillSignal=SIGTERM
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
LimitNPROC=infinity
TasksMax=infinity
OOMScoreAdjust=-1000

[Install]
WantedBy=multi-user.target
"""
