"""The watches on a real API server: all is heard, nothing is written, breaks are survived."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop
from tests.builders import a_continent, a_deployment
from tests.lab.hub import running_hub
from tests.lab.hubproxy import HubProxy
from tests.lab.polling import until
from tests.lab.rest import Rest

from orrery.adapters.kube.access import HubSource
from orrery.api.crd import PLURALS
from orrery.handlers.watch import Watch, WatchEnded
from orrery.playground.kubeapi import KubeApi
from orrery.playground.processes import (
    Process,
    await_end,
    await_ready,
    environment,
    kill,
    marked,
    start,
)
from orrery.ports import Kind

in_default = partial(a_deployment, namespace="default")


@dataclass
class Told:
    """A sink that keeps what it is told."""

    events: list[tuple[str | None, str, str]] = field(default_factory=list)
    """Type of the event, kind and name of the object."""
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    alive: dict[Kind, int] = field(default_factory=dict)

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        self.events.append((event_type, kind.value, body["metadata"]["name"]))
        self.bodies.append(body)

    def lives(self, kind: Kind) -> None:
        self.alive[kind] = self.alive.get(kind, 0) + 1

    def names(self, event_type: str | None) -> set[str]:
        return {name for kind, _, name in self.events if kind == event_type}


@asynccontextmanager
async def watching(kubeconfig: Path, **settings: Any) -> AsyncIterator[Told]:
    """Watch until all kinds were listed, and go on in the block; fail when the watches end."""
    told = Told()
    settings |= {"alive": told.lives, "loop_factory": uvloop.new_event_loop}
    watch = Watch(HubSource(str(kubeconfig)).load, told, **settings)
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: task.done() or len(told.alive) == len(Kind))
        yield told
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_life_of_an_object_is_told_from_beginning_to_end(
    proxy: HubProxy, rest: Rest, tmp_path: Path
) -> None:
    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig")) as told:
        rest.apply(in_default("life"))
        await until(lambda: "life" in told.names("ADDED"))
        rest.apply(in_default("life", docker={"image": "demo:2"}))
        await until(lambda: "life" in told.names("MODIFIED"))
        rest.delete(in_default("life"))
        await until(lambda: "life" in told.names("DELETED"))

    assert told.bodies[-1]["spec"]["docker"]["image"] == "demo:2"
    assert told.bodies[-1]["metadata"]["namespace"] == "default"


async def test_what_was_there_before_is_told_without_a_type(
    proxy: HubProxy, rest: Rest, tmp_path: Path
) -> None:
    rest.apply(a_continent("before"))

    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig")) as told:
        await until(lambda: "before" in told.names(None))

    assert ("ADDED", "Continent", "before") not in told.events


async def test_nothing_is_written_anywhere(proxy: HubProxy, rest: Rest, tmp_path: Path) -> None:
    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig")) as told:
        created = rest.apply(in_default("untouched")).body["metadata"]
        await until(lambda: "untouched" in told.names("ADDED"))
        rest.apply(a_continent("later"))
        await until(lambda: "later" in told.names("ADDED"))

    metadata = rest.read(in_default("untouched")).body["metadata"]
    assert metadata["resourceVersion"] == created["resourceVersion"]
    assert "annotations" not in metadata
    assert "finalizers" not in metadata
    assert proxy.methods == {"GET"}
    kinds = set(PLURALS.values())
    read = {path.partition("?")[0].rpartition("/")[2] for _, path in proxy.requests}
    assert read & {"secrets", "events", "namespaces", "customresourcedefinitions"} == set()
    assert kinds <= read


async def test_a_watch_whose_history_is_gone_lists_again_and_goes_on(
    proxy: HubProxy, rest: Rest, tmp_path: Path
) -> None:
    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig")) as told:
        await until(lambda: "continents" in proxy.watches)
        lists = proxy.lists_of("continents")

        await proxy.inject("continents", 410)

        await until(lambda: proxy.lists_of("continents") > lists)
        await until(lambda: "continents" in proxy.watches)
        rest.apply(a_continent("after-410"))
        await until(lambda: "after-410" in told.names("ADDED") | told.names(None))


async def test_any_other_error_of_a_watch_ends_it_with_the_reason(
    proxy: HubProxy, tmp_path: Path
) -> None:
    told = Told()
    source = HubSource(str(proxy.kubeconfig(tmp_path / "kubeconfig")))
    task = asyncio.create_task(Watch(source.load, told, alive=told.lives).run())
    await until(lambda: len(proxy.watches) == len(Kind))

    await proxy.inject("regions", 500)

    with pytest.raises(WatchEnded, match="told to"):
        await asyncio.wait_for(task, 30)


async def test_the_end_of_the_watches_leaves_our_other_tasks_alone(
    proxy: HubProxy, tmp_path: Path
) -> None:
    told = Told()
    source = HubSource(str(proxy.kubeconfig(tmp_path / "kubeconfig")))
    task = asyncio.create_task(Watch(source.load, told, alive=told.lives).run())
    await until(lambda: len(proxy.watches) == len(Kind))
    ours = asyncio.create_task(asyncio.sleep(3600))

    await proxy.inject("regions", 500)
    with pytest.raises(WatchEnded):
        await asyncio.wait_for(task, 30)

    assert not ours.done()
    ours.cancel()


async def test_each_new_watch_request_is_a_sign_of_life(proxy: HubProxy, tmp_path: Path) -> None:
    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig"), lasts=1) as told:
        await until(lambda: all(told.alive[kind] >= 3 for kind in Kind))

    assert all(proxy.lists_of(plural) == 1 for plural in PLURALS.values())


async def test_watching_ends_promptly_when_told(proxy: HubProxy, tmp_path: Path) -> None:
    async with watching(proxy.kubeconfig(tmp_path / "kubeconfig")):
        ending = time.monotonic()

    assert time.monotonic() - ending < 5


async def test_watches_survive_a_restart_of_the_api_server(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, watching(hub.kubeconfig) as told:
        server = hub.processes[-1]
        command = command_of(server)
        kill(server)
        await await_end(server)
        await until(lambda: is_free(hub.url))

        again = start(server.name, command, log=server.log, env=environment(str(tmp_path)))
        try:
            async with KubeApi.of(hub.kubeconfig) as api:
                await await_ready(api.answers, what="the hub", deadline=60, watched=[again])
                await api.apply([a_continent("after-restart")])
            await until(lambda: any(name == "after-restart" for _, _, name in told.events))
        finally:
            # It would wait for the watches that are still open.
            kill(again)
            await await_end(again)

    assert marked(str(tmp_path)) == []


def is_free(url: str) -> bool:
    """Tell whether nobody listens at *url*: a killed process lets go of its port a little later."""
    address = urlsplit(url)
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((address.hostname, address.port))
        except OSError:
            return False
    return True


def command_of(process: Process) -> list[str]:
    """Read back how *process* was started."""
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return [word.decode() for word in words]
