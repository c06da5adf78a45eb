"""A machine joins with what `orrery region bundle` writes: real verbs, API server and Nomads.

The front door is a port before one of the servers. What runs is what the bundle's files say; only
folders and addresses are those of the test.
"""

import asyncio
import json
import os
import signal
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.joins import JOINS_WITHIN, Fra
from tests.integration.test_region_servers import (
    BLUEPRINT,
    NETWORK,
    PORTS,
    REGION,
    STABLE_SECONDS,
    UDP_PORTS,
    Region,
    Secrets,
    Server,
    service_address,
)
from tests.lab.polling import until_blocking
from tests.lab.rest import Rest
from tests.lab.services import ServiceProxy

from orrery import names
from orrery.adapters.nomad.introduction import introduce
from orrery.adapters.pki import CryptographyPki
from orrery.api.base import API_VERSION
from orrery.ports import Credentials, Document
from orrery.reconcile.meshleaves import signing_texts
from orrery.render.bundle import LEEWAY
from orrery.render.bundle_files import CERTIFICATE, DATA_PLANE_TOKEN, KEY, LINK_CONFIGURATION, TOKEN

HOME: Final = f"orrery-{REGION}"

pytestmark = pytest.mark.timeout(300)


def a_secret(namespace: str, name: str, texts: dict[str, str], **annotations: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
        "data": {key: b64encode(text.encode()).decode() for key, text in texts.items()},
    }


def ours(kind: str, name: str, spec: dict[str, Any]) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def credentials_of(region: Region) -> Credentials:
    folder = region.secrets.folder / "operator-tls"
    texts = {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}
    return Credentials(
        f"https://{BLUEPRINT.address}:4646",
        region.token,
        texts["ca.crt"],
        texts["tls.crt"],
        texts["tls.key"],
    )


