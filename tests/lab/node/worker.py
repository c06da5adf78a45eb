"""What makes a room a node: containerd, a kubelet, the proxy of Services, and the cluster's DNS."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.lab.node.binaries import DNS, KUBELET, PROXY, Programs
from tests.lab.node.cgroups import create_group, group_name
from tests.lab.node.controlplane import NODE, Identities
from tests.lab.node.images import PAUSE_IMAGE, Image, write_archive
from tests.lab.node.network import Network
from tests.lab.node.requirements import find_program, plugin_folder
from tests.lab.node.room import Room

from orrery.playground.failures import NotReady
from orrery.playground.processes import await_ready

READY_WITHIN: Final = 60.0
_SOCKET: Final = "/run/containerd/containerd.sock"

_CONTAINERD: Final = """\
version = 2
root = "{root}"
state = "/run/containerd"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Where CAP_SYS_RESOURCE is missing, sandboxes may not be shielded from the kernel's choice.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
"""

_COREFILE: Final = """\
.:53 {{
    bind {address}
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
    }}
    errors
}}
"""


@dataclass(frozen=True, slots=True)
class Worker:
    """The folders and addresses of a node."""

    room: Room
    network: Network
    data: Path
    logs: Path

    @property
    def cgroup(self) -> str:
        """The control group above those of all pods."""
        return group_name(self.room.pid)

    async def start_runtime(self) -> None:
        """Start containerd; it answers."""
        networks = self.data / "networks"
        networks.mkdir(parents=True)
        text = json.dumps(_pod_network(self.network))
        (networks / "10-lab.conflist").write_text(text, encoding="utf-8")
        config = self.data / "containerd.toml"
        text = _CONTAINERD.format(
            root=self.data / "containerd",
            socket=_SOCKET,
            pause=PAUSE_IMAGE,
            plugins=plugin_folder(),
            networks=networks,
        )
        config.write_text(text, encoding="utf-8")
        command = [find_program("containerd"), f"--config={config}"]
        runtime = self.room.start("containerd", *command, log=self.logs / "containerd.log")

        async def answers() -> bool:
            if not self.room.outside(_SOCKET).exists():
                return False
            try:
                await self._ctr("version")
            except NotReady:
                return False
            return True

        await await_ready(
            answers, what="containerd answers", deadline=READY_WITHIN, watched=[runtime]
        )

    async def import_image(self, image: Image) -> None:
        """Make *image* known to the node, so that it is never pulled."""
        archive = self.data / "image.tar"
        try:
            await write_archive(image, archive)
            await self._ctr("images", "import", str(archive))
        finally:
            archive.unlink(missing_ok=True)

    def start_agents(self, programs: Programs, identities: Identities) -> None:
        """Start the kubelet, the proxy and the DNS server."""
        self._start_kubelet(programs[KUBELET.name], identities)
        self._start_proxy(programs[PROXY.name], identities)
        self._start_dns(programs[DNS.name], identities)

    def kill_kubelet(self) -> Sequence[str]:
        """End the kubelet at once; return the command with which it ran. Pods run on."""
        mark = f"--root-dir={self.data / 'kubelet'}"
        found = {pid: command for pid, command in _commands() if mark in command[1:]}
        # What entered the room for it has the same arguments, and ends with it.
        (pid, command) = next((p, c) for p, c in found.items() if c[0].endswith(KUBELET.name))
        os.kill(pid, signal.SIGKILL)
        return command

    def start_kubelet(self, command: Sequence[str]) -> None:
        """Start the kubelet again, as whatever supervises it would."""
        self.room.start(KUBELET.name, *command, log=self.logs / "kubelet.log")

    async def _ctr(self, *arguments: str) -> str:
        return await self.room.run(
            find_program("ctr"), f"--address={_SOCKET}", "--namespace=k8s.io", *arguments
        )

    def _start_kubelet(self, program: Path, identities: Identities) -> None:
        root = self.data / "kubelet"
        root.mkdir()
        create_group(self.cgroup)
        (root / "resolv.conf").write_text("", encoding="ascii")
        config = root / "kubelet.yaml"
        document = _kubelet_configuration(self, identities.ca, root)
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        user = identities.write(f"system:node:{NODE}", group="system:nodes")
        self.room.start(
            KUBELET.name,
            str(program),
            f"--kubeconfig={user}",
            f"--config={config}",
            f"--root-dir={root}",
            f"--cert-dir={root / 'pki'}",
            f"--hostname-override={NODE}",
            f"--node-ip={self.network.node}",
            log=self.logs / "kubelet.log",
        )

    def _start_proxy(self, program: Path, identities: Identities) -> None:
        self.room.start(
            PROXY.name,
            str(program),
            f"--kubeconfig={identities.write('system:kube-proxy')}",
            "--proxy-mode=nftables",
            f"--hostname-override={NODE}",
            f"--cluster-cidr={self.network.pods}",
            # These belong to the whole machine, and cannot be set from a network namespace.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            log=self.logs / "kube-proxy.log",
        )

    def _start_dns(self, program: Path, identities: Identities) -> None:
        user = identities.write("lab:dns", group="system:masters")
        corefile = self.data / "Corefile"
        text = _COREFILE.format(address=self.network.node, kubeconfig=user)
        corefile.write_text(text, encoding="utf-8")
        self.room.start(DNS.name, str(program), f"-conf={corefile}", log=self.logs / "coredns.log")


def _commands() -> Iterator[tuple[int, list[str]]]:
    """Yield the commands of all processes, by their ids."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            words = path.read_bytes().decode(errors="replace").split("\0")[:-1]
            if words:
                yield int(path.parent.name), words


def _pod_network(network: Network) -> Mapping[str, Any]:
    """Give each pod a link of its own: its traffic to other pods passes the node's filters, too.

    On a shared bridge, an answer of one pod to another would bypass the rewriting of Services.
    """
    plugin = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(network.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [plugin]}


def _kubelet_configuration(worker: Worker, ca: Path, root: Path) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(worker.network.node),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{worker.cgroup}",
        # Or all pods are in a group that those of other nodes are in, too.
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # A full disk of the machine is no reason to throw pods out, nor images, which came once.
        "evictionHard": {
            "nodefs.available": "0%",
            "imagefs.available": "0%",
            "memory.available": "50Mi",
        },
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [str(worker.network.node)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(root / "resolv.conf"),
        "podLogsDir": str(worker.logs / "pods"),
        "volumePluginDir": str(root / "volume-plugins"),
    }
