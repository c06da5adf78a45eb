"""Build the hub's servers with Go, once per machine, into the user's cache.

One builder at a time, under a file lock; the finished program is renamed into place, so that a
build that was interrupted leaves nothing that looks like a server.
"""

import asyncio
import fcntl
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from orrery.playground.failures import PrerequisiteMissing
from orrery.playground.servers import (
    ETCD,
    KUBE_APISERVER,
    Binary,
    Progress,
    Server,
    Version,
    cache,
    check_version,
    find_server,
    parse_version,
)

OLDEST_GO: Final[Version] = (1, 24)
_STILL_BUILDING: Final = 30.0
_VERSION_PACKAGE: Final = "k8s.io/component-base/version"
_INSTALL_GO: Final = (
    "install Go 1.24 or newer (https://go.dev/dl) and put it on PATH; or set KUBEBUILDER_ASSETS to"
    " a folder that holds kube-apiserver and etcd"
)


async def hub_servers(progress: Progress) -> dict[str, Binary]:
    """Find kube-apiserver and etcd, and build what is missing."""
    return {server.name: await provide(server, progress) for server in (ETCD, KUBE_APISERVER)}


async def provide(server: Server, progress: Progress) -> Binary:
    """Find *server*, or build it."""
    found = find_server(server)
    if found:
        return found
    cache().mkdir(parents=True, exist_ok=True)
    async with _lock(cache() / ".lock", progress):
        return find_server(server) or await _build(server, progress)


async def _build(server: Server, progress: Progress) -> Binary:
    go = await _find_go(server)
    sources = module_folder() / server.folder
    version = module_version(sources, server.module)
    progress(
        f"building {server.name} {version} with Go, once per machine; this usually takes"
        f" {server.usual_build}"
    )
    begin = time.monotonic()
    final = cache() / server.name
    temporary = final.with_name(f".{server.name}.{os.getpid()}")
    flags = " ".join(["-s", "-w", *version_flags(server, version)])
    command = ["build", "-trimpath", "-ldflags", flags, "-o", str(temporary), server.package]
    try:
        await _go(go, command, cwd=sources, server=server, progress=progress)
        check_version(temporary, server)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    progress(f"built {server.name} in {time.monotonic() - begin:.0f} s: {final}")
    return check_version(final, server)


async def _go(
    go: str, arguments: list[str], *, cwd: Path, server: Server, progress: Progress
) -> None:
    begin = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        go,
        *arguments,
        cwd=cwd,
        env=os.environ | {"CGO_ENABLED": "0"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    output = asyncio.ensure_future(child.communicate())
    try:
        while not output.done():
            await asyncio.wait([output], timeout=_STILL_BUILDING)
            if not output.done():
                progress(f"still building {server.name}: {time.monotonic() - begin:.0f} s")
    except asyncio.CancelledError:
        child.terminate()
        await output
        raise
    if child.returncode:
        _, said = output.result()
        words = said.decode(errors="replace").strip().splitlines()[-15:]
        raise PrerequisiteMissing(
            f"`go build` of {server.name} failed; Go needs its module proxy for the first build:\n"
            + "\n".join(words)
        )


def module_folder() -> Path:
    """Return the folder with the go.mod: of the checkout, else of the installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "tools" / "testservers", here.parent / "testservers"):
        if (folder / "go.mod").is_file():
            return folder
    raise PrerequisiteMissing(
        "the Go module of the test servers is missing from this installation: reinstall orrery,"
        " or set KUBEBUILDER_ASSETS to a folder that holds kube-apiserver and etcd"
    )


def module_version(folder: Path, module: str) -> str:
    """Read which version of *module* the go.mod in *folder* requires, as in ``v1.34.3``."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise PrerequisiteMissing(f"{folder / 'go.mod'} requires no {module}: restore the file")
    return found[1]


def version_flags(server: Server, version: str) -> list[str]:
    """Say to the linker what version a Kubernetes server is; without it, it reports v0.0.0."""
    numbers = parse_version(version)
    if server.module != KUBE_APISERVER.module or not numbers:
        return []
    facts = {"gitVersion": version, "gitMajor": numbers[0], "gitMinor": numbers[1]}
    return [f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in facts.items()]


async def _find_go(server: Server) -> str:
    go = shutil.which("go")
    if not go:
        raise PrerequisiteMissing(
            f"no {server.name} was found, and no Go to build one: {_INSTALL_GO}"
        )
    child = await asyncio.create_subprocess_exec(
        go, "env", "GOVERSION", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await child.communicate()
    version = parse_version(said.decode())
    if not version or version < OLDEST_GO:
        found = said.decode().strip() or "of unknown version"
        raise PrerequisiteMissing(
            f"no {server.name} was found, and {go} is {found}, Go 1.24 or newer is wanted to build"
            f" one: {_INSTALL_GO}"
        )
    return go


@asynccontextmanager
async def _lock(path: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold *path* exclusively; says so when somebody else holds it."""
    with path.open("a", encoding="utf-8") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    progress(f"waiting for another build to finish (it holds {path})")
                waiting = True
                await asyncio.sleep(0.5)
        yield
