"""Who answers is checked before anything is said, and it is never said in the clear."""

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.unit.adapters.nomad.certificates import Authority, Pair, server_context
from tests.unit.adapters.nomad.servers import (
    TOKEN,
    Request,
    Server,
    always,
    connected,
    reply,
    serve,
)

from orrery.errors import OutcomeUnknown, Unreachable
from orrery.ports import Credentials

AUTHORITY = Authority()
STRANGER = Authority("stranger")
CLIENT = AUTHORITY.sign("client")
NOBODY = Pair("", "")
LEADER = always(reply(body=b'"127.0.0.1:4647"'))


def credentials(server: Server, pair: Pair = CLIENT, host: str = "127.0.0.1") -> Credentials:
    return Credentials(
        endpoint=f"https://{host}:{server.port}",
        token=TOKEN,
        ca=AUTHORITY.pem,
        certificate=pair.certificate,
        key=pair.key,
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_mutual_connection_carries_the_token(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = server_context(tmp_path, AUTHORITY.sign("127.0.0.1"), clients=AUTHORITY.pem)
    context.maximum_version = version

    async with serve(LEADER, context) as server, connected(credentials(server)) as client:
        assert await client.leader() == "127.0.0.1:4647"

    assert server.requests[0].headers["x-nomad-token"] == TOKEN


@pytest.mark.parametrize(
    ("pair", "host", "words"),
    [
        pytest.param(
            STRANGER.sign("127.0.0.1"), "127.0.0.1", "unable to get local issuer", id="wrong-ca"
        ),
        pytest.param(
            AUTHORITY.sign("other.example"), "127.0.0.1", "IP address mismatch", id="wrong-address"
        ),
        pytest.param(
            AUTHORITY.sign("127.0.0.1"), "localhost", "Hostname mismatch", id="wrong-name"
        ),
        pytest.param(
            AUTHORITY.sign("127.0.0.1", days=(-3, -1)), "127.0.0.1", "has expired", id="expired"
        ),
        pytest.param(
            AUTHORITY.sign("127.0.0.1", days=(1, 3)), "127.0.0.1", "not yet valid", id="too-early"
        ),
    ],
)
async def test_a_server_that_is_not_the_right_one_gets_no_request(
    tmp_path: Path, pair: Pair, host: str, words: str
) -> None:
    context = server_context(tmp_path, pair)

    async with (
        serve(LEADER, context) as server,
        connected(credentials(server, host=host)) as client,
    ):
        with pytest.raises(Unreachable, match="its certificate is not accepted") as caught:
            await client.leader()
        with pytest.raises(Unreachable):
            await client.purge_job("t", "shop")

    assert words in caught.value.message
    assert server.requests == []


async def test_a_plain_server_gets_no_token() -> None:
    heard = b""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read(4096)
        writer.write(reply(400, b"Client sent an HTTP request to an HTTPS server."))
        await writer.drain()
        writer.transport.abort()

    plain = await asyncio.start_server(listen, "127.0.0.1", 0)
    server = Server(port=plain.sockets[0].getsockname()[1])
    async with plain, connected(credentials(server)) as client:
        with pytest.raises(Unreachable, match="no connection: TLS: "):
            await client.leader()

    assert heard
    assert TOKEN.encode() not in heard


@pytest.mark.parametrize("pair", [NOBODY, STRANGER.sign("client")], ids=["none", "stranger"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_turned_down_makes_the_region_unreachable(
    tmp_path: Path, version: ssl.TLSVersion, pair: Pair
) -> None:
    context = server_context(tmp_path, AUTHORITY.sign("127.0.0.1"), clients=AUTHORITY.pem)
    context.maximum_version = version

    async with serve(LEADER, context) as server, connected(credentials(server, pair)) as client:
        with pytest.raises(Unreachable):
            await client.leader()
        with pytest.raises((Unreachable, OutcomeUnknown)):
            await client.purge_job("t", "shop")

    assert server.requests == []


async def test_the_environment_adds_no_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_text(STRANGER.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("NOMAD_CACERT", str(trusted))
    monkeypatch.setenv("NOMAD_SKIP_VERIFY", "true")
    context = server_context(tmp_path, STRANGER.sign("127.0.0.1"))

    async def nothing(request: Request, writer: asyncio.StreamWriter) -> None:
        raise AssertionError

    async with serve(nothing, context) as server, connected(credentials(server)) as client:
        with pytest.raises(Unreachable, match="its certificate is not accepted"):
            await client.leader()
