"""The port `Pki`: what was made is recognised, what is damaged is called so and never raises."""

import ssl
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from orrery.adapters.pki import CryptographyPki
from orrery.ports import Certificate, KeyPair, Usage

PKI = CryptographyPki()
NOW = datetime(2030, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
AUTHORITY = PKI.create_authority("one", lifetime=10 * YEAR, now=NOW)
STRANGER = PKI.create_authority("one", lifetime=10 * YEAR, now=NOW)
LEAF = PKI.issue(
    AUTHORITY,
    "leaf",
    hosts=["server.fra.nomad", "2001:db8:0::7", "203.0.113.7"],
    usages=[Usage.CLIENT, Usage.SERVER],
    lifetime=YEAR,
    now=NOW,
)


def test_a_leaf_says_what_it_was_issued_for() -> None:
    der = ssl.PEM_cert_to_DER_cert(LEAF.certificate)

    assert PKI.inspect(LEAF) == Certificate(
        fingerprint=sha256(der).hexdigest(),
        not_before=NOW - timedelta(minutes=5),
        not_after=NOW + YEAR,
        hosts=frozenset({"server.fra.nomad", "2001:db8::7", "203.0.113.7"}),
        usages=frozenset({Usage.SERVER, Usage.CLIENT}),
    )


def test_an_authority_is_recognised_as_one() -> None:
    authority = PKI.inspect(AUTHORITY)

    assert authority is not None
    assert authority.is_authority
    assert (authority.hosts, authority.usages) == (frozenset(), frozenset())


def locked(key: str) -> str:
    loaded = load_pem_private_key(key.encode(), password=None)
    how = BestAvailableEncryption(b"password")
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def of_another_kind() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


DAMAGED = [
    pytest.param(KeyPair("", ""), id="nothing"),
    pytest.param(KeyPair(LEAF.certificate, ""), id="no-key"),
    pytest.param(KeyPair("", LEAF.key), id="no-certificate"),
    pytest.param(KeyPair(LEAF.certificate, AUTHORITY.key), id="the-key-of-another"),
    pytest.param(KeyPair(LEAF.certificate[:200], LEAF.key), id="certificate-cut-short"),
    pytest.param(KeyPair(LEAF.certificate, LEAF.key[:100]), id="key-cut-short"),
    pytest.param(KeyPair("\ufffd\x00", "\ufffd"), id="not-text"),
    pytest.param(KeyPair(LEAF.key, LEAF.certificate), id="exchanged"),
    pytest.param(KeyPair(LEAF.certificate + AUTHORITY.certificate, LEAF.key), id="a-chain"),
    pytest.param(KeyPair(LEAF.certificate, locked(LEAF.key)), id="key-with-password"),
    pytest.param(KeyPair(LEAF.certificate, of_another_kind()), id="key-of-another-kind"),
]


@pytest.mark.parametrize("pair", DAMAGED)
def test_what_is_damaged_is_called_so(pair: KeyPair) -> None:
    assert PKI.inspect(pair) is None


def test_a_bundle_is_taken_apart() -> None:
    parts = PKI.split_bundle(AUTHORITY.certificate + "\n" + STRANGER.certificate)

    assert list(parts.values()) == [AUTHORITY.certificate, STRANGER.certificate]
    assert [PKI.inspect(AUTHORITY), PKI.inspect(STRANGER)] == [
        PKI.inspect(KeyPair(pem, pair.key))
        for pem, pair in zip(parts.values(), (AUTHORITY, STRANGER), strict=True)
    ]
    assert all(sha256(ssl.PEM_cert_to_DER_cert(v)).hexdigest() == k for k, v in parts.items())


@pytest.mark.parametrize("text", ["", "nonsense", AUTHORITY.certificate[:300], AUTHORITY.key])
def test_a_damaged_bundle_holds_nothing(text: str) -> None:
    assert PKI.split_bundle(text) == {}


def test_an_issuer_is_known_by_its_signature_not_its_name() -> None:
    assert PKI.is_issued_by(LEAF.certificate, AUTHORITY.certificate)
    assert not PKI.is_issued_by(LEAF.certificate, STRANGER.certificate)
    assert not PKI.is_issued_by(LEAF.certificate, "nonsense")
    assert not PKI.is_issued_by("", AUTHORITY.certificate)


def test_keys_and_tokens_are_random_and_of_the_form_that_nomad_takes() -> None:
    key, token = PKI.gossip_key(), PKI.token()

    assert len(b64decode(key, validate=True)) == 32
    assert (str(UUID(token)), UUID(token).version) == (token, 4)
    assert key != PKI.gossip_key()
    assert token != PKI.token()


def test_a_signing_key_is_of_the_form_that_kuma_reads() -> None:
    key = PKI.signing_key()

    private = load_pem_private_key(key.private.encode(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    assert load_pem_public_key(key.public.encode()) == private.public_key()
    assert key.private.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert key.public.startswith("-----BEGIN RSA PUBLIC KEY-----")
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        pytest.param(NOW - timedelta(minutes=6), True, id="it-has-not-begun"),
        pytest.param(NOW, False, id="new"),
        pytest.param(NOW + timedelta(minutes=10) - timedelta(seconds=1), False, id="just-before"),
        pytest.param(NOW + timedelta(minutes=10), True, id="two-thirds"),
        pytest.param(NOW + YEAR, True, id="expired"),
    ],
)
def test_a_certificate_is_due_when_a_third_of_its_life_is_left(
    moment: datetime, *, due: bool
) -> None:
    start, end = NOW - timedelta(minutes=5), NOW + timedelta(minutes=17, seconds=30)

    assert Certificate("f", start, end).renewal_is_due(moment) is due


def test_no_leaf_outlives_its_authority() -> None:
    late = NOW + 10 * YEAR - timedelta(days=3)

    leaf = PKI.inspect(
        PKI.issue(AUTHORITY, "leaf", hosts=[], usages=[Usage.CLIENT], lifetime=YEAR, now=late)
    )

    authority = PKI.inspect(AUTHORITY)
    assert leaf is not None
    assert authority is not None
    assert leaf.not_after == authority.not_after == NOW + 10 * YEAR
