"""The token that introduces a machine: what is asked for, and what comes of odd answers."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from tests.unit.adapters.nomad.servers import TOKEN, always, reply, serve

from orrery.adapters.nomad.introduction import introduce
from orrery.errors import Refused, Unreachable
from orrery.ports import Credentials

EXPIRES = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def a_token(**claims: object) -> str:
    payload = urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"header.{payload}.signature"


def said(**answer: object) -> bytes:
    return reply(body=orjson.dumps(answer))


async def test_a_token_says_itself_until_when_it_counts() -> None:
    token = a_token(exp=int(EXPIRES.timestamp()))
    async with serve(always(said(JWT=token))) as server:
        given = Credentials(server.endpoint, TOKEN)

        found = await introduce(given, machine="node1", lifetime=timedelta(minutes=30))

    assert (found.token, found.expires) == (token, EXPIRES)
    assert token not in repr(found)
    (request,) = server.requests
    assert (request.method, request.headers["x-nomad-token"]) == ("POST", TOKEN)
    assert request.target == "/v1/acl/identity/client-introduction-token"
    assert orjson.loads(request.body) == {"TTL": "1800s", "NodeName": "node1"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(body=b"<html>"), id="markup"),
        pytest.param(said(), id="without-token"),
        pytest.param(said(JWT="s3cret"), id="no-token"),
        pytest.param(said(JWT="a.!!!.c"), id="damaged"),
        pytest.param(said(JWT=a_token()), id="endless"),
        pytest.param(said(JWT=a_token(exp=2**62)), id="beyond-time"),
        pytest.param(said(JWT=7), id="a-number"),
    ],
)
async def test_what_is_no_token_is_a_region_that_does_not_answer(answer: bytes) -> None:
    async with serve(always(answer)) as server:
        given = Credentials(server.endpoint, TOKEN)

        with pytest.raises(Unreachable, match="something else than Nomad's JSON") as caught:
            await introduce(given, machine="", lifetime=timedelta(minutes=30))

    assert "s3cret" not in str(caught.value)


async def test_a_token_without_the_right_is_told_in_nomads_words() -> None:
    async with serve(always(reply(403, b"Permission denied"))) as server:
        given = Credentials(server.endpoint, TOKEN)

        with pytest.raises(Refused, match="does not let this token introduce a machine"):
            await introduce(given, machine="", lifetime=timedelta(minutes=30))


async def test_a_region_that_is_away_is_told() -> None:
    async with serve(always(b"")) as server:
        endpoint = server.endpoint

    with pytest.raises(Unreachable, match=endpoint):
        await introduce(Credentials(endpoint, TOKEN), machine="", lifetime=timedelta(minutes=30))
