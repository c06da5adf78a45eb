"""A real data plane joins its zone from a machine, through the region's front door.

The zone is a mesh of its own in memory; the Envoy on the machine is what kuma-dp speaks to.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.frontdoors import BOTH, Pki
from tests.lab.envoy import Secret, require_envoy, stop_process, write_files
from tests.lab.envoys import RunningEnvoy, running_envoy
from tests.lab.kuma import ControlPlane, admin_token, require_kuma, running, told
from tests.lab.polling import until
from tests.unit.render.region.blueprints import a_blueprint

from orrery import names
from orrery.adapters.pki import CryptographyPki
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.reconcile.meshleaves import mesh_leaves, signing_texts
from orrery.render.region.envoy_parts import (
    ADMIN,
    NETWORK,
    dns_cluster,
    listener,
    ready_cluster,
    ready_listener,
    upstream_tls,
)
from orrery.render.region.envoy_secrets import identity, trust, typed
from orrery.render.region.frontdoor import envoy_files, render_files
from orrery.render.region.kuma import SIGNING_KEY
from orrery.render.region.mesh import render_mesh

BLUEPRINT = a_blueprint(mesh={"store": {"mode": "Memory"}})
DOOR = "kuma-dp-server"


@pytest.fixture(autouse=True)
def _real_programs() -> None:
    require_kuma()
    require_kuma("kuma-dp")
    require_kuma("kumactl")


def secret(pki: Pki, *hosts: str) -> Secret:
    pair = pki.leaf(*hosts, usages=BOTH)
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pki.ca}


def machine_files() -> dict[str, str]:
    """Configure the Envoy of a machine, which wraps what it is told in mutual TLS."""
    passed = typed(
        "envoy.filters.network.tcp_proxy",
        f"{NETWORK}.tcp_proxy.v3.TcpProxy",
        stat_prefix="door",
        cluster="door",
    )
    host = names.front_door_host("fra")
    socket = upstream_tls(identity() | trust(host), sni=host)
    resources = {
        "listeners": [listener("machine", 1, {"filters": [passed]}), ready_listener()],
        "clusters": [
            dns_cluster("door", LOOPBACK, 1) | {"transport_socket": socket},
            ready_cluster(),
        ],
    }
    return envoy_files(
        {
            "node": {"id": "machine", "cluster": "test"},
            "admin": {"address": {"pipe": {"path": ADMIN}}},
            "static_resources": resources,
        }
    )


@dataclass
class Zone:
    """A zone, and the way to it from a machine."""

    control_plane: ControlPlane
    machine: RunningEnvoy
    token: str
    """Of an administrator, for some minutes."""
    ca: str


@asynccontextmanager
async def running_zone(folder: Path) -> AsyncIterator[Zone]:
    """Run kuma-cp, the front door before it, and the Envoy of a machine before that."""
    pki, keys = Pki(), signing_texts(CryptographyPki())
    (leaf,) = mesh_leaves(BLUEPRINT)
    control_plane = told(
        render_mesh(BLUEPRINT), folder / "kuma", secret(pki, *sorted(leaf.hosts)), keys, None
    )
    places = {DOOR: (LOOPBACK, control_plane.port("DP_SERVER"))}
    front = secret(pki, names.front_door_host("fra"))
    async with (
        running_envoy(folder / "door", render_files(BLUEPRINT), places, secret=front) as door,
        running_envoy(
            folder / "machine",
            machine_files(),
            {"door": (LOOPBACK, door.ports[DOOR])},
            secret=secret(pki, names.client_host("fra")),
        ) as machine,
    ):
        # Data planes go on at the port that kuma-cp names: here it is not that of the machine.
        port = str(machine.ports["machine"])
        environment = {**control_plane.environment, "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT": port}
        control_plane.environment = environment
        async with running(control_plane):
            token = admin_token(folder / "token", keys[SIGNING_KEY])
            yield Zone(control_plane, machine, token, pki.ca)


@asynccontextmanager
async def running_data_plane(folder: Path, zone: Zone, token: str) -> AsyncIterator[Path]:
    """Run a data plane with *token*; yields its log."""
    tags = {"kuma.io/service": "web"}
    inbound = {"port": reserve_port(), "servicePort": reserve_port(), "tags": tags}
    dataplane = {
        "type": "Dataplane",
        "mesh": "default",
        "name": "web",
        "networking": {"address": LOOPBACK, "inbound": [inbound]},
    }
    texts = {"dataplane.json": json.dumps(dataplane), "token": token, "ca.crt": zone.ca}
    write_files(folder, texts)
    process = await asyncio.to_thread(_start, folder, zone)
    try:
        yield folder / "log"
    finally:
        await asyncio.to_thread(stop_process, process)


def _start(folder: Path, zone: Zone) -> subprocess.Popen[bytes]:
    command = [
        str(require_kuma("kuma-dp")),
        "run",
        f"--cp-address=https://{LOOPBACK}:{zone.machine.ports['machine']}",
        f"--ca-cert-file={folder / 'ca.crt'}",
        f"--dataplane-token-file={folder / 'token'}",
        f"--dataplane={(folder / 'dataplane.json').read_text()}",
        f"--binary-path={require_envoy()}",
        f"--work-dir={folder / 'work'}",
        "--dns-enabled=false",
    ]
    ports = {"KUMA_READINESS_PORT": str(reserve_port())}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command, env={"PATH": os.defpath, **ports}, stdout=log, stderr=subprocess.STDOUT
        )


async def data_plane_token(zone: Zone, name: str) -> str:
    """Have a token issued; the first mesh and its key are made a moment after kuma-cp is ready."""
    asked = {"mesh": "default", "name": name, "validFor": "10m"}

    def ask() -> str | None:
        return zone.control_plane.post("/tokens/dataplane", asked, token=zone.token)

    return await until(lambda: asyncio.to_thread(ask))


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def is_online(zone: Zone) -> bool:
    insight = zone.control_plane.get("/meshes/default/dataplane-insights/web") or {}
    return any(
        "connectTime" in each and "disconnectTime" not in each
        for each in insight.get("subscriptions", [])
    )


async def test_a_data_plane_comes_online_through_the_front_door(tmp_path: Path) -> None:
    async with running_zone(tmp_path) as zone:
        token = await data_plane_token(zone, "web")

        async with running_data_plane(tmp_path / "dp", zone, token) as log:
            await until(lambda: asyncio.to_thread(is_online, zone), told=lambda: said(log)[-3000:])


async def test_a_data_plane_with_the_token_of_another_is_denied(tmp_path: Path) -> None:
    async with running_zone(tmp_path) as zone:
        token = await data_plane_token(zone, "somebody-else")

        async with running_data_plane(tmp_path / "dp", zone, token) as log:
            await until(
                lambda: "authentication failed: proxy name" in said(log),
                told=lambda: said(log)[-2000:],
            )

            assert not await asyncio.to_thread(is_online, zone)
