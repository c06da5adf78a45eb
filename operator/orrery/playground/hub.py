"""The hub: a real Kubernetes API server and its etcd as two plain processes on loopback.

No kubelet, no controllers: Orrery needs an API, and that is what this is. It is ready in seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from orrery.adapters.pki import (
    PRIVATE,
    PUBLIC,
    KeyPair,
    Usage,
    create_authority,
    issue,
    write_file,
    write_key_pair,
)
from orrery.playground.failures import PlaygroundError
from orrery.playground.kubeapi import KubeApi, kubeconfig
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.processes import Process, await_ready, environment, start, stop
from orrery.playground.servers import ETCD, KUBE_APISERVER, Binary
from orrery.ports import Document

READY_WITHIN: Final = 60.0
SERVICE_RANGE: Final = "10.96.0.0/16"
SERVICE_ADDRESS: Final = "10.96.0.1"


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub that answers: its address, an administrator's kubeconfig, and its processes."""

    url: str
    kubeconfig: Path
    processes: tuple[Process, ...] = ()


async def start_hub(
    directory: Path, *, config: Path, logs: Path, binaries: Mapping[str, Binary], marker: str
) -> Hub:
    """Start etcd and kube-apiserver with their data in *directory*, and wait until they answer.

    An administrator's kubeconfig is written to *config*.

    Takes down what it started when it fails or is cancelled.
    """
    _make_private(directory)
    started: list[Process] = []
    try:
        etcd_url, command = _etcd_command(directory, binaries[ETCD.name])
        started.append(start(ETCD.name, command, log=logs / "etcd.log", env=environment(marker)))
        url = f"https://{LOOPBACK}:{reserve_port()}"
        administrator = _write_kubernetes_pki(directory)
        authority = (directory / "ca.pem").read_text(encoding="ascii")
        text = kubeconfig(url, authority=authority, user=administrator, name="orrery-playground")
        write_file(config, text, mode=PRIVATE)
        command = _apiserver_command(directory, binaries[KUBE_APISERVER.name], url, etcd_url)
        started.append(
            start(
                KUBE_APISERVER.name,
                command,
                log=logs / "kube-apiserver.log",
                env=environment(marker),
            )
        )
        async with KubeApi.of(config) as api:
            await await_ready(
                api.answers, what="the hub is ready", deadline=READY_WITHIN, watched=started
            )
    except BaseException:
        for process in reversed(started):
            await stop(process)
        raise
    return Hub(url, config, tuple(started))


async def stop_hub(hub: Hub) -> None:
    """End the hub's processes, the API server before its store."""
    for process in reversed(hub.processes):
        await stop(process)


async def install_crds(api: KubeApi, crds: Path | None) -> None:
    """Apply every CRD in *crds* and wait until the hub serves the new kinds."""
    documents = read_manifests(crds) if crds else []
    await api.apply(documents)
    for crd in documents:
        await _await_served(api, crd)


def read_manifests(folder: Path) -> list[Document]:
    """Read all documents of all YAML files in *folder*."""
    return [
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document
    ]


def crd_folder() -> Path | None:
    """Return the folder of the generated CRDs: of the checkout, else of the installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "crds", here.parents[1] / "crds"):
        if any(folder.glob("*.yaml")):
            return folder
    return None


def require_crds() -> Path:
    """Return the folder of the CRDs, or say how to get them."""
    folder = crd_folder()
    if not folder:
        raise PlaygroundError(
            "NoDefinitions",
            "the CRDs are missing: run `make generate` in a checkout, or reinstall orrery",
        )
    return folder


def _make_private(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)


def _etcd_command(directory: Path, binary: Binary) -> tuple[str, list[str]]:
    client, peer = (f"http://{LOOPBACK}:{reserve_port()}" for _ in range(2))
    command = [
        str(binary.path),
        "--name=hub",
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=hub={peer}",
        # A playground may lose its last writes in a power failure, and starts twice as fast.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    return client, command


def _write_kubernetes_pki(directory: Path) -> KeyPair:
    authority = create_authority("orrery-playground-hub")
    write_file(directory / "ca.pem", authority.certificate, mode=PUBLIC)
    hosts = ["localhost", "kubernetes", "kubernetes.default.svc", LOOPBACK, SERVICE_ADDRESS]
    server = issue(authority, "kube-apiserver", hosts=hosts, usages=[Usage.SERVER])
    write_key_pair(directory, "server", server)
    # Signs service account tokens. A certificate is a form of public key that the server reads.
    write_key_pair(directory, "tokens", create_authority("service-accounts"))
    return issue(
        authority,
        "orrery-playground-administrator",
        organization="system:masters",
        usages=[Usage.CLIENT],
    )


def _apiserver_command(directory: Path, binary: Binary, url: str, etcd_url: str) -> list[str]:
    return [
        str(binary.path),
        f"--etcd-servers={etcd_url}",
        f"--bind-address={LOOPBACK}",
        # A loopback address may be no Service's endpoint; without it, an unplugged laptop has none.
        f"--advertise-address={LOOPBACK}",
        "--endpoint-reconciler-type=none",
        f"--secure-port={url.rpartition(':')[2]}",
        f"--cert-dir={directory}",
        f"--tls-cert-file={directory / 'server.pem'}",
        f"--tls-private-key-file={directory / 'server-key.pem'}",
        f"--client-ca-file={directory / 'ca.pem'}",
        f"--service-account-key-file={directory / 'tokens.pem'}",
        f"--service-account-signing-key-file={directory / 'tokens-key.pem'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=RBAC",
        # No controller makes default service accounts here, so pods would all be refused.
        "--disable-admission-plugins=ServiceAccount",
    ]


async def _await_served(api: KubeApi, crd: Document) -> None:
    spec = crd["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"

    async def served() -> bool:
        return await api.answers(path)

    kind = spec["names"]["kind"]
    await await_ready(served, what=f"the hub serves {kind}", deadline=READY_WITHIN)
