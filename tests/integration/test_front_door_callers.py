"""The front door, by a real Envoy: whom it refuses on either side, each for a reason of its own."""

import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from tests.integration.frontdoors import (
    BOTH,
    Pki,
    ask,
    caller,
    refusal,
    running_door,
    running_region,
    running_server,
)

from orrery.adapters.nomad import NomadClient
from orrery.adapters.pki import KeyPair, Usage
from orrery.playground.ports import LOOPBACK
from orrery.ports import Credentials

OPERATOR = "operator.fra.orrery"
SERVER = "server.fra.nomad"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def self_signed(pki: Pki) -> KeyPair:
    """Copy the operator's certificate, and sign it with its own key."""
    pair = pki.operator()
    copied = x509.load_pem_x509_certificate(pair.certificate.encode())
    key = load_pem_private_key(pair.key.encode(), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(copied.subject)
        .issuer_name(copied.subject)
        .public_key(copied.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(copied.not_valid_before_utc)
        .not_valid_after(copied.not_valid_after_utc)
    )
    for extension in copied.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type] # an EC key, as issued
    return KeyPair(signed.public_bytes(Encoding.PEM).decode(), pair.key)


Make = Callable[[Pki], KeyPair | None]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("make", "alert"),
    [
        pytest.param(lambda pki: None, "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE", id="none"),
        pytest.param(
            lambda pki: pki.leaf(
                OPERATOR,
                now=datetime.now(UTC) - timedelta(hours=2),
                lifetime=timedelta(hours=1),
            ),
            "CERTIFICATE_EXPIRED",
            id="expired",
        ),
        pytest.param(self_signed, "UNKNOWN_CA", id="self-signed"),
        pytest.param(lambda pki: Pki().leaf(OPERATOR), "UNKNOWN_CA", id="other-authority"),
        pytest.param(lambda pki: pki.leaf("client.fra.nomad"), "CERTIFICATE_UNKNOWN", id="machine"),
        pytest.param(lambda pki: pki.leaf(SERVER, usages=BOTH), "CERTIFICATE_UNKNOWN", id="server"),
        pytest.param(
            lambda pki: pki.leaf("operator.ber.orrery"), "CERTIFICATE_UNKNOWN", id="other-region"
        ),
        pytest.param(lambda pki: pki.leaf("*.fra.orrery"), "CERTIFICATE_UNKNOWN", id="wildcard"),
        pytest.param(lambda pki: pki.leaf(), "CERTIFICATE_UNKNOWN", id="no-name-but-the-subject"),
        pytest.param(
            lambda pki: pki.leaf(OPERATOR, usages=[Usage.SERVER]),
            "UNSUPPORTED_CERTIFICATE",
            id="not-for-clients",
        ),
    ],
)
async def test_whoever_is_not_the_operator_is_refused(
    tmp_path: Path, pki: Pki, make: Make, alert: str, version: ssl.TLSVersion
) -> None:
    tls = caller(make(pki), pki.ca)
    tls.maximum_version = version

    async with running_region(tmp_path, pki) as (door, server):
        said = await refusal(door.http, tls)
        with pytest.raises(aiohttp.ClientError):
            await ask(door.http, tls)

    assert any(word in said for word in alert.split("|")), said
    assert server.http.requests == []


async def test_the_operator_sees_that_a_stranger_is_refused(tmp_path: Path, pki: Pki) -> None:
    pair = pki.operator()

    async with running_region(tmp_path, pki) as (door, server):
        endpoint = f"https://{LOOPBACK}:{door.http}"
        client = NomadClient(Credentials(endpoint, "token", pki.ca, pair.certificate, pair.key))
        admitted = await client.admits_strangers()
        await client.close()

    assert admitted is False
    assert server.http.requests == []


async def test_old_tls_is_refused(tmp_path: Path, pki: Pki) -> None:
    tls = caller(pki.operator(), pki.ca)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        tls.minimum_version = ssl.TLSVersion.TLSv1_1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1

    async with running_region(tmp_path, pki) as (door, server):
        said = await refusal(door.http, tls)

    assert said == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert server.http.connections_open == 0


async def test_nothing_is_said_in_the_clear(tmp_path: Path, pki: Pki) -> None:
    async with running_region(tmp_path, pki) as (door, server):
        with pytest.raises(aiohttp.ClientError):
            await ask(door.http, None)

    assert server.http.requests == []


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda pki: Pki().server(), id="other-authority"),
        pytest.param(lambda pki: pki.leaf("client.fra.nomad", LOOPBACK, usages=BOTH), id="machine"),
        pytest.param(lambda pki: pki.leaf("server.ber.nomad", usages=BOTH), id="other-region"),
        pytest.param(lambda pki: pki.leaf("*.fra.nomad", usages=BOTH), id="wildcard"),
        pytest.param(
            lambda pki: pki.leaf(
                SERVER,
                usages=BOTH,
                now=datetime.now(UTC) - timedelta(hours=2),
                lifetime=timedelta(hours=1),
            ),
            id="expired",
        ),
        pytest.param(lambda pki: pki.leaf(SERVER, usages=[Usage.CLIENT]), id="not-for-servers"),
    ],
)
async def test_who_is_no_server_gets_no_call(
    tmp_path: Path, pki: Pki, make: Callable[[Pki], KeyPair]
) -> None:
    async with (
        running_server(make(pki), pki.ca) as server,
        running_door(tmp_path, pki, server.backend) as door,
    ):
        said = await ask(door.http, caller(pki.operator(), pki.ca))

    assert said.status == 503
    assert server.http.requests == []
