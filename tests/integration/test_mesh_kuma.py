"""Zones of real Kuma join a real global control plane, through the Envoys that we render.

All run as processes on loopback, told what their containers are told, on a real PostgreSQL.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab.envoy import Secret
from tests.lab.envoys import RunningEnvoy, running_envoy
from tests.lab.kuma import ControlPlane, admin_token, require_kuma, running, told
from tests.lab.polling import until
from tests.lab.postgres import require_postgres, running_postgres
from tests.unit.render.region.blueprints import JOINED, KUMA_IMAGE, a_blueprint

from orrery.adapters.pki import CryptographyPki
from orrery.cli.mesh import AUTHORITY_SECRET, mesh_secrets
from orrery.planning.certificates import Leaf
from orrery.playground.ports import LOOPBACK
from orrery.ports import KeyPair
from orrery.reconcile.meshleaves import mesh_leaves, signing_texts
from orrery.reconcile.meshplane import zone_leaf
from orrery.render.globalmesh import GlobalMesh, render_files, render_global_mesh
from orrery.render.region import Blueprint
from orrery.render.region.kuma import SIGNING_KEY
from orrery.render.region.mesh import render_link_files, render_mesh

DAY = timedelta(days=1)
PKI = CryptographyPki()
MEMORY = {"store": {"mode": "Memory"}}


@pytest.fixture(autouse=True)
def _real_programs() -> None:
    require_kuma()
    require_postgres()


def now() -> datetime:
    return datetime.now(UTC)


def issued(authority: KeyPair, leaf: Leaf) -> Secret:
    """Issue a leaf, for loopback as well: no DNS leads to the names of Services here."""
    hosts = sorted(leaf.hosts | {LOOPBACK} if "." not in leaf.name else leaf.hosts)
    pair = PKI.issue(
        authority, leaf.name, hosts=hosts, usages=sorted(leaf.usages), lifetime=DAY, now=now()
    )
    trusted = authority.certificate
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": trusted}


def decoded(document: Mapping[str, Any]) -> dict[str, str]:
    return {key: b64decode(text).decode() for key, text in document["data"].items()}


@dataclass
class Planet:
    """A global control plane in PostgreSQL, its front door, and who says which zone may join."""

    control_plane: ControlPlane
    door: RunningEnvoy
    authority: KeyPair
    folder: Path
    signing_key: str

    async def is_online(self, zone: str) -> None:
        def look() -> bool:
            return self.control_plane.is_online(zone)

        await until(lambda: asyncio.to_thread(look), told=lambda: self.door.log[-2000:])

    @asynccontextmanager
    async def zone(
        self, blueprint: Blueprint, *, certified: str = ""
    ) -> AsyncIterator[ControlPlane]:
        """Run the zone of *blueprint* with its link; *certified* is another's certificate."""
        region = KeyPair(*_pair(PKI.create_authority("region", lifetime=DAY, now=now())))
        folder = self.folder / f"zone-{blueprint.name}"
        leaves = {leaf.name: issued(region, leaf) for leaf in mesh_leaves(blueprint)}
        proof = zone_leaf(a_blueprint(certified or blueprint.name, mesh=JOINED))
        async with AsyncExitStack() as stack:
            link = await stack.enter_async_context(
                running_envoy(
                    folder / "link",
                    render_link_files(blueprint),
                    {"global-mesh": (LOOPBACK, self.door.ports["kds"])},
                    secret=issued(self.authority, proof),
                )
            )
            postgres = leaves.get(f"{blueprint.name}-postgres")
            database = (
                await stack.enter_async_context(running_postgres(postgres, PKI.token()))
                if postgres
                else None
            )
            address = f"grpc://{LOOPBACK}:{link.ports['global-mesh']}"
            control_plane = told(
                render_mesh(blueprint),
                folder,
                leaves[f"{blueprint.name}-kuma"],
                signing_texts(PKI),
                database,
                KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS=address,
            )
            yield await stack.enter_async_context(running(control_plane))


