"""What only the simulator can: faults on demand, counters, snapshots, TLS, many at once."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import a_job
from tests.lab.certificates import make_certificates
from tests.lab.polling import until

from orrery.sim import Served, SimulatedRegion, Timing, serve

FUTURE = "/v1/event/stream?index=1000000"


class Sky:
    """Two served regions and a session."""

    def __init__(self, served: Served, session: aiohttp.ClientSession) -> None:
        self.served = served
        self.session = session

    def nomad(self, name: str) -> Nomad:
        address = self.served.address(name)
        return Nomad(self.session, address, "", kind="simulated", unique="x")

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.served.admin_address}/sim/v1/regions{path}"
        async with self.session.request(method, url, json=body) as reply:
            assert reply.status < 300, await reply.text()
            return await reply.json() if reply.status == 200 else None


@pytest.fixture
async def sky() -> AsyncIterator[Sky]:
    regions = [SimulatedRegion("fra"), SimulatedRegion("was")]
    async with serve(regions) as served, aiohttp.ClientSession() as session:
        yield Sky(served, session)


async def test_regions_know_nothing_of_each_other(sky: Sky) -> None:
    await sky.nomad("fra").register(a_job("shop"))

    assert (await sky.nomad("was").get("/v1/job/shop")).status == 404


async def test_latency_is_added_to_every_request(sky: Sky) -> None:
    loop = asyncio.get_running_loop()
    await sky.admin("PUT", "/fra/faults", {"latency": 0.3})

    async def seconds(region: str) -> float:
        begin = loop.time()
        await sky.nomad(region).get("/v1/jobs")
        return loop.time() - begin

    slow, other = await asyncio.gather(seconds("fra"), seconds("was"))

    assert slow >= 0.3
    assert other < slow


async def test_latency_delays_the_lines_of_an_open_stream(sky: Sky) -> None:
    loop = asyncio.get_running_loop()
    region, url = sky.served.region("fra"), sky.served.address("fra") + FUTURE
    async with sky.session.get(url) as stream:
        await stream.content.readline()
        region.set_faults(latency=0.6)

        begin = loop.time()
        region.register(a_job("shop"))
        line = await stream.content.readline()
        took = loop.time() - begin

    assert b"JobRegistered" in line
    assert took >= 0.3


async def test_region_without_a_leader_fails_in_nomads_words(sky: Sky) -> None:
    sky.served.region("fra").set_faults(no_leader=True)

    replies = [
        await sky.nomad("fra").get("/v1/status/leader"),
        await sky.nomad("fra").put("/v1/jobs", {"Job": a_job("shop")}),
    ]

    assert [reply.said for reply in replies] == [(500, "No cluster leader")] * 2
    assert sky.served.region("fra").list_jobs() == []


async def test_too_many_connections_are_a_429(sky: Sky) -> None:
    sky.served.region("fra").set_faults(too_many_connections=True)

    reply = await sky.nomad("fra").get("/v1/jobs")

    assert reply.status == 429
    assert "too many concurrent connections" in reply.text


async def test_connection_limit_turns_the_next_one_away() -> None:
    region = SimulatedRegion(max_connections=2)
    async with serve([region]) as served:
        port = served.port(region.name)
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        try:
            answer = await streams[2][0].read()
        finally:
            for _, writer in streams:
                writer.close()

    assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")


async def test_dark_region_refuses_and_comes_back_on_its_port(sky: Sky) -> None:
    fra, port = sky.nomad("fra"), sky.served.port("fra")
    await fra.register(a_job("shop"))
    await sky.admin("PUT", "/fra/faults", {"dark": True})

    with pytest.raises(aiohttp.ClientError):
        await fra.get("/v1/jobs")
    await sky.admin("PUT", "/fra/faults", {"dark": False})

    async def back() -> bool:
        try:
            return (await fra.get("/v1/jobs")).status == 200
        except aiohttp.ClientError:
            return False

    assert await until(back)
    assert sky.served.port("fra") == port
    assert [job.id for job in sky.served.region("fra").list_jobs()] == ["shop"]


async def test_dark_region_cuts_what_is_connected(sky: Sky) -> None:
    url = f"{sky.served.address('fra')}/v1/event/stream"
    async with sky.session.get(url) as stream:
        await stream.content.readline()

        sky.served.region("fra").set_faults(dark=True)

        with pytest.raises(aiohttp.ClientError):
            await stream.content.read()


async def test_life_goes_on_in_the_dark(sky: Sky) -> None:
    region = sky.served.region("fra")
    await sky.nomad("fra").register(a_job("shop"))
    region.set_faults(dark=True)

    async def healthy() -> bool:
        rows = region.core.tables.allocations.values()
        return any(row.healthy for row in rows)

    assert await until(healthy)


async def test_hanging_region_takes_requests_and_never_answers(sky: Sky) -> None:
    sky.served.region("fra").set_faults(hang=True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await sky.nomad("fra").put("/v1/jobs", {"Job": a_job("shop")})

    assert sky.served.region("fra").list_jobs() == []


async def test_hanging_region_holds_blocking_queries_that_are_under_way(sky: Sky) -> None:
    region, fra = sky.served.region("fra"), sky.nomad("fra")
    await fra.register(a_job("shop", count=0))
    await until(lambda: region.core.tables.jobs["default", "shop"].status == "dead")
    index = (await fra.get("/v1/jobs")).index
    waiting = asyncio.create_task(fra.get(f"/v1/jobs?index={index}&wait=60s"))
    await until(lambda: region.counters.requests["GET", "/v1/jobs"] == 2)

    region.set_faults(hang=True)
    region.register(a_job("other"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await waiting


async def test_hanging_region_holds_open_streams_until_it_no_longer_does(sky: Sky) -> None:
    region, url = sky.served.region("fra"), sky.served.address("fra") + FUTURE
    async with sky.session.get(url) as stream:
        await stream.content.readline()
        region.set_faults(hang=True)
        region.register(a_job("shop"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await stream.content.readline()

        region.set_faults(hang=False)
        line = await stream.content.readline()

    assert b"JobRegistered" in line


async def test_lost_reply_has_done_its_work(sky: Sky) -> None:
    sky.served.region("fra").set_faults(lose_replies=1)

    with pytest.raises(aiohttp.ClientError):
        # The HTTP library sends a PUT once more by itself.
        await sky.nomad("fra").call("POST", "/v1/jobs", {"Job": a_job("shop")})

    assert [job.id for job in sky.served.region("fra").list_jobs()] == ["shop"]
    assert (await sky.nomad("fra").get("/v1/job/shop")).status == 200


async def test_dropped_stream_ends(sky: Sky) -> None:
    url = f"{sky.served.address('fra')}/v1/event/stream"
    async with sky.session.get(url) as stream:
        await stream.content.readline()

        await sky.admin("PUT", "/fra/streams/drop", {"evict": True})

        with pytest.raises(aiohttp.ClientError):
            await stream.content.read()
    assert sky.served.region("fra").broker.after(0) == []


async def test_silent_stream_shows_nothing_until_it_may() -> None:
    region = SimulatedRegion(timing=Timing(heartbeat=0.05))
    async with serve([region]) as served, aiohttp.ClientSession() as session:
        url = f"{served.address(region.name)}/v1/event/stream?index=1000000"
        async with session.get(url) as stream:
            await stream.content.readline()
            region.set_faults(silent_streams=True)
            region.register(a_job("shop"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await stream.content.readline()

            region.set_faults(silent_streams=False)
            line = await stream.content.readline()

    assert line


async def test_writes_are_counted_and_plans_are_none(sky: Sky) -> None:
    fra, region = sky.nomad("fra"), sky.served.region("fra")

    await fra.register(a_job("shop"))
    await fra.call("POST", "/v1/job/shop", {"Job": a_job("shop")})
    await fra.plan(a_job("shop"))
    await fra.job("shop")

    assert region.counters.registers == 2
    assert dict(region.counters.writes) == {("PUT", "/v1/jobs"): 1, ("PUT", "/v1/job/:id"): 1}
    assert region.counters.requests["GET", "/v1/job/:id"] == 1
    assert sky.served.region("was").counters.registers == 0


async def test_admin_shows_and_resets(sky: Sky) -> None:
    await sky.nomad("fra").register(a_job("shop"))

    before = await sky.admin("GET", "/fra")
    await sky.admin("DELETE", "/fra/counters")
    after = await sky.admin("GET", "/fra")

    assert await sky.admin("GET", "") == ["fra", "was"]
    assert before["counters"]["writes"] == {"PUT /v1/jobs": 1}
    assert before["index"] > 1
    assert after["counters"] == {"requests": {}, "writes": {}}


async def test_admin_refuses_unknown_faults(sky: Sky) -> None:
    url = f"{sky.served.admin_address}/sim/v1/regions/fra/faults"
    async with sky.session.put(url, json={"nap": True}) as reply:
        text = await reply.text()

    assert (reply.status, text.split(";")[0]) == (400, "there is no fault 'nap'")


async def test_region_returns_with_old_state(sky: Sky) -> None:
    fra = sky.nomad("fra")
    first = await fra.register(a_job("shop"))
    await sky.admin("PUT", "/fra/snapshot", {"name": "monday"})
    await fra.register(a_job("shop", count=5))

    await sky.admin("PUT", "/fra/restore", {"name": "monday"})

    job = await fra.job("shop")
    assert (job["Version"], job["JobModifyIndex"]) == (0, first["JobModifyIndex"])


async def test_machine_goes_down_with_what_it_runs_and_comes_back(sky: Sky) -> None:
    fra = sky.nomad("fra")
    await fra.register(a_job("shop"))
    (row,) = await fra.running("shop", 0, 1)
    path = f"/fra/nodes/{row['NodeName']}"

    async def machine() -> tuple[str, str]:
        rows = (await fra.get("/v1/nodes")).json
        node = next(one for one in rows if one["Name"] == row["NodeName"])
        return node["Status"], node["SchedulingEligibility"]

    await sky.admin("PUT", path, {"status": "down", "eligible": False})
    down = await machine()

    async def replaced() -> bool:
        rows = await fra.rows("shop", "allocations")
        return [one["ClientStatus"] for one in rows] == ["lost", "running"]

    await until(replaced)
    await sky.admin("PUT", path)
    assert down == ("down", "ineligible")
    assert await machine() == ("ready", "eligible")


@pytest.mark.parametrize(
    ("node", "body", "status", "words"),
    [
        ("node-9", {"status": "down"}, 404, "there is no machine 'node-9'"),
        ("node-1", {"status": "asleep"}, 400, "a machine is ready or down, not 'asleep'"),
        ("node-1", {"eligible": "no"}, 400, "eligible is true or false, not 'no'"),
        ("node-1", {"state": "down"}, 400, "a machine has status and eligible, not 'state'"),
        ("node-1", {"status": ["down"]}, 400, "a machine is ready or down, not ['down']"),
    ],
)
async def test_admin_refuses_what_a_machine_cannot_be(
    sky: Sky, node: str, body: dict[str, Any], status: int, words: str
) -> None:
    url = f"{sky.served.admin_address}/sim/v1/regions/fra/nodes/{node}"
    async with sky.session.put(url, json=body) as reply:
        text = await reply.text()

    assert (reply.status, text) == (status, words)
    nodes = sky.served.region("fra").core.tables.nodes.values()
    assert {node.status for node in nodes} == {"ready"}


async def test_nomads_paths_do_not_lead_behind_the_scenes(sky: Sky) -> None:
    assert (await sky.nomad("fra").get("/sim/v1/regions")).said == (404, "")


async def test_tls_asks_for_a_client_certificate(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca_file)
    server.load_cert_chain(*certificates.server())
    server.verify_mode = ssl.CERT_REQUIRED
    anonymous = ssl.create_default_context(cafile=certificates.ca_file)
    known = ssl.create_default_context(cafile=certificates.ca_file)
    known.load_cert_chain(*certificates.client())

    async with serve([SimulatedRegion("fra")], ssl=server) as served:
        url = f"{served.address('fra')}/v1/status/leader"
        async with aiohttp.ClientSession() as session:
            async with session.get(url, ssl=known) as reply:
                status = reply.status
            with pytest.raises(aiohttp.ClientError):
                await session.get(url, ssl=anonymous)

    assert url.startswith("https://")
    assert status == 200


async def test_hundred_regions_live_in_one_process() -> None:
    regions = [SimulatedRegion(f"r{i}") for i in range(100)]
    async with serve(regions) as served, aiohttp.ClientSession() as session:
        nomads = [
            Nomad(session, served.address(region.name), "", kind="simulated", unique="x")
            for region in regions
        ]
        await asyncio.gather(*(nomad.register(a_job("shop")) for nomad in nomads))

        async def healthy() -> bool:
            return all(
                any(row.healthy for row in region.core.tables.allocations.values())
                for region in regions
            )

        assert await until(healthy)
    assert len({id(region.core.tables.jobs["default", "shop"].spec) for region in regions}) == 1
