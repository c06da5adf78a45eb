"""The rendered servers of a region, run as they are: real Nomads that elect, refuse and come back.

What a loopback cannot have is changed, and nothing else: folders are those of the test, names in
DNS are addresses, and three servers that share a machine cannot each listen everywhere. Between the
addresses of Services and those of pods stands what a kube-proxy would do.
"""

import base64
import json
import os
import secrets
import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final

import pytest
from tests.lab.polling import until_blocking
from tests.lab.services import ServiceProxy
from tests.unit.render.region.blueprints import a_blueprint

from orrery import names
from orrery.adapters.pki import KeyPair, Usage, create_authority, issue, write_file
from orrery.render.region.bootstrap import TOKEN_FOLDER, render_bootstrap
from orrery.render.region.nomad_pod import TLS_FOLDER
from orrery.render.region.servers import DATA_FOLDER, GOSSIP_FOLDER, SERVER_FOLDER, render_servers

REGION: Final = "fra"
NETWORK: Final = f"127.{os.getpid() // 250 % 200 + 20}.{os.getpid() % 250 + 1}"
"""Addresses of this run alone: the ports are the product's."""

BLUEPRINT: Final = a_blueprint(REGION, address=f"{NETWORK}.100")
"""Nothing listens at the load balancer's address: servers do not need it for each other."""

PORTS, UDP_PORTS = (4646, 4647, 4648), (4648,)

STABLE_SECONDS: Final = 120.0


def service_address(number: int) -> str:
    """Name the address of one server's Service, which stays."""
    return f"{NETWORK}.{50 + number}"


@dataclass
class Secrets:
    """The Secrets of a region, written as a kubelet mounts them."""

    folder: Path
    authority: KeyPair = field(default_factory=lambda: create_authority(REGION))
    token: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)

    def write(self) -> None:
        usages = [Usage.SERVER, Usage.CLIENT]
        self.write_certificate("nomad-tls", names.server_host(REGION), usages, self.authority)
        self.write_operator("operator-tls", self.authority)
        self.write_operator("foreign-tls", create_authority("another"))
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        write_file(self.folder / "gossip/gossip.json", json.dumps({"server": {"encrypt": key}}))
        write_file(self.folder / "bootstrap-token/token", self.token)

    def write_operator(self, secret: str, authority: KeyPair) -> None:
        self.write_certificate(secret, names.operator_host(REGION), [Usage.CLIENT], authority)

    def write_certificate(
        self, secret: str, host: str, usages: list[Usage], authority: KeyPair
    ) -> None:
        hosts = [host, "localhost", "127.0.0.1", BLUEPRINT.address]
        pair = issue(authority, host, hosts=hosts, usages=usages)
        for key, value in (
            ("tls.crt", pair.certificate),
            ("tls.key", pair.key),
            ("ca.crt", self.authority.certificate),
        ):
            write_file(self.folder / secret / key, value)


