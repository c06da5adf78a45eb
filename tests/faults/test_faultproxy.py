"""The fault proxy itself: a fault that does not happen would make every test green."""

import asyncio
import gc
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.fakes.mortal import Fate
from tests.faults.planet import front_context
from tests.lab import faultproxy_actions as do
from tests.lab.certificates import make_certificates
from tests.lab.faultproxy import Act, Door, FaultProxy
from tests.lab.faultproxy_journal import Match
from tests.lab.polling import until

ANY = Match()
BROKEN = (aiohttp.ClientError, ConnectionError, ssl.SSLError, TimeoutError)


@dataclass
class Lab:
    """A server that counts, the proxy before it, and a client."""

    proxy: FaultProxy
    session: aiohttp.ClientSession
    seen: list[str] = field(default_factory=list)
    lines: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """What the event stream says, and when a request to /late is answered."""

    async def ask(self, method: str = "POST", path: str = "/thing", **keywords: Any) -> str:
        url = self.proxy.targets["server"].address + path
        async with self.session.request(method, url, **keywords) as reply:
            return f"{reply.status} {await reply.text()}"

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        if request.path == "/late":
            await self.lines.get()
        if request.path != "/v1/event/stream":
            return web.json_response({"number": len(self.seen)})
        response = web.StreamResponse()
        await response.prepare(request)
        while line := await self.lines.get():
            await response.write(line.encode() + b"\n")
        return response


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    certificates = make_certificates(tmp_path)
    context = ssl.create_default_context(cafile=certificates.ca_file)
    context.load_cert_chain(*certificates.client())
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        proxy = FaultProxy(front_context(certificates))
        lab = Lab(proxy, session)
        runner = web.ServerRunner(web.Server(lab.answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await proxy.open("server", f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield lab
        await proxy.close()
        await runner.cleanup()


async def test_what_passes_is_noted_and_writes_are_counted(lab: Lab) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        await lab.ask(method)
    await lab.ask("POST", "/thing?dryRun=All")
    await lab.ask("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b")

    assert [entry.write for entry in lab.proxy.journal.entries] == [0, 1, 2, 3, 0, 0]
    assert str(lab.proxy.journal.entries[1]) == "write 1: server POST /thing -> 200"


@pytest.mark.parametrize(
    ("act", "arrives", "said"),
    [
        pytest.param(do.withhold(), False, "", id="withhold"),
        pytest.param(do.lose_reply(), True, "", id="lose-reply"),
        pytest.param(do.delay(0.1), True, '200 {"number": 1}', id="delay"),
        pytest.param(do.hang(), True, "", id="hang"),
        pytest.param(do.hang(carried_out=False), False, "", id="hang-before"),
        pytest.param(do.drip(1), True, "", id="drip"),
        pytest.param(do.reset_reply(), True, "", id="reset"),
        pytest.param(do.truncate(), True, '200 {"numb', id="truncate"),
        pytest.param(do.answer(502, "<html>", do.HTML), False, "502 <html>", id="answer"),
        pytest.param(do.redirect("http://127.0.0.1:9"), False, "307 ", id="redirect"),
        pytest.param(do.answer(200), False, "200 ", id="empty"),
    ],
)
async def test_a_fault_happens_once(act: Act, arrives: bool, said: str, lab: Lab) -> None:  # noqa: FBT001 - a parameter
    lab.proxy.add(ANY, act, nth=1)

    try:
        answer = await lab.ask(timeout=aiohttp.ClientTimeout(total=0.5), allow_redirects=False)
    except BROKEN:
        answer = ""
    after = await lab.ask()

    assert answer == said
    assert lab.seen == ["POST /thing"] * (1 + arrives)
    assert after.startswith("200 ")
    assert lab.proxy.journal.entries[0].applied is arrives


@pytest.mark.parametrize("door", [Door.REFUSED, Door.DEAF, Door.GARBAGE])
async def test_a_door_is_shut_and_opens_again(door: Door, lab: Lab) -> None:
    await lab.ask()
    await lab.proxy.turn("server", door)

    with pytest.raises(BROKEN):
        await lab.ask(timeout=aiohttp.ClientTimeout(total=0.5))
    await lab.proxy.turn("server", Door.OPEN)

    assert await lab.ask("GET") == '200 {"number": 2}'


async def test_what_hangs_is_let_go_when_the_fault_is_lifted(lab: Lab) -> None:
    rule = lab.proxy.add(ANY, do.hold())
    asked = asyncio.create_task(lab.ask())
    await until(lambda: rule.hits)

    lab.proxy.lift()

    assert await asked == '200 {"number": 1}'


async def test_an_old_answer_is_replayed(lab: Lab) -> None:
    recording = do.Recording()
    rule = lab.proxy.add(ANY, do.record(recording))
    await lab.ask("GET")
    lab.proxy.lift(rule)
    await lab.ask("GET")
    lab.proxy.add(ANY, do.replay(recording), nth=1)

    assert await lab.ask("GET") == '200 {"number": 1}'
    assert await lab.ask("GET") == '200 {"number": 3}'


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "endless"])
async def test_a_flood_goes_on_until_the_client_leaves(announced: bool, lab: Lab) -> None:  # noqa: FBT001 - a parameter
    lab.proxy.add(ANY, do.flood(announced=announced))
    url = lab.proxy.targets["server"].address

    async with lab.session.get(url) as reply:
        content = await reply.content.read(1000)
        reply.close()

    assert content.strip() == b""
    await until(lambda: lab.proxy.journal.entries[0].done)


@pytest.mark.parametrize(
    ("fate", "arrived", "said"),
    [
        (Fate.KILLED_BEFORE, 1, ""),
        (Fate.KILLED_UNTOLD, 2, ""),
        (Fate.KILLED_AFTER, 2, '200 {"number": 2}'),
    ],
)
async def test_a_process_dies_at_the_chosen_write(
    fate: Fate, arrived: int, said: str, lab: Lab
) -> None:
    deaths: list[int] = []
    lab.proxy.add(Match(write=2), do.kill(lambda: deaths.append(len(lab.seen)), fate))
    await lab.ask()

    try:
        answer = await lab.ask()
    except BROKEN:
        answer = ""

    assert answer == said
    await until(lambda: deaths)
    assert deaths == [arrived]


@asynccontextmanager
async def following(lab: Lab) -> AsyncIterator[aiohttp.StreamReader]:
    url = lab.proxy.targets["server"].address + "/v1/event/stream"
    async with lab.session.get(url) as reply:
        await until(lambda: lab.proxy.streams)
        yield reply.content


async def test_lines_of_streams_are_lost_injected_and_held(lab: Lab) -> None:
    async with following(lab) as lines:
        lost = lab.proxy.lose(Match(streams=True), lambda line: bool(line["n"] == 1))
        for number in (0, 1, 2):
            await lab.lines.put(f'{{"n": {number}}}')
        seen = [await lines.readline() for _ in range(2)]
        await lab.proxy.streams[0].inject({"n": 9})
        seen.append(await lines.readline())
        ice = lab.proxy.freeze(Match(streams=True))
        await lab.lines.put('{"n": 3}')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lines.readline(), 0.2)
        lab.proxy.lift(ice)
        seen.append(await lines.readline())

    assert [line.decode().strip() for line in seen] == [
        '{"n": 0}',
        '{"n": 2}',
        '{"n": 9}',
        '{"n": 3}',
    ]
    assert lost.taken == [{"n": 1}]


async def test_the_end_of_a_client_is_noticed_behind_the_proxy(lab: Lab) -> None:
    async with following(lab):
        assert len(lab.proxy.streams) == 1

    await until(lambda: not lab.proxy.streams)


async def test_a_write_whose_client_is_gone_is_seen_to_its_end(lab: Lab) -> None:
    asked = asyncio.create_task(lab.ask("PATCH", "/late"))
    await until(lambda: lab.seen)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    left = [one.wait_closed() for one in lab.proxy.targets["server"].open]
    await asyncio.gather(*left, return_exceptions=True)
    lab.lines.put_nowait("now")

    (entry,) = lab.proxy.journal.entries
    await until(lambda: entry.done)
    assert entry.applied


async def test_a_handshake_may_be_cut(lab: Lab) -> None:
    """asyncio's own writer would fail when it is collected, in some later test."""
    target = lab.proxy.targets["server"]
    _, writer = await asyncio.open_connection("127.0.0.1", target.port)
    await until(lambda: target.open)

    await lab.proxy.turn("server", Door.REFUSED)
    await until(lambda: not target.open)
    with warnings.catch_warnings(record=True) as unraisable:
        gc.collect()
    writer.close()

    assert not unraisable
