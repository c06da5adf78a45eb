"""Certificate authorities and leaf certificates, and how they are kept on disk.

Making a certificate is a function of its arguments, the clock included, and of chance; only the
`write_*` functions touch anything. Keys are EC P-256, the curve that Kubernetes, Nomad, Envoy and
OpenSSL all accept by default.
"""

import os
import secrets
import tempfile
import uuid
from base64 import b64encode
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orrery.ports import Certificate, KeyPair, SigningKey, Usage

E = TypeVar("E", bound=x509.ExtensionType)

BACKDATING: Final = timedelta(minutes=5)
"""How far before now a certificate starts, so that a peer whose clock is behind accepts it."""

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


_DAMAGE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What is raised for what is no PEM, no key, locked by a password, or of a kind not known."""

_USAGES: Final = {
    Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}

__all__ = [
    "BACKDATING",
    "PRIVATE",
    "PUBLIC",
    "CryptographyPki",
    "KeyPair",
    "Usage",
    "create_authority",
    "issue",
    "write_bytes",
    "write_file",
    "write_key_pair",
]


class CryptographyPki:
    """Implements `orrery.ports.Pki` with the package `cryptography` and the system's randomness."""

    def create_authority(self, name: str, *, lifetime: timedelta, now: datetime) -> KeyPair:
        """Make a self-signed authority."""
        return create_authority(name, lifetime=lifetime, now=now)

    def issue(
        self,
        authority: KeyPair,
        name: str,
        *,
        hosts: Collection[str],
        usages: Collection[Usage],
        lifetime: timedelta,
        now: datetime,
    ) -> KeyPair:
        """Issue a leaf certificate."""
        return issue(authority, name, hosts=hosts, usages=usages, lifetime=lifetime, now=now)

    def inspect(self, pair: KeyPair) -> Certificate | None:
        """Say what the certificate of *pair* is; None when it is damaged or the key is not its."""
        try:
            (certificate,) = x509.load_pem_x509_certificates(pair.certificate.encode())
            key = load_pem_private_key(pair.key.encode(), password=None)
            described = _describe(certificate)
        except _DAMAGE:
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return None
        return described if key.public_key() == certificate.public_key() else None

    def split_bundle(self, bundle: str) -> Mapping[str, str]:
        """Return the certificates of *bundle* by fingerprint; none when it is damaged."""
        try:
            certificates = x509.load_pem_x509_certificates(bundle.encode())
        except _DAMAGE:
            return {}
        return {_fingerprint(c): c.public_bytes(Encoding.PEM).decode() for c in certificates}

    def is_issued_by(self, certificate: str, authority: str) -> bool:
        """Whether *authority* signed *certificate*, both PEM."""
        try:
            leaf, issuer = (
                x509.load_pem_x509_certificate(text.encode()) for text in (certificate, authority)
            )
            leaf.verify_directly_issued_by(issuer)
        except (*_DAMAGE, InvalidSignature):
            return False
        return True

    def gossip_key(self) -> str:
        """Make a key for the gossip of Nomad's servers: 32 random bytes in base64."""
        return b64encode(secrets.token_bytes(32)).decode()

    def signing_key(self) -> SigningKey:
        """Make an RSA key for signing tokens."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        return SigningKey(private.decode(), public.decode())

    def token(self) -> str:
        """Make a secret token: a random UUID."""
        return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def create_authority(
    name: str, *, lifetime: timedelta = timedelta(days=3650), now: datetime | None = None
) -> KeyPair:
    """Make a self-signed authority that may sign leaves and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    signed = (
        _builder(subject, key.public_key(), lifetime, now)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(signed, key)


def issue(
    authority: KeyPair,
    name: str,
    *,
    hosts: Collection[str] = (),
    usages: Collection[Usage],
    organization: str = "",
    lifetime: timedelta = timedelta(days=365),
    now: datetime | None = None,
) -> KeyPair:
    """Issue a leaf certificate for *hosts*, each a DNS name or an IP address.

    *organization* becomes the subject's O, which Kubernetes reads as the user's group. None is
    valid for longer than its authority, as long as that is valid itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    left = issuer.not_valid_after_utc - (now or datetime.now(UTC))
    lifetime = min(lifetime, left) if left > timedelta(0) else lifetime
    builder = (
        _builder(_subject(name, organization), key.public_key(), lifetime, now)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in usages]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _pair(builder.sign(_signing_key(authority), hashes.SHA256()), key)


def write_key_pair(directory: Path, name: str, pair: KeyPair) -> tuple[Path, Path]:
    """Write ``<name>.pem`` and, readable by the owner only, ``<name>-key.pem``."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    write_file(key, pair.key, mode=PRIVATE)
    write_file(certificate, pair.certificate, mode=PUBLIC)
    return certificate, key


def write_file(path: Path, text: str, *, mode: int = PRIVATE) -> None:
    """Write *text* to *path* as `write_bytes` does."""
    write_bytes(path, text.encode(), mode=mode)


def write_bytes(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write *data* to *path* with *mode*; a reader sees the old file or the new one, whole.

    The mode is set before the content is there, so a secret is never readable by others.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta, now: datetime | None
) -> x509.CertificateBuilder:
    start = now or datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATING)
        .not_valid_after(start + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _describe(certificate: x509.Certificate) -> Certificate:
    constraints = _extension(certificate, x509.BasicConstraints)
    names = _extension(certificate, x509.SubjectAlternativeName) or ()
    purposes = _extension(certificate, x509.ExtendedKeyUsage) or ()
    return Certificate(
        fingerprint=_fingerprint(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        hosts=frozenset(str(name.value) for name in names),
        usages=frozenset(usage for usage, oid in _USAGES.items() if oid in purposes),
        is_authority=constraints is not None and constraints.ca,
    )


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _subject(name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _signing_key(authority: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "authorities are made by create_authority"
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(certificate.public_bytes(Encoding.PEM).decode(), _pem(key))


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