@pytest.fixture(scope="module")
def region(nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Run the servers, with a leader and the ACL system, and a way to them from the front door."""
    folder = tmp_path_factory.mktemp("region")
    held = Secrets(folder / "secrets")
    held.write()
    servers = [Server(nomad_binary, folder / f"{n}", held, n) for n in range(3)]
    region = Region(servers, held, ServiceProxy(PORTS, UDP_PORTS))
    region.proxy.start([*map(service_address, range(3)), BLUEPRINT.address])
    try:
        for server in servers:
            (server.folder / "data").mkdir(parents=True)
            region.start(server, f"{NETWORK}.{server.number + 1}")
        region.proxy.pods[BLUEPRINT.address] = servers[0].address
        until_blocking(lambda: all(server.leader() for server in servers), seconds=STABLE_SECONDS)
        assert region.bootstrap(servers[1]).returncode == 0
        yield region
    finally:
        for server in servers:
            server.stop()
        region.proxy.stop()


@pytest.fixture(scope="module")
def fra(
    region: Region,
    rest: Rest,
    kubeconfig: Path,
    nomad_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fra]:
    folder = tmp_path_factory.mktemp("machines")
    found = credentials_of(region)
    early = asyncio.run(introduce(found, machine="", lifetime=timedelta(seconds=1)))
    fra = Fra(region, rest, kubeconfig, nomad_binary, folder, early)
    pair = region.secrets.authority
    described = CryptographyPki().inspect(pair)
    assert described
    ca = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.certificate}
    shown = {"token": found.token, "ca.crt": found.ca, "tls.crt": found.certificate}
    shown["tls.key"] = found.key
    endpoint = {names.ANNOTATION_ENDPOINT: found.endpoint}
    documents: list[Document] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in (HOME, names.OPERATOR_NAMESPACE)
    ]
    documents += [
        a_secret(HOME, f"{REGION}-ca", ca),
        a_secret(names.OPERATOR_NAMESPACE, f"{REGION}-region-credentials", shown, **endpoint),
        ours("Continent", "eu", {"cluster": {"local": True}}),
        ours("RegionClass", "standard", {"nomad": {"image": "registry.example/nomad:2.0.6"}}),
        ours("Region", REGION, {"continent": "eu", "class": "standard"}),
        ours("Region", "par", {"continent": "eu", "class": "standard"}),
    ]
    for document in documents:
        reply = rest.apply(document)
        assert reply.ok, reply.message
    status = {
        "phase": "Open",
        "controlPlane": {
            "namespace": HOME,
            "address": BLUEPRINT.address,
            "authority": described.fingerprint,
            "bootstrapped": True,
        },
    }
    assert rest.write_status(documents[-2], status).ok
    try:
        yield fra
    finally:
        for machine in fra.machines:
            machine.stop()


def test_a_machine_joins_with_its_bundle_and_stays_itself_when_it_is_restarted(fra: Fra) -> None:
    machine = fra.joined("node1", 101, "--data-center", "fra1")

    node = fra.nodes()["node1"]
    assert (node["Datacenter"], node["Drivers"]["raw_exec"]["Healthy"]) == ("fra1", True)
    assert machine.asked_of_systemd == [
        "daemon-reload",
        "enable orrery-nomad orrery-expiry.timer",
        "restart orrery-nomad orrery-expiry.timer",
    ]

    machine.restart()

    until_blocking(lambda: "node registration complete" in machine.log.read_text())
    fra.until_ready("node1", machine)
    assert fra.nodes()["node1"]["ID"] == node["ID"]


def test_a_certificate_alone_does_not_let_a_machine_in(fra: Fra) -> None:
    file, command = fra.bundle("thief", "--machine", "thief")
    machine = fra.machine("thief", 102)
    assert machine.install(command, file.parent).returncode == 0
    (machine.root / TOKEN).unlink()

    machine.start()

    fra.until_refused(machine)
    assert "thief" not in fra.nodes()


def test_a_token_lets_no_machine_of_another_name_in(fra: Fra) -> None:
    file, command = fra.bundle("other", "--machine", "other")
    machine = fra.machine("other", 103)
    machine.own = {**machine.own, "name": "somebody"}
    assert machine.install(command, file.parent).returncode == 0

    machine.start()

    fra.until_refused(machine)
    assert not {"other", "somebody"} & fra.nodes().keys()


def test_a_new_bundle_is_taken_over_while_what_runs_goes_on(fra: Fra) -> None:
    machine = fra.joined("node3", 106)
    before = fra.nodes()["node3"]["ID"]
    held = (machine.root / CERTIFICATE).read_text()
    with fra.running("sleeper", on="node3") as allocation:
        file, command = fra.bundle("node3", "--machine", "node3")
        assert machine.install(command, file.parent).returncode == 0
        told = machine.log.stat().st_size
        machine.restart()

        def has_joined_again() -> bool:
            return "node registration complete" in machine.log.read_text()[told:]

        until_blocking(has_joined_again, seconds=JOINS_WITHIN, told=machine.log.read_text)
        fra.until_ready("node3", machine)
        now = fra.allocation("sleeper")

    assert (machine.root / CERTIFICATE).read_text() != held
    assert fra.nodes()["node3"]["ID"] == before
    assert (now["ID"], now["ClientStatus"]) == (allocation["ID"], "running")
    assert now["TaskStates"] == allocation["TaskStates"]


def test_a_machine_that_is_interrupted_leaves_in_order(fra: Fra) -> None:
    machine = fra.joined("node4", 107)

    assert machine.stop(signal.SIGINT) == 0

    def is_drained() -> bool:
        return bool(fra.nodes()["node4"]["SchedulingEligibility"] == "ineligible")

    until_blocking(is_drained)


def test_what_was_changed_on_its_way_is_not_unpacked(fra: Fra) -> None:
    file, command = fra.bundle("node5", "--machine", "node5")
    machine = fra.machine("node5", 108)
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)

    done: subprocess.CompletedProcess[str] = machine.install(command, file.parent)

    assert done.returncode != 0
    assert not (machine.root / KEY).exists()
    assert not (machine.root / "systemctl.log").exists()


def test_a_region_with_a_mesh_has_its_part_in_the_bundle(fra: Fra) -> None:
    nomad = {"image": "registry.example/nomad:2.0.6"}
    mesh = {"provider": "Kuma", "image": "registry.example/kuma-cp:2.14.3"}
    assert fra.rest.apply(ours("RegionClass", "standard", {"nomad": nomad, "mesh": mesh})).ok
    try:
        early = fra.orrery("region", "bundle", REGION, "-o", str(fra.folder / "early.tar"))
        _, without = fra.bundle("without", "--machine", "node8", "--no-mesh")
        keys = dict(signing_texts(CryptographyPki()))
        assert fra.rest.apply(a_secret(HOME, f"{REGION}-kuma-tokens", keys)).ok
        file, command = fra.bundle("meshed", "--machine", "node8")
    finally:
        assert fra.rest.apply(ours("RegionClass", "standard", {"nomad": nomad})).ok

    assert early.code == 1
    assert "the region's mesh is not there yet" in early.error
    assert "orrery-mesh" not in without
    assert command.strip().endswith("orrery-mesh orrery-data-plane@machine")
    machine = fra.machine("meshed", 111)
    machine.unpack(file)
    assert (machine.root / DATA_PLANE_TOKEN).stat().st_mode & 0o777 == 0o600
    link = json.loads((machine.root / LINK_CONFIGURATION).read_text())
    assert BLUEPRINT.address in json.dumps(link["static_resources"]["clusters"])


def test_a_region_that_is_not_there_yet_has_no_bundle(fra: Fra) -> None:
    said = fra.orrery("region", "bundle", "par")

    assert said.code == 1
    assert said.error == ('Error: Region "par" has no control plane that machines could join yet\n')


def test_a_file_that_exists_is_not_written_over(fra: Fra) -> None:
    file, _ = fra.bundle("kept")
    before = file.read_bytes()

    said = fra.orrery("region", "bundle", REGION, "-o", str(file))

    assert said.code == 1
    assert "exists: choose another name, or add --force" in said.error
    assert file.read_bytes() == before
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_expired_token_lets_nobody_in_and_harms_no_machine_that_has_joined(fra: Fra) -> None:
    machine, late = fra.joined("node2", 104), fra.machine("late", 105)
    before = fra.nodes()["node2"]["ID"]
    late.install(fra.bundle("late", "--machine", "late")[1], fra.folder)
    end = fra.early.expires + LEEWAY + timedelta(seconds=1)
    until_blocking(lambda: datetime.now(UTC) > end, seconds=2 * LEEWAY.total_seconds())
    for one in (machine, late):
        (one.root / TOKEN).write_text(fra.early.token)

    machine.restart()
    late.start()

    fra.until_refused(late)
    fra.until_ready("node2", machine)
    assert "late" not in fra.nodes()
    assert fra.nodes()["node2"]["ID"] == before


def test_a_machine_whose_node_was_deleted_comes_back_by_itself(fra: Fra) -> None:
    """Why to delete a node shuts nobody out, as the page on joining machines says."""
    machine = fra.joined("node6", 109)
    node = fra.nodes()["node6"]["ID"]
    machine.stop()
    (machine.root / TOKEN).unlink()
    fra.nomad("operator", "api", "-X", "POST", f"/v1/node/{node}/purge")
    assert "node6" not in fra.nodes()

    machine.start()

    fra.until_ready("node6", machine)


def test_a_machine_comes_back_when_the_servers_lost_the_key_of_its_identity(fra: Fra) -> None:
    """As after a restore. A token that is left over would keep it out, so it is not left over."""
    machine = fra.joined("node7", 110)
    before = fra.nodes()["node7"]["ID"]
    machine.stop()
    lost = json.loads(fra.nomad("operator", "api", "/v1/operator/keyring/keys"))
    fra.nomad("operator", "root", "keyring", "rotate", "-now")
    for key in lost:
        fra.nomad("operator", "root", "keyring", "remove", "-force", key["KeyID"])
    old = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(machine.root / TOKEN, (old, old))
    told = machine.log.stat().st_size

    machine.start()

    def is_back() -> bool:
        return "node registration complete" in machine.log.read_text()[told:]

    until_blocking(is_back, seconds=JOINS_WITHIN, told=machine.log.read_text)
    assert not (machine.root / TOKEN).exists()
    assert fra.nodes()["node7"]["ID"] == before
