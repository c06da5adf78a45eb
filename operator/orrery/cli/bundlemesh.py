"""The part of a machine's bundle that is of the region's mesh: its key read, and a token signed."""

from dataclasses import replace
from datetime import datetime

from orrery.adapters.datatokens import DataPlane, is_usable, sign
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.joining import front_door_hosts
from orrery.ports import ContinentalCluster, ObjectRef, SigningKey
from orrery.reconcile.secretfacts import decode
from orrery.render.bundle import Join
from orrery.render.bundle_mesh import WORKLOAD, MeshJoin, data_plane_name
from orrery.render.region.blueprint import SecretName
from orrery.render.region.kuma import DATA_PLANE_MESH, KEY_ID, PUBLIC_KEY, SIGNING_KEY


async def signing_key_of(
    cluster: ContinentalCluster, region: Region, class_: RegionClass, continent: Continent
) -> SigningKey | None:
    """Read the key that signs tokens of *region*'s mesh; None where its class has no mesh.

    Raises `NotYet` while there is no such Secret, `InvalidSpec` when what it holds is no key.
    """
    if not class_.spec.mesh.is_kuma:
        return None
    namespace = continent.namespace_of(region.metadata.name)
    name = f"{region.metadata.name}-{SecretName.KUMA_TOKENS}"
    where = f'Secret "{name}" in namespace "{namespace}" of the continent\'s cluster'
    found = await cluster.read(ObjectRef("v1", "Secret", namespace, name))
    if found is None:
        message = (
            f"the region's mesh is not there yet: {where} does not exist; "
            "with --no-mesh the machine joins without it"
        )
        raise NotYet("MeshNotReady", message)
    texts = decode(found)
    key = SigningKey(texts.get(SIGNING_KEY, ""), texts.get(PUBLIC_KEY, ""))
    if not is_usable(key):
        message = (
            f"{where} holds no RSA key in {SIGNING_KEY} with its public half in {PUBLIC_KEY}: "
            "restore it from a backup; with --no-mesh the machine joins without the mesh"
        )
        raise InvalidSpec("MeshNotReady", message)
    return key


def with_mesh(
    join: Join, region: Region, class_: RegionClass, key: SigningKey, now: datetime
) -> Join:
    """Add what a machine needs to know of the mesh; its token ends with its certificate.

    Without a name of the machine the token is for all data planes of machines.
    """
    who = DataPlane(
        DATA_PLANE_MESH, data_plane_name(join.machine) if join.machine else "", WORKLOAD
    )
    signed = sign(key, who, key_id=KEY_ID, now=now, expires=join.certificate_expires)
    mesh = MeshJoin(
        hosts=front_door_hosts(region),
        image=class_.spec.mesh.image or "",
        token=signed.token,
        token_id=signed.id,
    )
    return replace(join, mesh=mesh)
