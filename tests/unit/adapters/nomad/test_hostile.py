"""Hostile regions: whatever answers, the client keeps its time, its memory and its token."""

import asyncio
import logging
import socket
import time
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.adapters.nomad.servers import (
    TOKEN,
    Answer,
    Request,
    always,
    connected,
    reply,
    serve,
)

from orrery.adapters.nomad import NomadClient
from orrery.errors import InvalidSpec, OrreryError, OutcomeUnknown, Unreachable
from orrery.ports import Submission

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
JOB = {"ID": "shop", "Namespace": "t"}

Act = Callable[[NomadClient], Awaitable[object]]


async def read(client: NomadClient) -> object:
    return await client.list_jobs()


async def probe(client: NomadClient) -> None:
    await client.leader()


async def register(client: NomadClient) -> None:
    await client.register_job(JOB, expected_index=0, submission=Submission("{}"))


async def purge(client: NomadClient) -> None:
    await client.purge_job("t", "shop")


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then: each read succeeds, the whole never does."""
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def reset_early(request: Request, writer: asyncio.StreamWriter) -> None:
    raise ConnectionAbortedError


BROKEN: dict[str, Answer] = {
    "hang": hang,
    "drip": drip,
    "reset-before-the-reply": reset_early,
    "reset-in-the-middle": always(HEAD + b"Content-Length: 100\r\n\r\n[{", cut=True),
    "reset-in-a-chunk": always(HEAD + b"Transfer-Encoding: chunked\r\n\r\n50\r\n[{", cut=True),
    "truncated-json": always(reply(body=b'[{"ID": "sho')),
    "deep-json": always(reply(body=b"[" * 200_000)),
    "html": always(reply(body=b"<html>Welcome</html>", Content_Type="text/html")),
    "html-502": always(reply(502, b"<html>Bad gateway</html>")),
    "no-http": always(b"SSH-2.0-OpenSSH_9.9\r\n", cut=True),
    "bad-chunk": always(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", cut=True),
    "endless-header": always(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", cut=True),
    "compressed-unasked": always(reply(body=b"\x1f\x8b", Content_Encoding="gzip")),
    "partial": always(reply(206, b"[]")),
    "empty": always(reply(body=b"")),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_broken_read_is_unreachable(answer: Answer) -> None:
    start = time.monotonic()

    async with serve(answer) as server, connected(server.endpoint, list_deadline=0.25) as client:
        with pytest.raises(Unreachable) as caught:
            await read(client)

    assert caught.value.reason == "RegionUnreachable"
    assert caught.value.message.startswith(f"{server.endpoint}: ")
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "answer",
    [answer for name, answer in BROKEN.items() if name != "empty"],
    ids=[name for name in BROKEN if name != "empty"],
)
@pytest.mark.parametrize("act", [register, purge])
async def test_a_broken_write_has_an_unknown_outcome_and_is_sent_once(
    act: Act, answer: Answer
) -> None:
    async with serve(answer) as server, connected(server.endpoint, deadline=0.25) as client:
        with pytest.raises(OutcomeUnknown):
            await act(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize("act", [register, purge])
async def test_a_write_on_a_connection_that_the_server_left_is_not_repeated(act: Act) -> None:
    async def answer_once(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) > 1:
            raise ConnectionAbortedError
        writer.write(reply(body=b"[]"))
        await writer.drain()

    async with serve(answer_once) as server, connected(server.endpoint) as client:
        await read(client)
        with pytest.raises(OutcomeUnknown):
            await act(client)

    assert [request.method for request in server.requests].count("GET") == 1
    assert len(server.requests) == 2


async def test_a_write_that_finds_nobody_was_never_sent() -> None:
    async with serve(hang) as server:
        pass

    async with connected(server.endpoint) as client:
        with pytest.raises(Unreachable) as caught:
            await register(client)

    assert caught.value.message == f"{server.endpoint}: no connection: connection refused"


async def test_a_write_that_waits_for_a_free_connection_was_never_sent() -> None:
    async with (
        serve(hang) as server,
        connected(server.endpoint, deadline=0.2, list_deadline=60, connections=1) as client,
    ):
        holder = asyncio.ensure_future(read(client))
        await asyncio.sleep(0)

        with pytest.raises(Unreachable, match="no free connection in time"):
            await register(client)

        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)

    assert [request.method for request in server.requests] == ["GET"]


async def test_a_host_that_never_accepts_was_never_sent_anything() -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (first, second):  # the kernel holds back whoever comes after these
            filler.settimeout(0)
            filler.connect_ex(deaf.getsockname())
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"

        async with connected(endpoint, connect_timeout=0.2) as client:
            with pytest.raises(Unreachable, match="no connection in time"):
                await register(client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("act", [read, register, purge])
async def test_a_redirect_is_not_followed(act: Act, status: int) -> None:
    async with serve(always(reply())) as second:
        away = always(reply(status, Location=f"{second.endpoint}/v1/jobs"))
        async with serve(away) as first, connected(first.endpoint) as client:
            with pytest.raises(Unreachable, match=f"a redirect \\({status}\\)"):
                await act(client)

    assert len(first.requests) == 1
    assert second.connections == 0


async def test_a_redirected_event_stream_is_not_followed() -> None:
    async with serve(always(reply())) as second:
        away = always(reply(307, Location=f"{second.endpoint}/v1/event/stream"))
        async with serve(away) as first, connected(first.endpoint) as client:
            with pytest.raises(Unreachable):
                async with client.events(index=7):
                    pass

    assert second.connections == 0


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "endless"])
async def test_a_reply_of_a_gigabyte_is_left_at_the_cap(announced: bool) -> None:  # noqa: FBT001 - a parameter
    sent = 0

    async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Content-Length: 1073741824" if announced else b"Transfer-Encoding: chunked"
        writer.write(HEAD + length + b"\r\n\r\n")
        piece = b" " * MIB if announced else b"100000\r\n" + b" " * MIB + b"\r\n"
        for _ in range(1024):
            writer.write(piece)
            await writer.drain()
            sent += MIB

    tracemalloc.start()
    try:
        async with serve(flood) as server, connected(server.endpoint, list_bytes=8 * MIB) as client:
            with pytest.raises(Unreachable, match="the reply is too large"):
                await read(client)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sent < 32 * MIB
    assert peak < 48 * MIB


async def test_pages_without_end_are_left_at_the_deadline() -> None:
    async with (
        serve(always(reply(body=b"[]", X_Nomad_NextToken="again"))) as server,
        connected(server.endpoint, list_deadline=0.3) as client,
    ):
        with pytest.raises(Unreachable):
            await read(client)


async def test_all_pages_share_one_cap() -> None:
    page = reply(body=b"[" + b" " * 1000 + b"]", X_Nomad_NextToken="again")
    async with serve(always(page)) as server, connected(server.endpoint, list_bytes=4500) as client:
        with pytest.raises(Unreachable, match="too large"):
            await read(client)

    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "job_id",
    ["a/../../acl/tokens", "a?namespace=other", "a#b", "шоп", "a\x00b", "..", "a\r\nHost: x", ""],
)
async def test_ids_that_are_no_ids_are_refused_before_anything_is_sent(job_id: str) -> None:
    document = {"ID": job_id, "Namespace": "t"}
    async with serve(always(reply())) as server, connected(server.endpoint) as client:
        for act in (
            client.read_job("t", job_id),
            client.read_job(job_id, "shop"),
            client.read_submission("t", job_id, 0),
            client.plan_job(document),
            client.register_job(document, expected_index=0, submission=Submission("{}")),
            client.purge_job("t", job_id),
            client.list_allocations("t", job_id),
            client.list_deployments("t", job_id),
            client.create_namespace(job_id, ""),
            client.read_variable("t", job_id),
            client.write_variable("t", f"nomad/jobs/{job_id}", {"k": "v"}, expected_index=0),
            client.delete_variable("t", f"nomad/jobs/{job_id}", expected_index=1),
        ):
            with pytest.raises(InvalidSpec):
                await act

    assert server.connections == 0


async def test_the_environment_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve(always(reply(body=b'"elsewhere"'))) as elsewhere:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login nobody password hunter2\n")
        for name in ("NOMAD_ADDR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, elsewhere.endpoint)
        monkeypatch.setenv("NOMAD_TOKEN", "another-token")
        monkeypatch.setenv("NOMAD_NAMESPACE", "another-namespace")
        monkeypatch.setenv("NETRC", str(netrc))

        async with (
            serve(always(reply(body=b'"here"'))) as server,
            connected(server.endpoint) as client,
        ):
            assert await client.leader() == "here"

    assert elsewhere.connections == 0
    assert server.requests[0].target == "/v1/status/leader"
    assert server.requests[0].headers["x-nomad-token"] == TOKEN
    assert "authorization" not in server.requests[0].headers


async def test_cookies_are_not_kept() -> None:
    async with (
        serve(always(reply(body=b'"x"', Set_Cookie="session=1"))) as server,
        connected(server.endpoint) as client,
    ):
        await client.leader()
        await client.leader()

    assert "cookie" not in server.requests[1].headers


async def echo(request: Request, writer: asyncio.StreamWriter) -> None:
    """Say the token back, as a proxy's error page might."""
    status = {"GET": 500, "POST": 400, "PUT": 400, "DELETE": 500}[request.method]
    writer.write(reply(status, f"bad token {request.headers['x-nomad-token']}".encode()))
    await writer.drain()