def _pair(pair: KeyPair) -> tuple[str, str]:
    return pair.certificate, pair.key


@asynccontextmanager
async def running_planet(folder: Path) -> AsyncIterator[Planet]:
    """Run a global control plane with the Secrets that `orrery mesh secrets` prints."""
    site = GlobalMesh(KUMA_IMAGE)
    made = mesh_secrets(site, PKI, now(), authority=None)
    secrets = {each["metadata"]["name"]: decoded(each) for each in made}
    held = secrets[AUTHORITY_SECRET]
    authority = KeyPair(held["tls.crt"], held["tls.key"])
    hosts = frozenset({LOOPBACK})
    server = PKI.inspect(KeyPair(*_leaf_pair(secrets["global-mesh-postgres-tls"])))
    assert server is not None
    leaf = Leaf("", "global-mesh-postgres", server.hosts | hosts, server.usages)
    password = secrets["global-mesh-postgres-password"]["password"]
    async with running_postgres(issued(authority, leaf), password) as database:
        control_plane = told(
            render_global_mesh(site),
            folder / "global",
            secrets["global-mesh-kuma-tls"],
            secrets["global-mesh-kuma-tokens"],
            database,
        )
        async with (
            running(control_plane),
            running_envoy(
                folder / "door",
                render_files(site),
                {"kds": (LOOPBACK, control_plane.kds)},
                secret=secrets["global-mesh-front-door-tls"],
            ) as door,
        ):
            key = secrets["global-mesh-kuma-tokens"][SIGNING_KEY]
            yield Planet(control_plane, door, authority, folder, key)


def _leaf_pair(texts: Mapping[str, str]) -> tuple[str, str]:
    return texts["tls.crt"], texts["tls.key"]


async def knows(control_plane: ControlPlane, mesh: str) -> None:
    def look() -> bool:
        return mesh in control_plane.names("meshes")

    await until(lambda: asyncio.to_thread(look), told=lambda: control_plane.log[-2000:])


async def test_a_zone_comes_online_and_keeps_its_meshes_while_the_global_one_is_down(
    tmp_path: Path,
) -> None:
    async with running_planet(tmp_path) as planet:
        acme = {"type": "Mesh", "name": "acme"}
        await asyncio.to_thread(planet.control_plane.put, "/meshes/acme", acme)

        async with planet.zone(a_blueprint("was", mesh=JOINED)) as zone:
            await planet.is_online("was")
            await knows(zone, "acme")

            await zone.stop()
            await planet.control_plane.stop()
            await zone.start()

            assert await asyncio.to_thread(zone.names, "meshes") == ["acme", "default"]

            await planet.control_plane.start()
            await planet.is_online("was")


async def test_a_zone_that_claims_anothers_name_is_denied(tmp_path: Path) -> None:
    async with running_planet(tmp_path) as planet:
        spoofed = a_blueprint("fra", mesh={**JOINED, **MEMORY})

        async with planet.zone(spoofed, certified="was") as zone:
            await until(lambda: "PermissionDenied" in zone.log, told=lambda: zone.log[-2000:])

        async with planet.zone(a_blueprint("was", mesh={**JOINED, **MEMORY})):
            await planet.is_online("was")
        assert await asyncio.to_thread(planet.control_plane.names, "zones") == ["was"]


async def test_who_signs_a_token_is_an_administrator_and_nobody_else(tmp_path: Path) -> None:
    async with running_planet(tmp_path) as planet:
        good = admin_token(tmp_path / "good", planet.signing_key)
        forged = admin_token(tmp_path / "forged", signing_texts(PKI)[SIGNING_KEY])

        def secrets(token: str) -> list[str]:
            found = planet.control_plane.get("/global-secrets", token=token)
            return sorted(item["name"] for item in found["items"])

        with pytest.raises(OSError, match="403"):
            await asyncio.to_thread(secrets, "")
        with pytest.raises(OSError, match="401"):
            await asyncio.to_thread(secrets, forged)
        assert "admin-user-token" not in await asyncio.to_thread(secrets, good)
