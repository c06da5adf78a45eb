"""A caller without a certificate: turned away, answered, or no verdict at all."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.adapters.nomad.certificates import Authority, Pair, server_context
from tests.unit.adapters.nomad.servers import TOKEN, always, connected, reply, serve

from orrery.errors import Unreachable
from orrery.ports import Credentials

AUTHORITY = Authority()
CLIENT = AUTHORITY.sign("client")
LEADER = always(reply(body=b'"127.0.0.1:4647"'))


def credentials(port: int, pair: Pair = CLIENT) -> Credentials:
    return Credentials(
        endpoint=f"https://127.0.0.1:{port}",
        token=TOKEN,
        ca=AUTHORITY.pem,
        certificate=pair.certificate,
        key=pair.key,
    )


async def test_who_asks_for_certificates_turns_a_stranger_away(tmp_path: Path) -> None:
    context = server_context(tmp_path, AUTHORITY.sign("127.0.0.1"), clients=AUTHORITY.pem)

    async with (
        serve(LEADER, context) as server,
        connected(credentials(server.port)) as client,
    ):
        assert await client.admits_strangers() is False

    assert server.requests == []


async def test_who_asks_for_none_answers_and_never_sees_the_token(tmp_path: Path) -> None:
    context = server_context(tmp_path, AUTHORITY.sign("127.0.0.1"))

    async with (
        serve(LEADER, context) as server,
        connected(credentials(server.port)) as client,
    ):
        assert await client.admits_strangers() is True

    assert len(server.requests) == 1
    assert "x-nomad-token" not in server.requests[0].headers


async def test_another_server_is_no_verdict(tmp_path: Path) -> None:
    context = server_context(tmp_path, Authority("stranger").sign("127.0.0.1"))

    async with (
        serve(LEADER, context) as server,
        connected(credentials(server.port)) as client,
    ):
        with pytest.raises(Unreachable, match="its certificate cannot be verified"):
            await client.admits_strangers()


async def test_a_balancer_with_nobody_behind_it_is_no_verdict() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, connected(credentials(port)) as client:
        with pytest.raises(Unreachable, match=str(port)):
            await client.admits_strangers()


async def test_where_nobody_is_asked_for_a_certificate_there_is_no_stranger(
    tmp_path: Path,
) -> None:
    context = server_context(tmp_path, AUTHORITY.sign("127.0.0.1"))

    async with (
        serve(LEADER, context) as server,
        connected(credentials(server.port, Pair("", ""))) as client,
        connected("http://127.0.0.1:1") as plain,
    ):
        assert await client.admits_strangers() is None
        assert await plain.admits_strangers() is None

    assert server.requests == []
