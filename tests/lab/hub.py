"""A hub for tests: real kube-apiserver and etcd, with the CRDs applied."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from orrery.playground.build import hub_servers
from orrery.playground.hub import Hub, crd_folder, install_crds, start_hub, stop_hub
from orrery.playground.kubeapi import KubeApi


@asynccontextmanager
async def running_hub(directory: Path) -> AsyncIterator[Hub]:
    """Run a hub with its data in *directory*; the generated CRDs, when there are any, are served.

    ``KubeApi.of(hub.kubeconfig)`` reads and writes there; kopf and the operator take the path.
    """
    binaries = await hub_servers(print)
    hub = await start_hub(
        directory / "hub",
        config=directory / "kubeconfig",
        logs=directory / "logs",
        binaries=binaries,
        marker=str(directory),
    )
    try:
        async with KubeApi.of(hub.kubeconfig) as api:
            await install_crds(api, crd_folder())
        yield hub
    finally:
        await stop_hub(hub)
