"""What a machine's bundle is made of: a hub and a continent's cluster in memory, real keys."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.builders import a_class, a_continent, a_managed_region, a_secret
from tests.unit.cli.hubs import ReadableHub

from orrery.adapters.memory import MemoryCluster
from orrery.adapters.nomad.introduction import Introduction
from orrery.adapters.pki import BACKDATING, CryptographyPki
from orrery.cli.bundlefacts import Order, authority_of, host_of, issued
from orrery.cli.bundlemesh import signing_key_of, with_mesh
from orrery.cli.hub import Target
from orrery.errors import OrreryError
from orrery.names import OPERATOR_NAMESPACE
from orrery.planning.certificates import OVERLAP
from orrery.ports import Certificate, ClusterAccess, KeyPair, Kind, Usage
from orrery.reconcile.meshleaves import signing_texts
from orrery.reconcile.secretfacts import TRUSTED_SINCE, encode, texts_of
from orrery.render.bundle import Join

NOW: Final = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
LIFETIME: Final = timedelta(days=3650)
PKI: Final = CryptographyPki()
KUBECONFIG: Final = {"kubeconfigSecretRef": {"name": "eu-cluster", "key": "kubeconfig"}}
ORDER: Final = Order(
    region="fra",
    data_center="fra1",
    machine="node1",
    lifetime=None,
    token_lifetime=timedelta(minutes=30),
    operator_namespace=OPERATOR_NAMESPACE,
)


def an_authority(name: str = "fra") -> KeyPair:
    return PKI.create_authority(name, lifetime=LIFETIME, now=NOW - timedelta(days=1))


def fingerprint(pair: KeyPair) -> str:
    return described(pair).fingerprint


def described(pair: KeyPair) -> Certificate:
    found = PKI.inspect(pair)
    assert found
    return found


@dataclass
class Place:
    """A hub with one region, and the cluster of its continent."""

    authority: KeyPair = field(default_factory=an_authority)
    hub: ReadableHub = field(default_factory=ReadableHub)
    cluster: MemoryCluster = field(default_factory=MemoryCluster)

    def __post_init__(self) -> None:
        self.hub.apply(Kind.REGION_CLASS, a_class())
        self.continent(cluster=KUBECONFIG)
        self.region()
        way = a_secret("eu-cluster", namespace=OPERATOR_NAMESPACE, kubeconfig="the way to eu")
        self.hub.secrets[OPERATOR_NAMESPACE, "eu-cluster"] = way
        self.cluster.put(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "orrery-fra"}}
        )
        pem = self.authority.certificate
        self.secret({**texts_of(self.authority), "ca.crt": pem})

    def continent(self, **spec: Any) -> None:
        self.hub.apply(Kind.CONTINENT, {**a_continent(), "spec": spec})

    def region(self, **spec: Any) -> None:
        control_plane = {
            "namespace": "orrery-fra",
            "address": "203.0.113.7",
            "authority": fingerprint(self.authority),
            "bootstrapped": True,
        }
        status = {"controlPlane": control_plane, "nomad": {"version": "2.0.6"}}
        self.hub.apply(Kind.REGION, {**a_managed_region("fra", **spec), "status": status})

    def mesh(self) -> None:
        """Give the class a mesh."""
        mesh = {"provider": "Kuma", "image": "registry.example/kuma-cp:2.14.3"}
        self.hub.apply(Kind.REGION_CLASS, {**a_class(), "spec": {"mesh": mesh}})

    def secret(self, texts: Mapping[str, str], name: str = "fra-ca") -> None:
        self.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": "orrery-fra"},
                "data": encode(texts),
            }
        )

    def join(self, order: Order = ORDER, *, now: datetime = NOW) -> Join:
        async def work() -> Join:
            host = await host_of(self.hub, order, Target())
            assert host.access == ClusterAccess("the way to eu")
            authority = await authority_of(self.cluster, host)
            token = Introduction("a-token", now + order.token_lifetime)
            made = issued(order, host, authority, token, now)
            about = host.region, host.class_, host.continent
            key = await signing_key_of(self.cluster, *about) if order.mesh else None
            return with_mesh(made, host.region, host.class_, key, now) if key else made

        return asyncio.run(work())


def test_the_certificate_is_the_machines_and_the_regions() -> None:
    place = Place()

    join = place.join()

    certificate = described(join.pair)
    assert certificate.hosts == {"client.fra.nomad", "node1.machine.fra.orrery"}
    assert certificate.usages == set(Usage)
    assert not certificate.is_authority
    assert PKI.is_issued_by(join.pair.certificate, place.authority.certificate)
    assert (join.authority, join.pin) == (
        place.authority.certificate,
        fingerprint(place.authority),
    )


def test_the_certificate_lasts_as_long_as_the_class_says_unless_told_otherwise() -> None:
    place, hour = Place(), timedelta(hours=1)

    asked = place.join(replace(ORDER, lifetime=hour))

    assert place.join().certificate_expires == NOW + timedelta(hours=720)
    assert asked.certificate_expires == NOW + hour
    assert described(asked.pair).not_after == NOW + hour


def test_no_certificate_outlives_the_authority() -> None:
    place = Place()
    end = described(place.authority).not_after

    join = place.join(now=end - timedelta(days=1))

    assert join.certificate_expires == end
    assert x509.load_pem_x509_certificate(join.pair.certificate.encode()).not_valid_after_utc == end


def test_a_bundle_without_a_machine_is_for_any() -> None:
    join = Place().join(replace(ORDER, machine=""))

    assert described(join.pair).hosts == {"client.fra.nomad"}


def test_the_front_door_is_asked_by_its_name_first() -> None:
    place = Place()
    place.region(frontDoor={"host": "fra.regions.example"})

    assert place.join().servers == ["fra.regions.example:4647", "203.0.113.7:4647"]


@pytest.mark.parametrize(
    ("since", "by_successor"),
    [(NOW - OVERLAP / 2, False), (NOW - OVERLAP, True)],
    ids=["overlap", "overlap-is-over"],
)
def test_while_the_authority_is_replaced_both_are_trusted(
    since: datetime, *, by_successor: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place, successor = Place(), an_authority("successor")
    whole = place.authority.certificate + successor.certificate
    texts = {**texts_of(place.authority), **texts_of(successor, "next"), "ca.crt": whole}
    place.secret({**texts, TRUSTED_SINCE: since.isoformat()})

    join = place.join()

    first, second = place.authority, successor
    if by_successor:
        first, second = second, first
    assert join.authority == first.certificate + second.certificate
    assert join.pin == fingerprint(first)
    assert PKI.is_issued_by(join.pair.certificate, first.certificate)
    assert ("make the bundle again" in capsys.readouterr().err) is not by_successor


def no_way(place: Place) -> None:
    place.continent(cluster={"kubeconfigSecretRef": {"name": "eu-cluster", "key": "config"}})


def lost(place: Place) -> None:
    (ref,) = (ref for ref in place.cluster.objects if ref.kind == "Secret")
    del place.cluster.objects[ref]


def damaged(place: Place) -> None:
    place.secret({**texts_of(place.authority), "tls.key": "no key"})


def another(place: Place) -> None:
    other = an_authority("other")
    place.secret({**texts_of(other), "ca.crt": other.certificate})


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        pytest.param(lambda p: p.continent(), 'Continent "eu" has no spec.cluster', id="homeless"),
        pytest.param(
            no_way,
            'Continent "eu": spec.cluster.kubeconfigSecretRef: Secret "eu-cluster" in namespace'
            ' "orrery-system" has no "config"',
            id="no-way",
        ),
        pytest.param(
            lost,
            'Secret "fra-ca" in namespace "orrery-fra" of the continent\'s cluster does not exist',
            id="lost",
        ),
        pytest.param(damaged, "is damaged: restore it from a backup", id="damaged"),
        pytest.param(another, "holds another authority than the Region's status tells", id="other"),
        pytest.param(
            lambda p: p.region(**{"class": "fast"}), 'RegionClass "fast" does not exist', id="class"
        ),
        pytest.param(
            lambda p: p.region(continent="us"), 'Continent "us" does not exist', id="continent"
        ),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_made(
    happens: Callable[[Place], None], words: str
) -> None:
    place = Place()
    happens(place)

    with pytest.raises(OrreryError) as caught:
        place.join()

    assert words in caught.value.message


def test_a_region_that_does_not_exist_is_told() -> None:
    order = replace(ORDER, region="frb")

    with pytest.raises(OrreryError, match=r'Region "frb" does not exist; did you mean "fra"'):
        Place().join(order)


def test_a_region_without_a_mesh_has_no_part_of_one_in_a_bundle() -> None:
    place = Place()
    place.secret(signing_texts(PKI), "fra-kuma-tokens")

    assert place.join().mesh is None


@pytest.mark.parametrize(("machine", "name"), [("node1", "machine-node1"), ("", "")])
def test_the_token_of_a_data_plane_is_the_machines_and_ends_with_its_certificate(
    machine: str, name: str
) -> None:
    place, keys = Place(), signing_texts(PKI)
    place.mesh()
    place.region(frontDoor={"host": "fra.regions.example"})
    place.secret(keys, "fra-kuma-tokens")

    join = place.join(replace(ORDER, machine=machine))

    assert join.mesh
    claims = claims_of(join.mesh.token, keys["public.pem"])
    assert (claims["Mesh"], claims["Name"], claims["Workload"]) == ("default", name, "machines")
    assert claims["exp"] == join.certificate_expires.timestamp()
    assert claims["nbf"] == (NOW - BACKDATING).timestamp()
    assert claims["jti"] == join.mesh.token_id
    assert list(join.mesh.hosts) == ["fra.regions.example", "203.0.113.7"]
    assert join.mesh.image == "registry.example/kuma-cp:2.14.3"


def test_bundles_have_tokens_of_their_own() -> None:
    place = Place()
    place.mesh()
    place.secret(signing_texts(PKI), "fra-kuma-tokens")

    first, second = place.join().mesh, place.join().mesh

    assert first
    assert second
    assert first.token_id != second.token_id


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        pytest.param(None, "the region's mesh is not there yet", id="missing"),
        pytest.param({}, "holds no RSA key in signing.key", id="empty"),
        pytest.param(
            {**signing_texts(PKI), "public.pem": signing_texts(PKI)["public.pem"]},
            "with its public half in public.pem",
            id="not-a-pair",
        ),
        pytest.param(
            {**signing_texts(PKI), "signing.key": an_authority().key},
            "holds no RSA key in signing.key",
            id="another-kind",
        ),
    ],
)
def test_a_mesh_without_its_key_is_told_and_can_be_left_out(
    texts: Mapping[str, str] | None, words: str
) -> None:
    place = Place()
    place.mesh()
    if texts is not None:
        place.secret(texts, "fra-kuma-tokens")

    with pytest.raises(OrreryError) as caught:
        place.join()

    assert words in caught.value.message
    assert "--no-mesh" in caught.value.message
    assert "PRIVATE" not in caught.value.message
    assert place.join(replace(ORDER, mesh=False)).mesh is None


def claims_of(token: str, public: str) -> dict[str, Any]:
    """Prove a token as Kuma does, and read what it says."""
    header, claims, signature = (
        urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    assert orjson.loads(header) == {"alg": "RS256", "kid": "orrery", "typ": "JWT"}
    key = load_pem_public_key(public.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    signed = token.rpartition(".")[0].encode()
    key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    said: dict[str, Any] = orjson.loads(claims)
    return said