@dataclass
class Server:
    """One pod of the StatefulSet as a process; another start may have another address."""

    binary: Path
    folder: Path
    secrets: Secrets
    number: int
    address: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def start(self, address: str) -> None:
        self.address = address
        manifests = {manifest["kind"]: manifest for manifest in render_servers(BLUEPRINT)}
        (container,) = manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"]
        pod = {"POD_NAME": f"{BLUEPRINT.name}-nomad-{self.number}"}
        moved = {
            SERVER_FOLDER: self.folder / "server",
            GOSSIP_FOLDER: self.secrets.folder / "gossip",
            TLS_FOLDER: self.secrets.folder / "nomad-tls",
            DATA_FOLDER: self.folder / "data",
        }
        for name, text in manifests["ConfigMap"]["data"].items():
            write_file(self.folder / "server" / name, on_loopback(moves(text, moved), address))
        environment = {
            e["name"]: moves(e["value"], moved) for e in container["env"] if "value" in e
        }
        assert {e["name"] for e in container["env"] if "valueFrom" in e} == pod.keys()
        arguments = [expands(moves(argument, moved), pod) for argument in container["args"]]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "HOME": str(self.folder), **environment},
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    @property
    def log(self) -> Path:
        return self.folder / "nomad.log"

    def call(
        self, path: str, *, token: str = "", secret: str | None = "operator-tls"
    ) -> tuple[int, Any]:
        """Ask as the operator does, with the certificate of *secret*."""
        context = ssl.create_default_context(cadata=self.secrets.authority.certificate)
        if secret:
            where = self.secrets.folder / secret
            context.load_cert_chain(where / "tls.crt", where / "tls.key")
        with socket.create_connection((self.address, 4646), timeout=10) as plain:
            host = names.server_host(REGION)
            with context.wrap_socket(plain, server_hostname=host) as encrypted:
                connection = HTTPSConnection(host)
                connection.sock = encrypted
                connection.request("GET", path, headers={"X-Nomad-Token": token} if token else {})
                reply = connection.getresponse()
                content = reply.read().decode()
        try:
            return reply.status, json.loads(content)
        except ValueError:
            return reply.status, content

    def leader(self) -> str:
        """Name the leader as this server knows it; empty while it knows none or does not answer."""
        try:
            status, leader = self.call("/v1/status/leader")
        except OSError:
            return ""
        return str(leader) if status == 200 else ""


def moves(text: str, folders: Mapping[str, Path]) -> str:
    for mounted, folder in folders.items():
        text = text.replace(mounted, str(folder))
    return text


def expands(text: str, variables: Mapping[str, str]) -> str:
    """Fill in variables as a kubelet does in arguments."""
    for name, value in variables.items():
        text = text.replace(f"$({name})", value)
    assert "$(" not in text
    return text


def on_loopback(text: str, address: str) -> str:
    """Change what three servers on one machine cannot have; the rest is as it was rendered."""
    for number in range(3):
        name = f"{REGION}-nomad-{number}.{BLUEPRINT.namespace}.svc"
        text = text.replace(f'"{name}', f'"{service_address(number)}')
    return text.replace('"bind_addr": "0.0.0.0"', f'"bind_addr": "{address}"')


