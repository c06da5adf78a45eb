"""Credentials: unusable ones are refused by the name of their field, never by their content."""

import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.adapters.nomad.certificates import Authority, Pair, pem_key

from orrery.adapters.nomad import NomadClientFactory
from orrery.adapters.nomad.credentials import parse_endpoint, parse_token
from orrery.errors import InvalidSpec
from orrery.ports import Credentials

SECURE = "https://nomad.fra.example:4646"
AUTHORITY = Authority()
PAIR = AUTHORITY.sign("client")


def refusal(credentials: Credentials) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        NomadClientFactory().connect(credentials)
    assert caught.value.reason == "CredentialsInvalid"
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://nomad.fra.example:4646", "https://nomad.fra.example:4646"),
        ("https://nomad.fra.example/", "https://nomad.fra.example:443"),
        ("https://[2001:db8::1]:4646", "https://[2001:db8::1]:4646"),
        ("http://127.0.0.1:4646", "http://127.0.0.1:4646"),
        ("http://[::1]:4646", "http://[::1]:4646"),
        ("http://localhost:4646", "http://localhost:4646"),
    ],
)
def test_endpoint(text: str, expected: str) -> None:
    assert str(parse_endpoint(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nomad.fra.example:4646",
        "ftp://nomad.fra.example",
        "https://",
        "https://user:hunter2@nomad.fra.example",
        "https://nomad.fra.example:99999",
        "https://nomad.fra.example:0",
        "https://nomad.fra.example/v1",
        "https://nomad.fra.example?x=1",
        "https://nomad.fra.example#x",
        "https://no mad.example",
        "https://nomad.fra.example\r\nX: y:1",
        "https://nömad.example",
        "http://nomad.fra.example:4646",
        "http://10.0.0.1:4646",
        "http://127.0.0.1.example:4646",
        "http://localhost.example:4646",
    ],
)
def test_endpoints_that_are_no_place_for_a_token_are_refused(text: str) -> None:
    error = refusal(Credentials(endpoint=text, token="t", ca=AUTHORITY.pem))

    assert "endpoint" in error.message
    assert "hunter2" not in error.message
    assert error.message.isprintable()


def test_plain_http_is_refused_with_the_reason() -> None:
    error = refusal(Credentials(endpoint="http://nomad.fra.example:4646", token="t"))

    assert error.message == (
        "endpoint http://nomad.fra.example:4646 is not encrypted: "
        "http is for loopback addresses only"
    )


def test_token_loses_the_line_end_of_its_file() -> None:
    assert parse_token("abc\n") == "abc"


@pytest.mark.parametrize("token", ["a\r\nX: y", "a b", "tökén", "a\x00", "a" * 513])
def test_tokens_that_cannot_stand_in_a_header_are_refused(token: str) -> None:
    error = refusal(Credentials(endpoint="http://127.0.0.1:1", token=token))

    assert error.message.startswith("token has characters that cannot be sent")


ENCRYPTED = pem_key(ec.generate_private_key(ec.SECP256R1()), b"password")
BROKEN = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("ca", "pair", "field"),
    [
        pytest.param("", PAIR, "ca.crt is missing", id="no-ca"),
        pytest.param("hunter2", PAIR, "ca.crt holds no certificate", id="ca-no-pem"),
        pytest.param(BROKEN, PAIR, "ca.crt holds no certificate", id="ca-broken"),
        pytest.param(PAIR.key, PAIR, "ca.crt holds no certificate", id="ca-is-a-key"),
        pytest.param(AUTHORITY.pem, Pair("", PAIR.key), "tls.crt is missing", id="no-crt"),
        pytest.param(AUTHORITY.pem, Pair("hunter2", PAIR.key), "tls.crt holds no", id="crt-no-pem"),
        pytest.param(AUTHORITY.pem, Pair(BROKEN, PAIR.key), "tls.crt holds no", id="crt-broken"),
        pytest.param(AUTHORITY.pem, Pair(PAIR.certificate, ""), "tls.key holds no", id="no-key"),
        pytest.param(
            AUTHORITY.pem, Pair(PAIR.certificate, "hunter2"), "tls.key holds no", id="key-no-pem"
        ),
        pytest.param(
            AUTHORITY.pem, Pair(PAIR.certificate, ENCRYPTED), "tls.key is encrypted", id="password"
        ),
        pytest.param(
            AUTHORITY.pem,
            Pair(PAIR.certificate, AUTHORITY.sign("other").key),
            "tls.key does not belong",
            id="another-key",
        ),
    ],
)
def test_unusable_pem_is_refused_by_field(ca: str, pair: Pair, field: str) -> None:
    credentials = Credentials(
        endpoint=SECURE, token="t", ca=ca, certificate=pair.certificate, key=pair.key
    )

    error = refusal(credentials)

    assert error.message.startswith(field)
    shown = "".join(traceback.format_exception(error))
    assert "hunter2" not in shown
    assert "aHVudGVyMg" not in shown
    assert error.__cause__ is None


@pytest.mark.parametrize("pair", [PAIR, Pair("", "")], ids=["mutual", "server-only"])
async def test_good_credentials_make_a_client_that_shows_none_of_them(pair: Pair) -> None:
    credentials = Credentials(
        endpoint=SECURE,
        token="s3cr3t",
        ca=AUTHORITY.pem,
        certificate=pair.certificate,
        key=pair.key,
    )

    client = NomadClientFactory().connect(credentials)

    assert repr(client) == f"NomadClient('{SECURE}')"
    assert "s3cr3t" not in repr(credentials) + repr(client)
    await client.close()
