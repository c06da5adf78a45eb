"""Real kuma-cps, told what the containers that we render are told, on loopback."""

import asyncio
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from tests.lab.envoy import Secret, stop_process, write_files
from tests.lab.polling import until
from tests.lab.postgres import Database

from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.servers import cache
from orrery.render.region.blueprint import Manifest
from orrery.render.region.kuma import TLS_FOLDER, WORK_FOLDER

_PORTS: Final = (
    "KUMA_API_SERVER_HTTP_PORT",
    "KUMA_API_SERVER_HTTPS_PORT",
    "KUMA_DIAGNOSTICS_SERVER_PORT",
    "KUMA_DP_SERVER_PORT",
    "KUMA_INTER_CP_SERVER_PORT",
    "KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT",
)
"""All at which a kuma-cp listens: two on one machine need others, and manifests name none."""


def require_kuma(program: str = "kuma-cp") -> Path:
    """Return a real program of Kuma's, or skip the test."""
    found = shutil.which(program) or str(cache() / program)
    if not Path(found).is_file():
        pytest.skip(f"needs {program} 2.14: put one on PATH or into ~/.cache/orrery/bin")
    return Path(found)


@dataclass
class ControlPlane:
    """A kuma-cp, which may be stopped and started anew with all that it was told."""

    folder: Path
    environment: Mapping[str, str]
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = field(default=None)

    def port(self, name: str) -> int:
        return int(self.environment[f"KUMA_{name}_PORT"])

    @property
    def kds(self) -> int:
        return int(self.environment["KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT"])

    @property
    def log(self) -> str:
        return (self.folder / "kuma.log").read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> Any:
        """Read from its API as nobody in particular; None for what does not exist."""
        return self._call("GET", path)

    def put(self, path: str, document: Mapping[str, Any]) -> None:
        self._call("PUT", path, document)

    def names(self, collection: str) -> list[str]:
        return sorted(item["name"] for item in self.get(f"/{collection}")["items"])

    def is_online(self, zone: str) -> bool:
        """Whether a zone has a connection to this global control plane."""
        insight = self.get(f"/zone-insights/{zone}")
        subscriptions = (insight or {}).get("subscriptions", [])
        return any("connectTime" in s and "disconnectTime" not in s for s in subscriptions)

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

        def is_ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log[-3000:]
            port = self.port("DIAGNOSTICS_SERVER")
            try:
                with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/ready", timeout=5) as said:
                    return bool(said.status == 200)
            except OSError:
                return False

        await until(lambda: asyncio.to_thread(is_ready), told=lambda: self.log[-3000:])

    async def stop(self) -> None:
        if self.process is not None:
            await asyncio.to_thread(stop_process, self.process)
            self.process = None

    def migrate(self) -> None:
        """Bring the database to the program's schema, as the container before it does."""
        with (self.folder / "kuma.log").open("ab") as log:
            command = [str(require_kuma()), "migrate", "up"]
            subprocess.run(command, env=self.environment, check=True, stdout=log, stderr=log)

    def _start(self) -> None:
        with (self.folder / "kuma.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(require_kuma()), *self.arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port('API_SERVER_HTTP')}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise


def told(
    manifests: Sequence[Manifest],
    folder: Path,
    secret: Secret,
    database: Database | None,
    **changed: str,
) -> ControlPlane:
    """Make a kuma-cp of the Deployment among *manifests*.

    What cannot be the same on loopback is changed: ports, folders, where PostgreSQL is, and
    *changed* variables.
    """
    (pod,) = [
        m["spec"]["template"]["spec"]
        for m in manifests
        if m["kind"] == "Deployment" and m["metadata"]["name"].endswith("-kuma")
    ]
    container = pod["containers"][0]
    write_files(folder / "tls", secret)
    moves = {TLS_FOLDER: str(folder / "tls"), WORK_FOLDER: str(folder / "work")}
    environment = {"PATH": os.defpath, "POD_IP": LOOPBACK}
    for variable in container["env"]:
        text = variable.get("value", "").replace("$(POD_IP)", LOOPBACK)
        for there, here in moves.items():
            text = text.replace(there, here)
        environment.setdefault(variable["name"], text)
    environment |= {name: str(reserve_port()) for name in _PORTS}
    if database is not None:
        environment |= {
            "KUMA_STORE_POSTGRES_HOST": LOOPBACK,
            "KUMA_STORE_POSTGRES_PORT": str(database.port),
            "KUMA_STORE_POSTGRES_PASSWORD": database.password,
        }
    return ControlPlane(folder, {**environment, **changed}, container["args"])


@asynccontextmanager
async def running(control_plane: ControlPlane) -> AsyncIterator[ControlPlane]:
    """Run a kuma-cp; its database is brought up to date before."""
    if control_plane.environment["KUMA_STORE_TYPE"] == "postgres":
        await asyncio.to_thread(control_plane.migrate)
    try:
        await control_plane.start()
        yield control_plane
    finally:
        await control_plane.stop()
