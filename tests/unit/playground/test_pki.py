"""Certificates: what they prove is accepted over TLS, and nothing else is."""

import asyncio
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.lab.certificates import Certificates, make_certificates

from orrery.adapters.pki import KeyPair, Usage, create_authority, issue, write_file, write_key_pair

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path / "trusted")


async def test_both_ends_trust_what_the_authority_issued(certificates: Certificates) -> None:
    reply = await ask(certificates, client_of(certificates), "127.0.0.1")

    assert reply == b"welcome"


@pytest.mark.parametrize(
    ("host", "why"),
    [
        pytest.param("example.org", "Hostname mismatch", id="another-name"),
        pytest.param("127.0.0.2", "IP address mismatch", id="another-address"),
    ],
)
async def test_a_server_is_refused_under_another_name(
    certificates: Certificates, host: str, why: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        await ask(certificates, client_of(certificates), host)


async def test_a_client_of_another_authority_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    stranger = make_certificates(tmp_path / "strange")
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.load_cert_chain(*stranger.client())

    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(certificates, context, "127.0.0.1")


async def test_a_server_certificate_does_not_make_a_client(certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.load_cert_chain(*certificates.server("impostor"))

    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(certificates, context, "127.0.0.1")


def test_a_certificate_is_valid_from_a_little_before_now() -> None:
    authority = create_authority("test", now=NOW)

    leaf = parsed(issue(authority, "leaf", usages=[Usage.CLIENT], now=NOW, lifetime=timedelta(1)))

    assert leaf.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=1)


def test_an_authority_signs_leaves_only() -> None:
    authority = parsed(create_authority("test", now=NOW))

    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_the_organization_stands_in_the_subject() -> None:
    authority = create_authority("test", now=NOW)

    leaf = parsed(issue(authority, "admin", organization="system:masters", usages=[Usage.CLIENT]))

    assert leaf.subject.rfc4514_string() == "CN=admin,O=system:masters"


def test_a_private_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(create_authority("test"))


def test_only_the_owner_reads_a_key_file(tmp_path: Path) -> None:
    certificate, key = write_key_pair(tmp_path, "leaf", create_authority("test"))

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "token"
    write_file(target, "old", mode=0o644)

    write_file(target, "new")

    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


def parsed(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


def client_of(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.load_cert_chain(*certificates.client())
    return context


async def ask(certificates: Certificates, client: ssl.SSLContext, host: str) -> bytes:
    """Connect to a server that demands client certificates, calling it *host*."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca_file)
    server.load_cert_chain(*certificates.server())
    server.verify_mode = ssl.CERT_REQUIRED

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=host
        )
        try:
            return await reader.readexactly(7)
        finally:
            writer.transport.abort()
