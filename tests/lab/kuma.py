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
from orrery.render.region.kuma import (
    CONFIGURATION_FILE,
    CONFIGURATION_FOLDER,
    KEY_ID,
    TLS_FOLDER,
    TOKENS_FOLDER,
    WORK_FOLDER,
)

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


def admin_token(folder: Path, signing_key: str) -> str:
    """Sign a token of a few minutes with a region's key, as people do."""
    file = folder / "signing.key"
    write_files(folder, {file.name: signing_key})
    who = ["--name", "mesh-system:admin", "--group", "mesh-system:admin", "--valid-for", "5m"]
    key = ["--kid", KEY_ID, "--signing-key-path", str(file)]
    command = [str(require_kuma("kumactl")), "--no-config", "generate", "user-token", *who, *key]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


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

    def get(self, path: str, *, token: str = "") -> Any:
        """Read from its API, without *token* as nobody; None for what is not there."""
        return self._call("GET", path, token=token)

    def put(self, path: str, document: Mapping[str, Any], *, token: str = "") -> None:
        self._call("PUT", path, document, token=token)

    def post(self, path: str, document: Mapping[str, Any], *, token: str) -> str | None:
        """Ask for something to be made; return the reply, None when something is missing."""
        said: str | None = self._call("POST", path, document, token=token)
        return said

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
            command = [str(require_kuma()), "migrate", "up", *self.arguments[1:]]
            subprocess.run(command, env=self.environment, check=True, stdout=log, stderr=log)

    def _start(self) -> None:
        with (self.folder / "kuma.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(require_kuma()), *self.arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _call(self, method: str, path: str, body: object = None, *, token: str = "") -> Any:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port('API_SERVER_HTTP')}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                content = reply.read()
                is_json = "json" in reply.headers.get("Content-Type", "")
                return json.loads(content or b"null") if is_json else content.decode()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise


def told(
    manifests: Sequence[Manifest],
    folder: Path,
    secret: Secret,
    tokens: Secret,
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
    (files,) = [
        m["data"]
        for m in manifests
        if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith("-kuma")
    ]
    moves = {
        TLS_FOLDER: str(folder / "tls"),
        TOKENS_FOLDER: str(folder / "tokens"),
        CONFIGURATION_FOLDER: str(folder / "configuration"),
        WORK_FOLDER: str(folder / "work"),
    }
    write_files(folder / "tls", secret)
    write_files(folder / "tokens", tokens)
    configuration = {CONFIGURATION_FILE: moved(files[CONFIGURATION_FILE], moves)}
    write_files(folder / "configuration", configuration)
    environment = {"PATH": os.defpath, "POD_IP": LOOPBACK}
    for variable in container["env"]:
        text = moved(variable.get("value", "").replace("$(POD_IP)", LOOPBACK), moves)
        environment.setdefault(variable["name"], text)
    environment |= {name: str(reserve_port()) for name in _PORTS}
    if database is not None:
        environment |= {
            "KUMA_STORE_POSTGRES_HOST": LOOPBACK,
            "KUMA_STORE_POSTGRES_PORT": str(database.port),
            "KUMA_STORE_POSTGRES_PASSWORD": database.password,
        }
    arguments = [moved(argument, moves) for argument in container["args"]]
    return ControlPlane(folder, {**environment, **changed}, arguments)


def moved(text: str, moves: Mapping[str, str]) -> str:
    """Write folders of this machine for those of a container."""
    for there, here in moves.items():
        text = text.replace(there, here)
    return text


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
