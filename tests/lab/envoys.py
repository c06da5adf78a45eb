"""Real Envoys with configurations that we render, on loopback: of front doors, and of links."""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from tests.lab.envoy import Secret, on_disk, project, require_envoy, stop_process, write_files
from tests.lab.polling import until

from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.render.region.envoy_parts import ADMIN
from orrery.render.region.envoy_secrets import ENVOY_FILE

READY: Final = "ready"

Place = tuple[str, int]
"""Host and port."""


@dataclass
class RunningEnvoy:
    """An Envoy, and the ports at which it listens by the names of its listeners."""

    folder: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.folder / "envoy.log").read_text(encoding="utf-8", errors="replace")

    def renew(self, secret: Secret) -> None:
        """Put another Secret in place, as the kubelet does."""
        project(self.folder / "tls", secret)

    def is_ready(self) -> bool:
        """Ask as the kubelet does; True also when it has ended."""
        if self.process.poll() is not None:
            return True
        try:
            with urlopen(f"http://{LOOPBACK}:{self.ports[READY]}/ready", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def relocated(
    files: Mapping[str, str], folder: Path, ports: Mapping[str, int], places: Mapping[str, Place]
) -> dict[str, str]:
    """Change of *files* what cannot be the same on loopback, and nothing else.

    *ports* are those of the listeners, *places* where clusters lead to, each by its name.
    """
    found = on_disk(files, folder)
    document: Any = json.loads(found[ENVOY_FILE].replace(ADMIN, f"@{uuid.uuid4().hex}"))
    for listener in document["static_resources"]["listeners"]:
        at = {"address": LOOPBACK, "port_value": ports[listener["name"]]}
        listener["address"]["socket_address"] = at
    for cluster in document["static_resources"]["clusters"]:
        if cluster["name"] in places:
            host, port = places[cluster["name"]]
            (locality,) = cluster["load_assignment"]["endpoints"]
            (named,) = locality["lb_endpoints"]
            named["endpoint"]["address"] = {"socket_address": {"address": host, "port_value": port}}
            if "health_check_config" in named["endpoint"]:
                named["endpoint"]["health_check_config"] = {"port_value": port}
    return {**found, ENVOY_FILE: json.dumps(document)}


@asynccontextmanager
async def running_envoy(
    folder: Path,
    files: Mapping[str, str],
    places: Mapping[str, Place],
    *,
    secret: Secret | None = None,
    arguments: Sequence[str] = ("--disable-hot-restart", "--concurrency", "1"),
) -> AsyncIterator[RunningEnvoy]:
    """Run an Envoy on loopback; yields when it is ready."""
    envoy = _start(folder, files, places, secret, arguments)
    try:
        await until(lambda: asyncio.to_thread(envoy.is_ready), told=lambda: envoy.log[-3000:])
        assert envoy.process.poll() is None, envoy.log[-3000:]
        yield envoy
    finally:
        await asyncio.to_thread(stop_process, envoy.process)


def _start(
    folder: Path,
    files: Mapping[str, str],
    places: Mapping[str, Place],
    secret: Secret | None,
    arguments: Sequence[str],
) -> RunningEnvoy:
    names = [x["name"] for x in json.loads(files[ENVOY_FILE])["static_resources"]["listeners"]]
    ports = {name: reserve_port() for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    if secret is not None:
        project(folder / "tls", secret)
    write_files(folder, relocated(files, folder, ports, places))
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(require_envoy()), "-c", str(folder / ENVOY_FILE), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
        )
    return RunningEnvoy(folder, ports, process)
