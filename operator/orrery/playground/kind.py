"""The hub as a kind cluster, for those who have a Docker engine and want a whole Kubernetes."""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

from orrery.playground.failures import NotReady, PrerequisiteMissing
from orrery.playground.servers import docker_answers


def cluster_name(directory: Path) -> str:
    """Name the cluster after *directory*, so that each playground has its own."""
    return f"orrery-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


async def create_cluster(name: str, kubeconfig: Path) -> None:
    """Create the cluster and write an administrator's kubeconfig."""
    if not await asyncio.to_thread(docker_answers):
        raise PrerequisiteMissing(
            "a kind hub needs a Docker engine, and none answers: start Docker, or use --hub"
            " processes, which needs none"
        )
    await _kind("create", "cluster", "--name", name, "--kubeconfig", str(kubeconfig), "--wait=120s")
    await asyncio.to_thread(kubeconfig.chmod, 0o600)


async def delete_cluster(name: str, kubeconfig: Path) -> None:
    """Delete the cluster; it may be gone already."""
    await _kind("delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))


async def _kind(*arguments: str) -> None:
    kind = shutil.which("kind")
    if not kind:
        raise PrerequisiteMissing(
            "a kind hub needs kind, which is not on PATH: install it"
            " (https://kind.sigs.k8s.io), or use --hub processes"
        )
    child = await asyncio.create_subprocess_exec(
        kind,
        *arguments,
        env=os.environ.copy(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate()
    except asyncio.CancelledError:
        child.terminate()
        await child.wait()
        raise
    if child.returncode:
        words = said.decode(errors="replace").strip()
        raise NotReady(f"`kind {' '.join(arguments)}` failed:\n{words}")
