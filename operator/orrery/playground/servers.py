"""Find the servers that a playground is made of; build those of the hub when there are none.

Looked for in KUBEBUILDER_ASSETS, on PATH, and in the user's cache, in this order. What is found
must be new enough: a silent second choice would make "works on my machine" a matter of luck.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orrery import nomad_version
from orrery.errors import Refused
from orrery.playground.failures import PrerequisiteMissing

Progress = Callable[[str], None]
"""Takes one line about one step."""

Version = tuple[int, ...]

_OTHER_NOMAD: Final = (
    "install a supported Nomad from its vendor and put it first on PATH, or use simulated regions"
    " with --nomad simulated"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A program of the hub: how it tells its version, and how it is built."""

    name: str
    oldest: Version
    package: str
    module: str
    usual_build: str
    folder: str = ""
    """Below the folder of the test servers, where its go.mod is."""


KUBE_APISERVER: Final = Server(
    name="kube-apiserver",
    oldest=(1, 30),
    package="k8s.io/kubernetes/cmd/kube-apiserver",
    module="k8s.io/kubernetes",
    usual_build="about 5 minutes on 2 cores",
)
ETCD: Final = Server(
    name="etcd",
    oldest=(3, 5),
    package="go.etcd.io/etcd/server/v3",
    module="go.etcd.io/etcd/server/v3",
    usual_build="10 to 90 seconds",
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that was found, and what it says its version is."""

    path: Path
    version: str


def cache() -> Path:
    """Return the folder in the user's cache where built servers are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "orrery" / "bin"


def find_server(server: Server) -> Binary | None:
    """Find a program of the hub, None when it has to be built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        path = Path(assets) / server.name
        if not path.is_file():
            raise PrerequisiteMissing(
                f"KUBEBUILDER_ASSETS is '{assets}', which holds no {server.name}: correct it, or"
                " unset it to look on PATH and in the cache"
            )
        return check_version(path, server)
    found = _on_path_or_cached(server.name)
    return check_version(found, server) if found else None


def check_version(path: Path, server: Server) -> Binary:
    """Read the version of the program at *path*; refuse one that is too old or does not run."""
    remedy = f"remove it or put a newer {server.name} before it on PATH; without any, one is built"
    wanted = ".".join(map(str, server.oldest))
    said = _run([str(path), "--version"])
    version = parse_version(said) if said else None
    if not version:
        raise PrerequisiteMissing(
            f"{path} does not tell its version, version {wanted} or newer is wanted: {remedy}"
        )
    found = ".".join(map(str, version))
    if version < server.oldest:
        raise PrerequisiteMissing(
            f"{path} is version {found}, version {wanted} or newer is wanted: {remedy}"
        )
    return Binary(path, found)


def find_nomad() -> Binary | None:
    """Find Nomad: ORRERY_NOMAD, PATH, the cache. It is never built or downloaded by us."""
    named = os.environ.get("ORRERY_NOMAD")
    if named and not Path(named).is_file():
        raise PrerequisiteMissing(
            f"ORRERY_NOMAD is '{named}', which is no file: correct it, or unset it to look on PATH"
        )
    path = Path(named) if named else _on_path_or_cached("nomad")
    if not path:
        return None
    said = re.match(r"Nomad v(\S+)", _run([str(path), "version"]) or "")
    if not said:
        raise PrerequisiteMissing(
            f"{path} does not tell its version. {nomad_version.SUPPORTED}: {_OTHER_NOMAD}"
        )
    try:
        nomad_version.check_version(said[1])
    except Refused as error:
        raise PrerequisiteMissing(f"{path}: {error.message}: {_OTHER_NOMAD}") from error
    return Binary(path, said[1])


def require_nomad() -> Binary:
    """Find Nomad, or say how to get it."""
    nomad = find_nomad()
    if not nomad:
        raise PrerequisiteMissing(
            f"no Nomad found (looked at {nomad_places()}): install Nomad from its vendor and put it"
            " on PATH, or use simulated regions with --nomad simulated"
        )
    return nomad


def nomad_places() -> str:
    """List where a Nomad is looked for."""
    return f"ORRERY_NOMAD, PATH and {cache()}"


def docker_answers() -> bool:
    """Tell whether a Docker engine can be talked to."""
    docker = shutil.which("docker")
    return bool(docker) and _run([str(docker), "info"]) is not None


def parse_version(text: str) -> Version | None:
    """Read the first version number in *text*.

    >>> parse_version("Kubernetes v1.34.3")
    (1, 34, 3)
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part) if match else None


def _on_path_or_cached(name: str) -> Path | None:
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    cached = cache() / name
    return cached if cached.is_file() else None


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - a program we found, with fixed arguments
            command, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
