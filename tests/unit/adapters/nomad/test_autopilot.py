"""The health of the servers: Nomad tells of an unwell one with a status of its own."""

import json

import pytest
from tests.unit.adapters.nomad.servers import always, connected, reply, serve

from orrery.errors import Unreachable


def a_server(name: str, **fields: object) -> dict[str, object]:
    since = "2026-01-01T00:00:00Z"
    return {
        "Name": name,
        "Leader": False,
        "Voter": True,
        "Healthy": True,
        "StableSince": since,
        **fields,
    }


async def test_servers_of_which_one_is_not_well_are_told_all_the_same() -> None:
    servers = [a_server("fra-1.fra", Healthy=False, Voter=False), a_server("fra-0.fra")]
    body = json.dumps({"Healthy": False, "FailureTolerance": 0, "Servers": servers}).encode()
    answer = always(reply(429, body=body))

    async with serve(answer) as server, connected(server.endpoint) as client:
        health = await client.autopilot()

    assert (health.healthy, [one.name for one in health.servers]) == (
        False,
        ["fra-0.fra", "fra-1.fra"],
    )
    assert (health.servers[1].voter, health.servers[1].healthy) == (False, False)


async def test_a_server_that_turns_callers_away_says_nothing_of_health() -> None:
    answer = always(reply(429, body=b"Your IP is issuing too many connections"))

    async with serve(answer) as server, connected(server.endpoint) as client:
        with pytest.raises(Unreachable):
            await client.autopilot()


async def test_the_clock_of_the_server_is_told_with_it() -> None:
    body = json.dumps({"Healthy": True, "FailureTolerance": 0, "Servers": []}).encode()
    dated = always(reply(body=body, Date="Thu, 01 Jan 2026 00:00:07 GMT"))
    undated = always(reply(body=body))
    nonsense = always(reply(body=body, Date="soon"))

    times = []
    for answer in (dated, undated, nonsense):
        async with serve(answer) as server, connected(server.endpoint) as client:
            times.append((await client.autopilot()).time)

    assert times == [1_767_225_607.0, None, None]