LEAKS: dict[str, Answer] = {"echo": echo, **BROKEN}


@pytest.mark.parametrize("answer", LEAKS.values(), ids=LEAKS)
async def test_the_token_shows_nowhere(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []

    async with serve(answer) as server, connected(server.endpoint, deadline=0.15) as client:
        for act in (probe, register, purge):
            try:
                await act(client)
            except OrreryError as error:
                chain: BaseException | None = error
                while chain:
                    shown.append(f"{chain!r} {chain} {vars(chain)}")
                    chain = chain.__cause__ or chain.__context__
                shown += traceback.format_exception(error)
        shown.append(repr(client))

    assert len(shown) > 4
    assert TOKEN not in "\n".join(shown)
    assert TOKEN not in caplog.text


async def test_messages_stay_the_same_between_attempts() -> None:
    for answer in (hang, drip, reset_early, echo, BROKEN["html-502"], BROKEN["no-http"]):
        async with serve(answer) as server, connected(server.endpoint, deadline=0.1) as client:
            messages = set()
            for _ in range(3):
                with pytest.raises(Unreachable) as caught:
                    await client.leader()
                messages.add(caught.value.message)

        assert len(messages) == 1


async def test_connections_are_few_and_kept() -> None:
    running, most = 0, 0

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        writer.write(reply(body=b'"x"'))
        await writer.drain()

    async with serve(slowly) as server, connected(server.endpoint) as client:
        for _ in range(3):
            await asyncio.gather(*(client.leader() for _ in range(30)))

    assert most == 8
    assert server.connections == 8


async def test_a_closed_client_says_so() -> None:
    async with serve(always(reply(body=b'"x"'))) as server, connected(server.endpoint) as client:
        await client.leader()
        await client.close()

        with pytest.raises(Unreachable, match="the client is closed"):
            await register(client)


async def test_a_namespace_that_exists_is_left_as_people_set_it() -> None:
    async with (
        serve(always(reply(body=b'{"Name": "t", "Quota": "gold"}'))) as server,
        connected(server.endpoint) as client,
    ):
        await client.create_namespace("t", "tenant t")

    assert [request.method for request in server.requests] == ["GET"]
