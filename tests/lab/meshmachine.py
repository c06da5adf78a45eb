"""The mesh's part of a machine's bundle, run as its units say: the link, and data planes.

A folder stands for the machine's root. systemd's part is played here: credentials are copied,
specifiers and variables filled in. Of the bundle's files, what cannot be the same on loopback is
changed: where the link listens and leads to.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from tests.lab.envoy import require_envoy, socket_address, stop_process
from tests.lab.kuma import require_kuma
from tests.lab.polling import until_blocking

from orrery.cli.bundlefile import pack
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.render.bundle import Join, render_bundle
from orrery.render.bundle_files import (
    DATA_PLANE_UNIT,
    DATA_PLANES_FOLDER,
    LINK,
    LINK_CONFIGURATION,
    LINK_UNIT,
)
from orrery.render.bundle_mesh import CREDENTIALS

HOST_NAME: Final = "a-host"
ROOTS: Final = ("/etc/orrery", CREDENTIALS)


@dataclass
class MeshMachine:
    """A machine that unpacked a bundle of a region with a mesh."""

    root: Path
    link_port: int
    """Where its link listens."""
    door: int
    """Where the front door does, for data planes."""
    readiness: int = field(default_factory=reserve_port)

    def install(self, join: Join) -> None:
        """Unpack what is made of *join*."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=BytesIO(pack(render_bundle(join), join.made))) as tar:
            tar.extractall(self.root, filter="tar")
        file = self.root / LINK_CONFIGURATION
        document: Any = json.loads(self._moved(file.read_text()))
        resources = document["static_resources"]
        resources["listeners"][0]["address"] = {"socket_address": socket_address(self.link_port)}
        (locality,) = resources["clusters"][0]["load_assignment"]["endpoints"]
        locality["lb_endpoints"][0]["endpoint"]["address"] = {
            "socket_address": socket_address(self.door)
        }
        file.write_text(json.dumps(document))
        own = {
            "KUMA_CONTROL_PLANE_URL": f"https://{LOOPBACK}:{self.link_port}",
            "KUMA_READINESS_PORT": str(self.readiness),
            "KUMA_DATAPLANE_DRAIN_TIME": "1s",
        }
        lines = "".join(f"{name}={value}\n" for name, value in own.items())
        (self.root / DATA_PLANES_FOLDER / "machine.env").write_text(lines)

    @contextmanager
    def link(self) -> Iterator[Path]:
        """Run the link until it listens; yields its log."""
        with self._running(LINK_UNIT, LINK, "link", {"envoy": require_envoy()}) as (process, log):

            def listens() -> bool:
                assert process.poll() is None, log.read_text()[-3000:]
                return self._listens()

            until_blocking(listens, told=log.read_text)
            yield log

    @contextmanager
    def data_plane(self) -> Iterator[Path]:
        """Run the machine's own data plane; yields its log."""
        programs = {"kuma-dp": require_kuma("kuma-dp"), "envoy": require_envoy()}
        with self._running(DATA_PLANE_UNIT, "data-plane", "machine", programs) as (_, log):
            yield log

    @contextmanager
    def _running(
        self, path: str, name: str, instance: str, programs: dict[str, Path]
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        unit = Unit((self.root / path).read_text().replace("%i", instance).replace("%H", HOST_NAME))
        tools = self.root / "tools"
        tools.mkdir(exist_ok=True)
        for program, binary in programs.items():
            (tools / program).unlink(missing_ok=True)
            (tools / program).symlink_to(binary)
        credentials = self.root / CREDENTIALS.lstrip("/")
        credentials = credentials.with_name(name)
        shutil.rmtree(credentials, ignore_errors=True)
        credentials.mkdir(parents=True)
        for loaded in unit.all("LoadCredential"):
            key, source = loaded.split(":")
            shutil.copy(self._moved(source), credentials / key)
        runtime = self.root / "run" / f"{name}-{instance}"
        runtime.mkdir(exist_ok=True)
        environment = {
            "PATH": f"{tools}:{os.defpath}",
            "CREDENTIALS_DIRECTORY": str(credentials),
            "RUNTIME_DIRECTORY": str(runtime),
        }
        for file in unit.all("EnvironmentFile"):
            environment |= self._settings(file)
        (line,) = unit.all("ExecStart")
        command = [
            re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], self._moved(word))
            for word in shlex.split(line)
        ]
        log = self.root / f"{name}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [str(tools / command[0]), *command[1:]],
                stdout=written,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            yield process, log
        finally:
            stop_process(process)

    def _settings(self, file: str) -> dict[str, str]:
        path = Path(self._moved(file.removeprefix("-")))
        if file.startswith("-") and not path.exists():
            return {}
        return dict(line.split("=", 1) for line in path.read_text().splitlines())

    def _moved(self, text: str) -> str:
        for root in ROOTS:
            text = re.sub(rf'(^|["= -]){root}', rf"\g<1>{self.root}{root}", text)
        return text

    def _listens(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.link_port), timeout=5).close()
        except OSError:
            return False
        return True


class Unit:
    """A unit of systemd: its directives, in order."""

    def __init__(self, text: str) -> None:
        joined = text.replace("\\\n", " ")
        self._lines = [line for line in joined.splitlines() if "=" in line]

    def all(self, directive: str) -> list[str]:
        """Return what *directive* is set to, each time."""
        start = f"{directive}="
        return [line.removeprefix(start) for line in self._lines if line.startswith(start)]
