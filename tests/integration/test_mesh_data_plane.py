"""A real data plane joins its zone from a machine, with what the machine's bundle holds.

The zone is a mesh of its own in memory. On the machine run the link and kuma-dp as the units of the
bundle say; the way to the zone is the region's front door.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

import pytest
import pytest_asyncio
from tests.integration.frontdoors import BOTH, Pki
from tests.lab.envoy import Secret
from tests.lab.envoys import running_envoy
from tests.lab.kuma import ControlPlane, admin_token, require_kuma, running, told
from tests.lab.meshmachine import HOST_NAME, MeshMachine
from tests.lab.polling import until
from tests.unit.render.bundles import JOIN
from tests.unit.render.region.blueprints import a_blueprint

from orrery import names
from orrery.adapters.datatokens import DataPlane, sign
from orrery.adapters.pki import CryptographyPki
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.ports import SigningKey
from orrery.reconcile.meshleaves import mesh_leaves, signing_texts
from orrery.render.bundle import Join
from orrery.render.bundle_mesh import WORKLOAD, MeshJoin
from orrery.render.region.frontdoor import render_files
from orrery.render.region.kuma import DATA_PLANE_MESH, KEY_ID, PUBLIC_KEY, SIGNING_KEY
from orrery.render.region.mesh import render_mesh

BLUEPRINT: Final = a_blueprint(mesh={"store": {"mode": "Memory"}})
DOOR: Final = "kuma-dp-server"
NODE1: Final = DataPlane(DATA_PLANE_MESH, "machine-node1", WORKLOAD)


def secret(pki: Pki, *hosts: str) -> Secret:
    pair = pki.leaf(*hosts, usages=BOTH)
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pki.ca}


@dataclass
class Zone:
    """A zone, and the front door before it."""

    control_plane: ControlPlane
    pki: Pki
    key: SigningKey
    door: int
    link: int
    """Where links have to listen: kuma-cp names that port to data planes."""

    def join(self, who: DataPlane = NODE1, **changes: timedelta) -> Join:
        """Make what the bundle of node1 is made of, with a token for *who*."""
        now = datetime.now(UTC)
        expires = now + changes.get("lifetime", timedelta(hours=1))
        signed = sign(self.key, who, key_id=KEY_ID, now=now, expires=expires)
        mesh = MeshJoin((LOOPBACK,), "", signed.token, signed.id)
        pair = self.pki.leaf(names.client_host("fra"), names.machine_host("fra", "node1"))
        return replace(JOIN, authority=self.pki.ca, pair=pair, mesh=mesh)

    def machine(self, root: Path) -> MeshMachine:
        return MeshMachine(root, self.link, self.door)

    def is_online(self, name: str) -> bool:
        path = f"/meshes/{DATA_PLANE_MESH}/dataplane-insights/{name}"
        insight = self.control_plane.get(path) or {}
        return any(
            "connectTime" in each and "disconnectTime" not in each
            for each in insight.get("subscriptions", [])
        )


@asynccontextmanager
async def running_zone(folder: Path) -> AsyncIterator[Zone]:
    """Run kuma-cp and the front door before it; yields once there is a mesh."""
    pki, keys = Pki(), signing_texts(CryptographyPki())
    (leaf,) = mesh_leaves(BLUEPRINT)
    control_plane = told(
        render_mesh(BLUEPRINT), folder / "kuma", secret(pki, *sorted(leaf.hosts)), keys, None
    )
    # Data planes go on at the port that kuma-cp names: here it is not that of a machine.
    link = reserve_port()
    environment = {"KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT": str(link)}
    control_plane.environment = {**control_plane.environment, **environment}
    places = {DOOR: (LOOPBACK, control_plane.port("DP_SERVER"))}
    front = secret(pki, names.front_door_host("fra"))
    async with (
        running_envoy(folder / "door", render_files(BLUEPRINT), places, secret=front) as door,
        running(control_plane),
    ):
        await until(lambda: asyncio.to_thread(control_plane.get, f"/meshes/{DATA_PLANE_MESH}"))
        key = SigningKey(keys[SIGNING_KEY], keys[PUBLIC_KEY])
        yield Zone(control_plane, pki, key, door.ports[DOOR], link)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zone]:
    for program in ("kuma-cp", "kuma-dp", "kumactl"):
        require_kuma(program)
    async with running_zone(tmp_path_factory.mktemp("zone")) as zone:
        yield zone


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def until_said(log: Path, words: str) -> None:
    await until(lambda: words in said(log), told=lambda: said(log)[-3000:])


async def until_online(zone: Zone, name: str, log: Path) -> None:
    def look() -> bool:
        return zone.is_online(name)

    await until(lambda: asyncio.to_thread(look), told=lambda: said(log)[-3000:])


async def test_a_machine_comes_online_with_its_bundle(zone: Zone, tmp_path: Path) -> None:
    machine = zone.machine(tmp_path / "node1")
    machine.install(zone.join())

    with machine.link(), machine.data_plane() as log:
        await until_online(zone, "machine-node1", log)
    await until(lambda: asyncio.to_thread(lambda: not zone.is_online("machine-node1")))


async def test_a_machine_whose_bundle_is_for_any_goes_by_its_host_name(
    zone: Zone, tmp_path: Path
) -> None:
    machine = zone.machine(tmp_path / "any")
    machine.install(replace(zone.join(replace(NODE1, name="")), machine=""))

    with machine.link(), machine.data_plane() as log:
        await until_online(zone, f"machine-{HOST_NAME}", log)


def with_token(zone: Zone, key: SigningKey, **changes: str) -> Join:
    other = replace(zone, key=key)
    return other.join(replace(NODE1, **changes))


async def test_a_token_that_is_not_the_machines_is_denied(zone: Zone, tmp_path: Path) -> None:
    texts = signing_texts(CryptographyPki())
    stranger = SigningKey(texts[SIGNING_KEY], texts[PUBLIC_KEY])
    wrong = {
        "is different than in token": with_token(zone, zone.key, name="machine-node2"),
        "Allowed workload in token is": with_token(zone, zone.key, workload="web"),
        "crypto/rsa: verification error": with_token(zone, stranger),
        "token is expired": zone.join(lifetime=-timedelta(minutes=1)),
    }
    for number, (words, join) in enumerate(wrong.items()):
        machine = zone.machine(tmp_path / str(number))
        machine.install(join)
        with machine.link(), machine.data_plane() as log:
            await until_said(log, words)

    assert not await asyncio.to_thread(zone.is_online, "machine-node1")


async def test_a_token_that_was_revoked_is_denied(zone: Zone, tmp_path: Path) -> None:
    """As the page on joining machines says, with the id that is in the README of the bundle."""
    join = zone.join()
    assert join.mesh
    admin = admin_token(tmp_path / "admin", zone.key.private)
    name = f"dataplane-token-revocations-{DATA_PLANE_MESH}"
    data = b64encode(join.mesh.token_id.encode()).decode()
    document = {"type": "GlobalSecret", "name": name, "data": data}
    await asyncio.to_thread(
        lambda: zone.control_plane.put(f"/global-secrets/{name}", document, token=admin)
    )
    machine = zone.machine(tmp_path / "node1")
    machine.install(join)

    with machine.link(), machine.data_plane() as log:
        await until_said(log, "token is revoked")


async def test_a_machines_token_makes_nobody_an_administrator(zone: Zone) -> None:
    join = zone.join()
    assert join.mesh
    asked = {"mesh": DATA_PLANE_MESH, "name": "another", "validFor": "10m"}

    with pytest.raises(HTTPError) as refused:
        zone.control_plane.post("/tokens/dataplane", asked, token=join.mesh.token)

    assert refused.value.code == 403


async def test_a_good_token_does_not_help_who_has_no_certificate_of_the_region(
    zone: Zone, tmp_path: Path
) -> None:
    """What alert the front door gives each of them, its own tests tell."""
    then = datetime.now(UTC) - timedelta(days=30)
    wrong = [
        zone.pki.leaf(names.client_host("fra"), now=then),
        zone.pki.leaf(names.client_host("par")),
        Pki().leaf(names.client_host("fra")),
    ]
    machine = zone.machine(tmp_path / "node3")
    join = zone.join(replace(NODE1, name="machine-node3"))
    for pair in wrong:
        machine.install(replace(join, machine="node3", pair=pair))
        with machine.link(), machine.data_plane() as log:
            await until_said(log, "request to bootstrap server failed")
    assert not await asyncio.to_thread(zone.is_online, "machine-node3")

    machine.install(replace(join, machine="node3"))

    with machine.link(), machine.data_plane() as log:
        await until_online(zone, "machine-node3", log)
