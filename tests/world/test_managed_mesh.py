"""The mesh of a Managed region: raised beside its Nomad, which does not wait for it."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from tests.builders import a_class, a_managed_region, a_secret
from tests.fakes.europe import FRA, IMAGE, Europe, europe

from orrery.adapters.pki import create_authority
from orrery.ports import KeyPair, Kind

pytestmark = pytest.mark.looptime(noop_cycles=0)

KUMA: dict[str, Any] = {"provider": "Kuma", "image": "docker.io/kumahq/kuma-cp:2.14.3"}
JOINED = KUMA | {
    "globalAddress": "mesh.example:5685",
    "globalSecretRef": {"name": "global-mesh-ca"},
}
OF_THE_MESH = {"kuma", "postgres"}


def a_mesh_class(**mesh: Any) -> dict[str, Any]:
    class_ = a_class(image=IMAGE)
    return {**class_, "spec": {**class_["spec"], "mesh": mesh}}


def use(eu: Europe, **mesh: Any) -> None:
    eu.world.hub.apply(Kind.REGION_CLASS, a_mesh_class(**mesh))


def an_authority(eu: Europe) -> KeyPair:
    now = datetime.fromtimestamp(eu.world.clock.now(), UTC)
    return create_authority("global mesh", now=now)


def keep_authority(eu: Europe, pair: KeyPair, *, trusted: str = "") -> None:
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    secret = a_secret(
        "global-mesh-ca",
        namespace="orrery-system",
        **data,
        **({"ca.crt": trusted} if trusted else {}),
    )
    eu.world.hub.secrets["orrery-system", "global-mesh-ca"] = secret


def texts(eu: Europe, secret: str) -> dict[str, str]:
    body = eu.cluster.objects[eu.caretaker.find("Secret", secret)]
    return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}


def components(eu: Europe) -> set[str]:
    labels = [body["metadata"].get("labels", {}) for body in eu.cluster.objects.values()]
    return {each.get("app.kubernetes.io/name", "") for each in labels} - {""}


def degraded(eu: Europe) -> str:
    condition = eu.world.condition(FRA, "Degraded")
    return f"{condition['reason']}: {condition['message']}" if condition else ""


async def test_a_class_without_a_mesh_makes_none() -> None:
    async with europe() as eu:
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)

        assert not components(eu) & OF_THE_MESH
        assert not [ref for ref in eu.cluster.objects if "kuma" in ref.name]


async def test_a_region_gets_its_zone_and_then_rests() -> None:
    async with europe() as eu:
        use(eu, **KUMA)
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(400)
        before = eu.settled()

        await eu.world.settle(1800)

        assert components(eu) >= OF_THE_MESH
        assert degraded(eu) == ""
        assert eu.settled() == before


async def test_a_mesh_that_is_down_is_told_and_keeps_nobody_from_using_nomad() -> None:
    async with europe() as eu:
        use(eu, **KUMA)
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(60)

        ref = eu.caretaker.find("Deployment", "fra-kuma")
        eu.caretaker.idle.add("Deployment")
        eu.cluster.set_status(ref, {"observedGeneration": 1, "replicas": 0})
        await eu.world.settle(400)

        assert eu.phase == "Open"
        assert degraded(eu) == "MeshNotReady: control plane: none of 2 kuma-cps is ready"

        eu.caretaker.idle.clear()
        await eu.world.until(lambda: not degraded(eu))


async def test_kuma_waits_for_its_database_and_nomad_does_not() -> None:
    async with europe() as eu:
        use(eu, **KUMA, store={"mode": "External", "secretRef": {"name": "zone-database"}})
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(60)

        assert degraded(eu) == (
            "MeshNotReady: control plane: spec.mesh.store.secretRef of the class: Secret "
            '"zone-database" in namespace "orrery-fra" lacks host, port, username, password, '
            "dbname, ca.crt"
        )
        assert "fra-kuma" not in {ref.name for ref in eu.cluster.objects if ref.kind != "Service"}

        keys = ("host", "port", "username", "password", "dbname", "ca.crt")
        eu.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "zone-database", "namespace": "orrery-fra"},
                "data": dict.fromkeys(keys, base64.b64encode(b"x").decode()),
            }
        )
        await eu.world.until(lambda: not degraded(eu))

        assert eu.caretaker.find("Deployment", "fra-kuma")
        assert "postgres" not in components(eu)


async def test_a_zone_proves_its_own_name_with_a_certificate_of_the_global_authority() -> None:
    async with europe() as eu:
        use(eu, **JOINED)
        authority = an_authority(eu)
        keep_authority(eu, authority)
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.until(lambda: not degraded(eu))

        held = texts(eu, "fra-zone-tls")

        certificate = x509.load_pem_x509_certificate(held["tls.crt"].encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["fra.zone.orrery"]
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.certificate.encode())
        )
        assert held["ca.crt"] == authority.certificate


async def test_another_global_authority_means_another_certificate_of_the_zone() -> None:
    async with europe() as eu:
        use(eu, **JOINED)
        keep_authority(eu, an_authority(eu))
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.until(lambda: not degraded(eu))
        before = texts(eu, "fra-zone-tls")
        successor = an_authority(eu)

        keep_authority(eu, successor, trusted=successor.certificate + before["ca.crt"])
        await eu.world.until(lambda: texts(eu, "fra-zone-tls") != before, within=400)

        after = texts(eu, "fra-zone-tls")
        assert after["ca.crt"] == successor.certificate + before["ca.crt"]
        assert after["tls.crt"] != before["tls.crt"]


async def test_a_lost_global_authority_is_told_and_the_zone_keeps_what_it_has() -> None:
    async with europe() as eu:
        use(eu, **JOINED)
        keep_authority(eu, an_authority(eu))
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.until(lambda: not degraded(eu))
        before = texts(eu, "fra-zone-tls")

        del eu.world.hub.secrets["orrery-system", "global-mesh-ca"]
        await eu.world.until(lambda: bool(degraded(eu)), within=400)

        assert degraded(eu) == (
            "MeshAuthorityInvalid: control plane: spec.mesh.globalSecretRef of the class: Secret "
            '"global-mesh-ca" in namespace "orrery-system" does not exist'
        )
        assert texts(eu, "fra-zone-tls") == before
        assert eu.caretaker.find("Deployment", "fra-kuma")
        assert eu.phase == "Open"


async def test_a_class_that_gives_up_its_mesh_leaves_nothing_but_secrets() -> None:
    async with europe() as eu:
        use(eu, **KUMA)
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(60)

        use(eu, provider="None")
        await eu.world.settle(400)

        of_the_mesh = [
            ref for ref in eu.cluster.objects if "kuma" in ref.name or "postgres" in ref.name
        ]
        left = {ref.kind for ref in of_the_mesh}
        assert left - {"Pod"} == {"Secret"}  # Pods go with their owners, which this cluster leaves.