@dataclass
class Region:
    """All servers, and the command of the Job."""

    servers: list[Server]
    secrets: Secrets
    proxy: ServiceProxy

    def start(self, server: Server, address: str) -> None:
        self.proxy.pods[service_address(server.number)] = address
        server.start(address)

    @property
    def token(self) -> str:
        return self.secrets.token

    def bootstrap(self, through: Server) -> subprocess.CompletedProcess[str]:
        (job,) = render_bootstrap(BLUEPRINT)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        moved = {
            TLS_FOLDER: self.secrets.folder / "operator-tls",
            TOKEN_FOLDER: self.secrets.folder / "bootstrap-token",
        }
        service = f"{REGION}-nomad.orrery-{REGION}.svc"
        arguments = [moves(argument, moved) for argument in container["args"]]
        assert [a for a in arguments if service in a] == [f"-address=https://{service}:4646"]
        return subprocess.run(
            [through.binary, *(a.replace(service, through.address) for a in arguments)],
            env={"PATH": os.defpath, "HOME": str(self.secrets.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def voters(self) -> set[str]:
        """List the addresses of the servers that vote; none while not all known are well."""
        status, health = self.servers[0].call("/v1/operator/autopilot/health", token=self.token)
        return {s["Address"] for s in health["Servers"] if s["Voter"]} if status == 200 else set()


@pytest.fixture(scope="module")
def servers(nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("region")
    held = Secrets(folder / "secrets")
    held.write()
    servers = [Server(nomad_binary, folder / f"{n}", held, n) for n in range(3)]
    region = Region(servers, held, ServiceProxy(PORTS, UDP_PORTS))
    region.proxy.start(service_address(n) for n in range(3))
    try:
        for server in region.servers:
            (server.folder / "data").mkdir(parents=True)
            region.start(server, f"{NETWORK}.{server.number + 1}")
        yield region
    finally:
        for server in region.servers:
            server.stop()
        region.proxy.stop()


@pytest.fixture(scope="module")
def region(servers: Region) -> Region:
    """Have a leader and the ACL system, as the first layers and the Job leave them."""
    until_blocking(lambda: all(server.leader() for server in servers.servers))
    done = servers.bootstrap(servers.servers[1])
    assert done.returncode == 0, done.stderr
    assert servers.token not in done.stdout + done.stderr
    until_blocking(lambda: len(servers.voters()) == 3, seconds=STABLE_SECONDS)
    return servers


ALL = {f"{service_address(number)}:4647" for number in range(3)}


def test_the_servers_elect_a_leader_that_all_know(region: Region) -> None:
    known = {server.leader() for server in region.servers}

    assert len(known) == 1
    assert known <= region.voters()
    assert region.voters() == ALL


def test_the_stored_token_manages_and_nobody_does_anything_without_one(region: Region) -> None:
    for server in region.servers:
        status, token = server.call("/v1/acl/token/self", token=region.token)

        assert (status, token["Type"]) == (200, "management")
        assert server.call("/v1/nodes")[0] == 403


def test_a_second_bootstrap_fails_and_harms_nothing(region: Region) -> None:
    again = region.bootstrap(region.servers[2])

    assert again.returncode != 0
    assert "ACL bootstrap already done" in again.stderr
    assert region.token not in again.stdout + again.stderr
    assert region.servers[0].call("/v1/acl/token/self", token=region.token)[0] == 200


@pytest.mark.parametrize(
    "secret", [pytest.param("foreign-tls", id="another-authority"), pytest.param(None, id="none")]
)
def test_whoever_has_no_certificate_of_the_region_is_refused(
    region: Region, secret: str | None
) -> None:
    for server in region.servers:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            server.call("/v1/status/leader", token=region.token, secret=secret)


def test_nomad_has_understood_its_configuration(region: Region) -> None:
    for server in region.servers:
        _, facts = server.call("/v1/agent/self", token=region.token)

        config = facts["config"]
        assert (config["Region"], config["Datacenter"]) == (REGION, "control-plane")
        assert config["AdvertiseAddrs"]["RPC"] == f"{BLUEPRINT.address}:4647"
        assert config["AdvertiseAddrs"]["Serf"] == f"{service_address(server.number)}:4648"
        assert config["Limits"]["HTTPMaxConnsPerClient"] == 0
        assert config["Limits"]["RPCMaxConnsPerClient"] == 0
        assert config["Server"]["HeartbeatGrace"] == 60 * 10**9
        assert config["Server"]["EventBufferSize"] == 10_000
        assert config["LeaveOnTerm"] is False
        assert facts["stats"]["serf"]["encrypted"] == "true"


def test_a_server_that_returns_with_another_address_votes_again(region: Region) -> None:
    moved = region.servers[2]

    moved.stop()
    region.start(moved, f"{NETWORK}.33")

    until_blocking(moved.leader, seconds=STABLE_SECONDS)
    until_blocking(lambda: region.voters() == ALL, seconds=STABLE_SECONDS, told=region.voters)
    assert moved.call("/v1/acl/token/self", token=region.token)[0] == 200


def test_servers_that_all_return_with_other_addresses_find_each_other(region: Region) -> None:
    for server in region.servers:
        server.stop()
    for server in region.servers:
        region.start(server, f"{NETWORK}.{server.number + 71}")

    until_blocking(lambda: all(s.leader() for s in region.servers), seconds=STABLE_SECONDS)
    until_blocking(lambda: region.voters() == ALL, seconds=STABLE_SECONDS, told=region.voters)
    assert region.servers[0].call("/v1/acl/token/self", token=region.token)[0] == 200
