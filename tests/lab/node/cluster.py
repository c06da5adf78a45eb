"""A continent for tests: a Kubernetes cluster of one node, out of plain processes in a room.

What regions' control planes need of a cluster is real here: admission, scheduling, pods and their
security, volumes, Services, cluster DNS, and load balancers that the machine reaches. Several
continents stand side by side. Needs about 1 GB of memory, and what `requirements` lists.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.lab.node.api import ContinentApi
from tests.lab.node.binaries import node_programs, probe_program
from tests.lab.node.cgroups import remove_group
from tests.lab.node.controlplane import NODE, create_identities, start_control_plane
from tests.lab.node.images import Image, basic_images
from tests.lab.node.network import Network, a_network
from tests.lab.node.providers import give_addresses, give_volumes, render_storage_class
from tests.lab.node.requirements import missing_node
from tests.lab.node.room import HIDDEN, Room, a_room
from tests.lab.node.worker import Worker

from orrery.playground.failures import PrerequisiteMissing
from orrery.playground.processes import await_ready

READY_WITHIN: Final = 90.0
_DNS_PORT: Final = 53
_PROXY_HEALTH_PORT: Final = 10256


async def require_node(config: pytest.Config) -> None:
    """Find or build what a node is made of, or skip the test with the reason.

    A build takes minutes: its progress is shown at once, and not with a failure.
    """
    capture = config.pluginmanager.get_plugin("capturemanager")
    writer = config.get_terminal_writer()

    def progress(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            writer.line(line)
            writer.flush()

    if missing := missing_node():
        pytest.skip(missing)
    try:
        await node_programs(progress)
        await probe_program()
    except PrerequisiteMissing as error:
        pytest.skip(f"needs the programs of a Kubernetes node: {error.message}")


@dataclass(frozen=True, slots=True)
class Continent:
    """A cluster whose node is ready."""

    kubeconfig: Path
    """An administrator's; the address in it is reached from this machine and from pods."""
    api: ContinentApi
    network: Network
    room: Room
    logs: Path
    """Of its programs, and below ``pods`` of all containers, also after its end."""
    _worker: Worker

    async def import_image(self, image: Image) -> None:
        """Make *image* known to the node, so that it is never pulled."""
        await self._worker.import_image(image)

    def kill_kubelet(self) -> Callable[[], None]:
        """End the node's kubelet as a crash would; returns what starts it again."""
        command = self._worker.kill_kubelet()
        return lambda: self._worker.start_kubelet(command)

    async def log(self, namespace: str, pod: str, *, container: str = "") -> str:
        """Read what a pod has said."""
        return await self.api.log(namespace, pod, container=container)

    async def kill(self, namespace: str, pod: str) -> None:
        """End all processes of a pod's containers at once, as a crash would."""
        found = await self.api.read("v1", "Pod", pod, namespace=namespace)
        assert found, f"there is no pod {pod}"
        for status in found["status"]["containerStatuses"]:
            for pid in _processes_of(status["containerID"].rpartition("/")[2]):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def a_continent(directory: Path, *, images: Sequence[Image] = ()) -> AsyncIterator[Continent]:
    """Run a cluster with its data in *directory* and with *images* on its node.

    At the end, and also after a start that failed, no process, link, mount or control group of it
    is left. Its logs stay.
    """
    programs = await node_programs(print)
    _refuse_hidden(directory, *programs.values())
    data, logs = directory / "data", directory / "logs"
    data.mkdir(parents=True)
    async with AsyncExitStack() as afterwards:
        afterwards.push_async_callback(asyncio.to_thread, shutil.rmtree, data)
        async with a_room(str(directory)) as room, a_network(room) as network:
            worker = Worker(room, network, data, logs)
            afterwards.callback(remove_group, worker.cgroup)
            identities = create_identities(data / "pki", network)
            await start_control_plane(room, programs, identities, data=data, logs=logs)
            await worker.start_runtime()
            for image in [*await basic_images(), *images]:
                await worker.import_image(image)
            worker.start_agents(programs, identities)
            async with ContinentApi.of(identities.administrator) as api, _providers(api, worker):
                await api.apply([render_storage_class()])
                await await_ready(
                    lambda: _ready(api, network),
                    what="the node is ready",
                    deadline=READY_WITHIN,
                    watched=room.started,
                )
                yield Continent(identities.administrator, api, network, room, logs, worker)


@asynccontextmanager
async def _providers(api: ContinentApi, worker: Worker) -> AsyncIterator[None]:
    """Let load balancers get addresses, and claims volumes."""
    tasks = [
        asyncio.create_task(give_addresses(api, worker.network.balancers)),
        asyncio.create_task(give_volumes(api, worker.data / "volumes")),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    # They run for ever, so each that ended before it was told to is a bug.
    for end in ends:
        assert isinstance(end, asyncio.CancelledError), f"a provider ended by itself: {end!r}"


async def _ready(api: ContinentApi, network: Network) -> bool:
    """Tell whether a pod that is created now would run."""
    node = await api.read("v1", "Node", NODE)
    conditions = node.get("status", {}).get("conditions", []) if node else []
    return (
        {"type": "Ready", "status": "True"}.items()
        <= next((c for c in conditions if c["type"] == "Ready"), {}).items()
        and await api.read("v1", "ServiceAccount", "default", namespace="default") is not None
        and await _listens(network, _DNS_PORT)
        and await _listens(network, _PROXY_HEALTH_PORT)
    )


async def _listens(network: Network, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(str(network.node), port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _processes_of(container: str) -> list[int]:
    """List the processes of a container: its id ends the names of their control groups."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            groups = (entry / "cgroup").read_text(encoding="utf-8").split()
            if any(group.endswith(f"/{container}") for group in groups):
                found.append(int(entry.name))
    return found


def _refuse_hidden(*needed: Path) -> None:
    for path in needed:
        hidden = next((folder for folder in HIDDEN if path.is_relative_to(folder)), None)
        if hidden:
            raise PrerequisiteMissing(f"{path} cannot be used in a node, which hides {hidden}")
