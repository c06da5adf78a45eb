"""The operator as a whole: endpoints, leadership, clean and unclean ends."""

import asyncio
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.builders import a_continent
from tests.lab.hubproxy import HubProxy
from tests.lab.polling import until
from tests.lab.rest import Rest

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, HubSource, KubeHub, KubeHubRights, KubeLeases
from orrery.app import FAILED, OK, Operator
from orrery.config import Config
from orrery.ownrights import OwnRights
from orrery.playground.processes import environment
from orrery.ports import Kind
from orrery.telemetry import Telemetry

NAMESPACE = "default"


@dataclass
class TinyController:
    """Notes what the operator has it do."""

    ready: bool = True
    told: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    failed: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        self.seen.append(body["metadata"]["name"])

    async def start(self) -> None:
        self.told.append("start")

    async def stop(self) -> None:
        self.told.append("stop")


@dataclass
class Running:
    operator: Operator
    controller: TinyController
    task: asyncio.Task[int]

    async def get(self, path: str) -> tuple[int, str]:
        port = self.operator.metrics_port if path == "/metrics" else self.operator.health_port
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as reply,
        ):
            return reply.status, await reply.text()

    async def is_ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200


@asynccontextmanager
async def running(kubeconfig: Path, lease: str, **controller: Any) -> AsyncIterator[Running]:
    """Run an operator around a tiny controller; it is told to stop after the block."""
    config = Config(
        kubeconfig=str(kubeconfig), namespace=NAMESPACE, lease=lease, metrics_port=0, health_port=0
    )
    source, clock, telemetry = HubSource(config.kubeconfig), SystemClock(), Telemetry()
    async with HubConnection(source) as connection:
        tiny = TinyController(**controller)
        operator = Operator(
            config,
            source=source,
            hub=KubeHub(connection, clock=clock, telemetry=telemetry, instance="test"),
            leases=KubeLeases(connection, NAMESPACE, lease, telemetry=telemetry),
            rights=OwnRights(KubeHubRights(connection, NAMESPACE), clock),
            controller=tiny,
            clock=clock,
            telemetry=telemetry,
            identity="test",
        )
        task = asyncio.create_task(operator.run())
        running = Running(operator, tiny, task)
        try:

            async def serving() -> bool:
                return task.done() or operator.metrics_port > 0

            await until(serving)
            yield running
        finally:
            operator.stop()
            await asyncio.wait([task], timeout=30)


async def test_an_operator_becomes_ready_hears_of_objects_and_ends_cleanly(
    kubeconfig: Path, rest: Rest
) -> None:
    rest.apply(a_continent("heard"))

    async with running(kubeconfig, "clean") as operator:
        await until(operator.is_ready)
        alive = await operator.get("/healthz")
        _, metrics = await operator.get("/metrics")

    assert alive == (200, "ok\n")
    assert "orrery_leader 1.0" in metrics
    assert 'orrery_watch_last_event_seconds{kind="Region"}' in metrics
    assert "heard" in operator.controller.seen
    assert operator.controller.told == ["start", "stop"]
    assert operator.task.result() == OK
    lease = rest.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/clean").body
    assert lease["spec"].get("holderIdentity", "") == ""


async def test_a_candidate_listens_and_is_ready_without_working(kubeconfig: Path) -> None:
    async with running(kubeconfig, "shared") as leader:
        await until(leader.is_ready)
        async with running(kubeconfig, "shared") as candidate:
            await until(candidate.is_ready)
            _, metrics = await candidate.get("/metrics")
            assert candidate.controller.told == []
            assert "orrery_leader 0.0" in metrics

            leader.operator.stop()
            await until(has_started(candidate))

    assert candidate.task.result() == OK


async def test_a_leader_is_not_ready_before_its_controller_is(kubeconfig: Path) -> None:
    async with running(kubeconfig, "unready", ready=False) as operator:
        await until(has_started(operator))
        await until(watches_are_listed(operator))

        status, text = await operator.get("/readyz")
        operator.controller.ready = True

        assert (status, text) == (503, "not every region has been looked at yet\n")
        assert await operator.is_ready()


