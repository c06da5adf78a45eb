"""The front door of a global control plane: a zone is who its certificate says, and nobody else.

Real Envoys with what we render, for the front door and for the link of a zone; the control planes
on both sides are stand-ins.
"""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.frontdoors import BOTH, Pki
from tests.lab.envoys import running_envoy
from tests.unit.render.region.blueprints import JOINED, KUMA_IMAGE, a_blueprint

from orrery import names
from orrery.adapters.pki import KeyPair
from orrery.playground.ports import LOOPBACK
from orrery.render.globalmesh import GlobalMesh, render_files
from orrery.render.region.envoy_parts import (
    client_certificates,
    dns_cluster,
    http_manager,
    listener,
    ready_listener,
)
from orrery.render.region.envoy_secrets import ENVOY_FILE, identity, message, trust
from orrery.render.region.frontdoor import envoy_files
from orrery.render.region.mesh import render_link_files

LONG_AGO = datetime.now(UTC) - timedelta(days=30)
REACHED = "reached"


def secret(pair: KeyPair, trusted: str) -> dict[str, str]:
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": trusted}


def speaking_http2(cluster: dict[str, Any]) -> dict[str, Any]:
    options = message(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http2_protocol_options": {}},
    )
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return cluster | {"typed_extension_protocol_options": {name: options}}


def http2(manager: dict[str, Any]) -> dict[str, Any]:
    manager["typed_config"]["codec_type"] = "HTTP2"
    return manager


def global_control_plane() -> dict[str, str]:
    """Write a stand-in: HTTP/2 over TLS that says to everybody that they have reached it."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    route["direct_response"]["body"] = {"inline_string": REACHED}  # type: ignore[index] # of a dict
    tls = client_certificates(trust(names.GLOBAL_MESH_HOST), "h2")
    tls["typed_config"]["common_tls_context"] |= identity()
    chain = {"filters": [http2(http_manager("global", route))], "transport_socket": tls}
    return configuration([listener("global", 1, chain)], [])


def zone_control_plane() -> dict[str, str]:
    """Write a stand-in: what it is asked in HTTP/1 it asks its link in HTTP/2."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "link"}}
    chain = {"filters": [http_manager("zone", route)]}
    clusters = [speaking_http2(dns_cluster("link", LOOPBACK, 1))]
    return configuration([listener("zone", 1, chain)], clusters)


def configuration(
    listeners: list[dict[str, Any]], clusters: list[dict[str, Any]]
) -> dict[str, str]:
    (ready,) = [
        cluster
        for cluster in json.loads(render_files(GlobalMesh(KUMA_IMAGE))[ENVOY_FILE])[
            "static_resources"
        ]["clusters"]
        if cluster["name"] == "ready"
    ]
    admin = json.loads(render_files(GlobalMesh(KUMA_IMAGE))[ENVOY_FILE])["admin"]
    resources = {"listeners": [*listeners, ready_listener()], "clusters": [*clusters, ready]}
    node = {"id": "stand-in", "cluster": "test"}
    return envoy_files({"node": node, "admin": admin, "static_resources": resources})


@asynccontextmanager
async def running_mesh(folder: Path, pki: Pki, zone: dict[str, str]) -> AsyncIterator[int]:
    """Run a global control plane, its front door, the link of the zone was; yields its port."""
    kuma = secret(pki.leaf(names.GLOBAL_CONTROL_PLANE_HOST, usages=BOTH), pki.ca)
    front = secret(pki.leaf(names.GLOBAL_MESH_HOST, usages=BOTH), pki.ca)
    files = render_files(GlobalMesh(KUMA_IMAGE))
    link_files = render_link_files(a_blueprint("was", mesh=JOINED))
    async with (
        running_envoy(folder / "global", global_control_plane(), {}, secret=kuma) as behind,
        running_envoy(
            folder / "door", files, {"kds": (LOOPBACK, behind.ports["global"])}, secret=front
        ) as door,
        running_envoy(
            folder / "link",
            link_files,
            {"global-mesh": (LOOPBACK, door.ports["kds"])},
            secret=zone,
        ) as link,
        running_envoy(
            folder / "zone",
            zone_control_plane(),
            {"link": (LOOPBACK, link.ports["global-mesh"])},
        ) as speaker,
    ):
        yield speaker.ports["zone"]


def call(port: int, *client_ids: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    with closing(connection):
        connection.putrequest("GET", "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync")
        for client_id in client_ids:
            connection.putheader("client-id", client_id)
        connection.endheaders()
        reply = connection.getresponse()
        return reply.status, reply.read().decode()


def zone_of(pki: Pki, *hosts: str, **more: Any) -> dict[str, str]:
    return secret(pki.leaf(*hosts, **more), pki.ca)


async def test_a_zone_reaches_the_global_control_plane_under_its_own_name(tmp_path: Path) -> None:
    pki = Pki()
    async with running_mesh(tmp_path, pki, zone_of(pki, names.zone_host("was"))) as port:
        assert await asyncio.to_thread(call, port, "was") == (200, REACHED)


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param(["fra"], id="another-zone"),
        pytest.param([], id="none"),
        pytest.param([""], id="empty"),
        pytest.param(["was", "fra"], id="two"),
        pytest.param(["fra", "was"], id="two-in-another-order"),
        pytest.param(["was,fra"], id="a-list"),
        pytest.param(["WAS"], id="capitals"),
    ],
)
async def test_a_zone_name_that_is_not_the_certificates_is_refused(
    claimed: list[str], tmp_path: Path
) -> None:
    pki = Pki()
    async with running_mesh(tmp_path, pki, zone_of(pki, names.zone_host("was"))) as port:
        status, said = await asyncio.to_thread(call, port, *claimed)

        assert (status, said) == (403, "the zone is not the certificate's")


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(lambda _: zone_of(Pki(), names.zone_host("was")), id="another-authority"),
        pytest.param(lambda pki: zone_of(pki, names.zone_host("was"), now=LONG_AGO), id="expired"),
        pytest.param(lambda pki: zone_of(pki, names.zone_host("*")), id="wildcard"),
        pytest.param(lambda pki: zone_of(pki, names.GLOBAL_CONTROL_PLANE_HOST), id="no-zone"),
        pytest.param(lambda pki: zone_of(pki, f"was{names.ZONE_SUFFIX}.example"), id="longer"),
    ],
)
async def test_who_has_no_certificate_of_a_zone_gets_no_connection(
    stranger: Callable[[Pki], dict[str, str]], tmp_path: Path
) -> None:
    pki = Pki()
    zone = {**stranger(pki), "ca.crt": pki.ca}
    async with running_mesh(tmp_path, pki, zone) as port:
        status, said = await asyncio.to_thread(call, port, "was")

        assert status == 503
        assert REACHED not in said
