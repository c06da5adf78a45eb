"""The lab's continent keeps its own promises: pods, volumes, addresses and names are real.

A first run builds the servers of a node, which takes minutes; `tests/lab/node` tells what else it
needs.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from tests.lab.node.binaries import probe_program
from tests.lab.node.cgroups import group_name, groups
from tests.lab.node.cluster import Continent, a_continent, require_node
from tests.lab.node.images import (
    NOMAD_IMAGE,
    PROBE_IMAGE,
    Image,
    envoy_image,
    nomad_image,
)
from tests.lab.node.machines import a_machine
from tests.lab.node.network import links_of
from tests.lab.node.pods import create_strict_namespace, render_web, run_pod
from tests.lab.node.room import inhabitants
from tests.lab.polling import until

from orrery.api.regionclass import ENVOY_IMAGE
from orrery.playground.processes import marked
from orrery.ports import Document

BUILDS: Final = 3600
"""Seconds for the first test, which waits for what has to be built."""

TRIAL: Final = "trial"
WEB: Final = "web"
PORT: Final = 8080

FOLDERS: Final = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/sys/fs/cgroup/memory/k8s.io",
    "/sys/fs/cgroup/k8s.io",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
"""What the programs of a node make for themselves unless they are kept from it."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(BUILDS)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def continent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Continent]:
    """Run a continent; nothing is left of it."""
    await require_node(request.config)
    directory = tmp_path_factory.mktemp("continent")
    before = traces()
    async with a_continent(directory) as running:
        await create_strict_namespace(running, TRIAL)
        yield running
    assert traces() == before
    assert inhabitants(running.room) == []
    assert group_name(running.room.pid) not in {group.name for group in groups()}
    assert remains(directory) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(continent: Continent) -> Document:
    """Run two pods of a StatefulSet with a volume each, and return their Service."""

    async def ready() -> bool:
        found = await continent.api.read("apps/v1", "StatefulSet", WEB, namespace=TRIAL)
        return found is not None and found["status"].get("readyReplicas") == 2

    async def addressed() -> Document | None:
        found = await continent.api.read("v1", "Service", WEB, namespace=TRIAL)
        return found if found and found["status"]["loadBalancer"].get("ingress") else None

    await continent.api.apply(render_web(TRIAL, name=WEB, replicas=2, port=PORT))
    await until(ready)
    return await until(addressed)


async def test_pods_that_are_not_root_run_under_strict_pod_security_and_write_to_their_volumes(
    continent: Continent, web: Document
) -> None:
    claims = await continent.api.list("v1", "PersistentVolumeClaim", namespace=TRIAL)

    assert [claim["status"]["phase"] for claim in claims] == ["Bound", "Bound"]


async def test_a_load_balancer_answers_on_this_machine(continent: Continent, web: Document) -> None:
    async def everybody_answered() -> bool:
        answered.add(await ask(web))
        return len(answered) > 1

    answered: set[str] = set()
    await until(everybody_answered, told=lambda: answered)

    assert answered - {""} <= {"web-0", "web-1"}


async def test_a_load_balancer_answers_in_pods_and_on_machines_of_the_continent(
    continent: Continent, web: Document
) -> None:
    url = f"http://{address(web)}:{PORT}"

    async with a_machine(continent.room, continent.network) as machine:
        on_machine = await machine.run(str(await probe_program()), "ask", url)
        in_pod = await run_pod(continent, TRIAL, "caller", PROBE_IMAGE, ["probe", "ask", url])

    assert {in_pod.strip(), on_machine.strip()} <= {"web-0", "web-1"}


async def test_cluster_dns_answers_in_a_pod(continent: Continent, web: Document) -> None:
    name = f"{WEB}.{TRIAL}.svc.cluster.local"

    said = await run_pod(continent, TRIAL, "asks", PROBE_IMAGE, ["probe", "resolve", name])

    assert said.split() == [web["spec"]["clusterIP"]]


async def test_a_pod_that_is_killed_comes_back(continent: Continent, web: Document) -> None:
    async def restarted() -> bool:
        pod = await continent.api.read("v1", "Pod", "web-1", namespace=TRIAL)
        (status,) = pod["status"]["containerStatuses"] if pod else [{}]
        return bool(status["restartCount"] == 1 and status["ready"])

    await continent.kill(TRIAL, "web-1")

    await until(restarted)


async def test_an_image_of_nomad_runs(continent: Continent, nomad_binary: Path) -> None:
    await continent.import_image(nomad_image(nomad_binary))

    said = await run_pod(continent, TRIAL, "nomad", NOMAD_IMAGE, ["nomad", "version"])

    assert said.startswith("Nomad v")


async def test_an_image_of_envoy_runs(continent: Continent) -> None:
    image = envoy_image()
    if image is None:
        pytest.skip("needs an envoy binary: put one on PATH, or set ORRERY_ENVOY to it")
    await continent.import_image(image)

    said = await run_pod(continent, TRIAL, "envoy", ENVOY_IMAGE, ["envoy", "--version"])

    assert "version:" in said


async def test_nothing_is_left_of_a_start_that_failed(tmp_path: Path, continent: Continent) -> None:
    # Control plane and containerd run by the time its archive is to be written.
    broken = Image("lab.orrery.dev/broken:1", tmp_path / "absent", "absent")
    before = traces()

    with pytest.raises(FileNotFoundError):
        async with a_continent(tmp_path, images=[broken]):
            pytest.fail("it started")

    assert traces() == before
    assert remains(tmp_path) == []


async def test_nothing_is_left_of_a_test_run_that_was_killed(
    tmp_path: Path, continent: Continent
) -> None:
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENDLESS, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout
    assert await run.stdout.readline() == b"open\n"
    assert len(links_of(str(tmp_path))) == 1
    assert len(marked(str(tmp_path))) > 1

    run.kill()

    await run.wait()
    await until(lambda: remains(tmp_path) == [], told=lambda: remains(tmp_path))


ENDLESS: Final = """
import asyncio
import sys
from pathlib import Path

from tests.lab.node.network import a_network
from tests.lab.node.room import a_room


async def main() -> None:
    async with a_room(sys.argv[1]) as room, a_network(room):
        room.start("sleeper", "sleep", "infinity", log=Path("/dev/null"))
        print("open", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
"""


def address(service: Document) -> str:
    (entry,) = service["status"]["loadBalancer"]["ingress"]
    return str(entry["ip"])


async def ask(service: Document) -> str:
    """Ask a Service at its outside address, on a connection of its own."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://{address(service)}:{PORT}/") as reply:
                return (await reply.text()).strip()
        except aiohttp.ClientConnectionError:
            return ""


def traces() -> dict[str, Any]:
    """Tell what a node would change of the machine if it were not kept in its room."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return {
        "folders": [folder for folder in FOLDERS if Path(folder).exists()],
        "tables": tables.stdout,
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def remains(directory: Path) -> list[object]:
    """List what a continent in *directory* has left: processes, links, mounts, all but logs."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return [
        *marked(str(directory)),
        *links_of(str(directory)),
        *(mount for mount in mounts if str(directory) in mount),
        *(path for path in directory.iterdir() if path.name != "logs"),
    ]