async def test_a_lost_lease_stops_the_work_and_ends_the_process(kubeconfig: Path) -> None:
    async with (
        HubConnection(HubSource(str(kubeconfig))) as connection,
        running(kubeconfig, "taken") as operator,
    ):
        await until(has_started(operator))
        leases = KubeLeases(connection, NAMESPACE, "taken", telemetry=Telemetry())
        lease = await leases.read()
        assert lease is not None
        await leases.update(replace(lease, holder="somebody else"))

        status = await asyncio.wait_for(operator.task, 30)

        assert status == FAILED
        assert operator.controller.told == ["start", "stop"]
        taken = await leases.read()
        assert taken is not None
        assert taken.holder == "somebody else"


async def test_a_bug_in_the_controller_ends_the_process(kubeconfig: Path) -> None:
    async with running(kubeconfig, "bug") as operator:
        await until(has_started(operator))
        operator.controller.failed.set_exception(ZeroDivisionError())

        status = await asyncio.wait_for(operator.task, 30)

    assert status == FAILED
    assert operator.controller.told == ["start", "stop"]
    assert operator.controller.failed.exception()


async def test_a_hub_without_our_kinds_is_waited_for(
    proxy: HubProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.answer = (404, {"message": "the server could not find the requested resource"})

    async with running(proxy.kubeconfig(tmp_path / "config"), "early") as operator:

        async def complained() -> bool:
            return "install Orrery's CRDs" in caplog.text

        await until(complained)
        status, text = await operator.get("/readyz")
        proxy.answer = None
        await until(operator.is_ready)

    assert status == 503
    assert "Region is not listed yet" in text


async def test_watches_that_end_are_started_anew(proxy: HubProxy, tmp_path: Path) -> None:
    async with running(proxy.kubeconfig(tmp_path / "config"), "anew") as operator:
        await until(operator.is_ready)
        lists = proxy.lists_of("regions")

        await proxy.inject("regions", 500)

        async def listed_again() -> bool:
            return proxy.lists_of("regions") >= lists + 2

        await until(listed_again)
        _, metrics = await operator.get("/metrics")

    assert "orrery_watch_restarts_total 1.0" in metrics
    assert operator.task.result() == OK


async def test_the_process_starts_serves_and_ends_on_a_signal(
    kubeconfig: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = await start_process(kubeconfig, tmp_path, stream)

    async def ready() -> bool:
        found = re.search(r"probes on port (\d+)", log.read_text())
        return found is not None and await answers(f"http://127.0.0.1:{found[1]}/readyz")

    try:
        await until(ready)
        ending = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert status == 0, log.read_text()
    assert time.monotonic() - ending < 10
    assert "the lease is released" in log.read_text()
    assert "Traceback" not in log.read_text()


async def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-P", "-m", "orrery", "run", "--install", "My-Install"],
        stderr=asyncio.subprocess.PIPE,
        env=environment(str(tmp_path)),
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert "install is 'My-Install', must be 1 to 16 characters of a-z and 0-9" in errors.decode()


def has_started(running: Running) -> Callable[[], Awaitable[bool]]:
    async def started() -> bool:
        return "start" in running.controller.told

    return started


def watches_are_listed(running: Running) -> Callable[[], Awaitable[bool]]:
    async def listed() -> bool:
        return "not listed" not in (await running.get("/readyz"))[1]

    return listed


async def answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status == 200


async def start_process(
    kubeconfig: Path, directory: Path, stream: Any
) -> asyncio.subprocess.Process:
    options = ["--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE, "--lease", "process"]
    options += ["--metrics-port", "0", "--health-port", "0"]
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-P", "-m", "orrery", "run", *options],
        stderr=stream,
        env=environment(str(directory)),
    )
