"""The control plane of a continent's cluster: a store, an API server and its controllers.

Unlike the hub of a playground, this one runs pods: service accounts exist, nodes are only allowed
what nodes may do, and each program is known by its own certificate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.node.binaries import CONTROLLERS, SCHEDULER, Programs
from tests.lab.node.network import SERVICES, Network
from tests.lab.node.room import Room

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
from orrery.playground.kubeapi import KubeApi, kubeconfig
from orrery.playground.processes import Process, await_ready
from orrery.playground.servers import ETCD, KUBE_APISERVER

READY_WITHIN: Final = 90.0
NODE: Final = "node1"

_ADMINISTRATOR: Final = "lab:administrator"
_MASTERS: Final = "system:masters"
_PORT: Final = 6443
_STORE: Final = "http://127.0.0.1:2379"


@dataclass(frozen=True, slots=True)
class Identities:
    """Who speaks to the API server, each by a kubeconfig in *folder*."""

    folder: Path
    network: Network
    authority: KeyPair

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def administrator(self) -> Path:
        """The kubeconfig of the administrator."""
        return self._path(_ADMINISTRATOR)

    def write(self, user: str, *, group: str = "") -> Path:
        """Write a kubeconfig of *user*."""
        pair = issue(self.authority, user, organization=group, usages=[Usage.CLIENT])
        url = f"https://{self.network.node}:{_PORT}"
        path = self._path(user)
        text = kubeconfig(url, authority=self.authority.certificate, user=pair, name="lab")
        write_file(path, text, mode=PRIVATE)
        return path

    def _path(self, user: str) -> Path:
        return self.folder / f"{user.replace(':', '-')}.kubeconfig"


def create_identities(folder: Path, network: Network) -> Identities:
    """Make the cluster's authority, and the certificates that its API server shows."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = create_authority("orrery-lab-continent")
    write_file(folder / "ca.pem", authority.certificate, mode=PUBLIC)
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    hosts = [*names, "127.0.0.1", str(network.node), str(SERVICES[1])]
    server = issue(authority, "kube-apiserver", hosts=hosts, usages=[Usage.SERVER])
    write_key_pair(folder, "server", server)
    to_kubelets = issue(authority, "kube-apiserver", organization=_MASTERS, usages=[Usage.CLIENT])
    write_key_pair(folder, "kubelet-client", to_kubelets)
    # Signs service account tokens. A certificate is a form of public key that the server reads.
    write_key_pair(folder, "tokens", create_authority("service-accounts"))
    identities = Identities(folder, network, authority)
    identities.write(_ADMINISTRATOR, group=_MASTERS)
    return identities


async def start_control_plane(
    room: Room, programs: Programs, identities: Identities, *, data: Path, logs: Path
) -> None:
    """Start store, API server, controllers and scheduler; the API server answers."""

    def start(name: str, arguments: Sequence[str]) -> Process:
        return room.start(name, str(programs[name]), *arguments, log=logs / f"{name}.log")

    started = [
        start(ETCD.name, _store_arguments(data / "etcd")),
        start(KUBE_APISERVER.name, _api_arguments(identities)),
    ]
    async with KubeApi.of(identities.administrator) as api:
        await await_ready(
            api.answers, what="the API server is ready", deadline=READY_WITHIN, watched=started
        )
    controllers = identities.write("system:kube-controller-manager")
    scheduler = identities.write("system:kube-scheduler")
    start(CONTROLLERS.name, _controllers_arguments(controllers, identities))
    start(
        SCHEDULER.name,
        [f"--kubeconfig={scheduler}", "--leader-elect=false", "--bind-address=127.0.0.1"],
    )


def _store_arguments(data: Path) -> list[str]:
    peer = "http://127.0.0.1:2380"
    return [
        "--name=continent",
        f"--data-dir={data}",
        f"--listen-client-urls={_STORE}",
        f"--advertise-client-urls={_STORE}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=continent={peer}",
        # Nothing here outlives the test, and this way it starts twice as fast.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_arguments(identities: Identities) -> list[str]:
    pki, node = identities.folder, identities.network.node
    return [
        f"--etcd-servers={_STORE}",
        f"--bind-address={node}",
        f"--advertise-address={node}",
        f"--secure-port={_PORT}",
        f"--cert-dir={pki}",
        f"--tls-cert-file={pki / 'server.pem'}",
        f"--tls-private-key-file={pki / 'server-key.pem'}",
        f"--client-ca-file={pki / 'ca.pem'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.pem'}",
        f"--kubelet-client-key={pki / 'kubelet-client-key.pem'}",
        # By default it would look the node's name up in DNS, which does not know it.
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki / 'tokens.pem'}",
        f"--service-account-signing-key-file={pki / 'tokens-key.pem'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
    ]


def _controllers_arguments(config: Path, identities: Identities) -> list[str]:
    return [
        f"--kubeconfig={config}",
        f"--service-account-private-key-file={identities.folder / 'tokens-key.pem'}",
        f"--root-ca-file={identities.ca}",
        # By default it makes a folder of the system's for plugins that nobody has.
        f"--flex-volume-plugin-dir={identities.folder / 'volume-plugins'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]
