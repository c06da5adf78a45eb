"""An API server that cannot be talked to is told in a few words, the same as for a Nomad."""

import asyncio
import errno
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from aiohttp import web
from tests.unit.adapters.kube.servers import LOOPBACK, kubeconfig_of, serving

from orrery.adapters.kube.access import Access, TextSource
from orrery.adapters.kube.connection import HubConnection
from orrery.errors import Unreachable


@asynccontextmanager
async def a_server_that_says(text: bytes) -> AsyncIterator[str]:
    """Answer each connection with *text*, and cut it; yields the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.readline()
            writer.write(text)
            await writer.drain()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def unreachable(server: str) -> Unreachable:
    async with HubConnection(TextSource(kubeconfig_of(server))) as connection:
        with pytest.raises(Unreachable) as caught:
            await connection.call("GET", "/version")
    return caught.value


async def test_a_server_that_is_down_is_named_with_what_happened() -> None:
    async with a_server_that_says(b"") as server:
        pass

    error = await unreachable(server)

    assert error.message == f"{server}: no connection: connection refused"


async def test_an_address_where_no_tls_is_spoken_is_told() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    async with serving(answer) as server:
        secured = server.replace("http:", "https:")
        error = await unreachable(secured)

    assert error.message.startswith(f"{secured}: no connection: TLS: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(b"", "the connection was cut before the reply was complete", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "the connection was cut before the reply was complete",
            id="half-a-reply",
        ),
        pytest.param(b"SSH-2.0\r\n\r\n", "answers with something else than HTTP", id="not-http"),
    ],
)
async def test_an_answer_that_is_none_is_told_with_the_request(text: bytes, words: str) -> None:
    async with a_server_that_says(text) as server:
        error = await unreachable(server)

    assert error.message == f"{server}: GET /version: {words}"


async def test_a_document_that_is_no_json_is_told() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="{", content_type="application/json")

    async with serving(answer) as server:
        error = await unreachable(server)

    assert error.message == f"{server}: GET /version: answers with something else than JSON"


async def test_a_file_of_ours_that_cannot_be_read_is_named() -> None:
    class Unreadable(TextSource):
        async def load(self) -> Access:
            raise PermissionError(errno.EACCES, "Permission denied", "client.key")

    async with HubConnection(Unreadable("")) as connection:
        with pytest.raises(Unreachable) as caught:
            await connection.call("GET", "/version")

    assert caught.value.message == "the hub: [Errno 13] Permission denied: 'client.key'"


async def test_an_address_that_is_none_is_told() -> None:
    class Nowhere(TextSource):
        async def load(self) -> Access:
            access = await super().load()
            access.server = "http://"
            return access

    async with HubConnection(Nowhere(kubeconfig_of("http://127.0.0.1:1"))) as connection:
        with pytest.raises(Unreachable) as caught:
            await connection.call("GET", "/version")

    assert caught.value.message == "http://: this is no address"


async def test_no_traceback_holds_the_token() -> None:
    async with a_server_that_says(b"SSH-2.0\r\n\r\n") as server:
        error = await unreachable(server)

    held = [error, *filter(None, (error.__cause__, error.__context__))]
    assert "s3cret" not in "".join(map(repr, held)) + "".join(traceback.format_exception(error))
