"""The probe job on a real Nomad: it runs, is read, runs again, and says why it cannot."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.builders import a_continent, a_region
from tests.contract.conftest import ROOMY, TOKEN
from tests.lab.nomad import NomadAgent
from tests.lab.polling import until

from orrery import names
from orrery.adapters.clock import SystemClock
from orrery.adapters.memory import MemoryClusterFactory, MemoryHub
from orrery.adapters.nomad import NomadClientFactory
from orrery.adapters.pki import CryptographyPki
from orrery.api.base import API_VERSION
from orrery.api.regionclass import Driver, ProbeClass
from orrery.config import Config
from orrery.planning import probing
from orrery.planning.probes import MachineProbe
from orrery.planning.probing import Output, Run
from orrery.ports import Allocation, Credentials, Kind, RegionNomad, Secret, Submission
from orrery.reconcile.controller import Controller
from orrery.reconcile.fleet import Member
from orrery.render.probe import LINGER, render_probe
from orrery.sim import Machine, SimulatedRegion, serve
from orrery.telemetry import Telemetry

SYSTEM = names.system_namespace("orrery")
ORRERY = str(Path(sys.executable).with_name("orrery"))
HOST = Driver(name="host", nomad_driver="raw_exec", config={"command": ORRERY, "args": ["{args}"]})
SHORT = "2"
"""Seconds that a run lingers here: long enough to be read, and not to make a failed one slow."""
RUN = Run(begun=1.0, digest="d", asked="", machines="m")


def credentials(agent: NomadAgent, token: str = "") -> Credentials:
    return Credentials(endpoint=agent.address, token=token or agent.token)


@pytest.fixture(scope="module")
def full_agent(
    nomad_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NomadAgent]:
    """An agent that drops the logs of what has ended at once, as a full machine does."""
    folder = tmp_path_factory.mktemp("nomad")
    agent = NomadAgent(str(nomad_binary), folder, {"client": {**ROOMY, "gc_max_allocs": 1}})
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture
async def region(full_agent: NomadAgent) -> AsyncIterator[RegionNomad]:
    client = NomadClientFactory().connect(credentials(full_agent))
    await client.create_namespace(SYSTEM, "the system's")
    yield client
    if await client.read_job(SYSTEM, names.PROBE_JOB):
        await client.purge_job(SYSTEM, names.PROBE_JOB)
    await client.close()


async def ran(
    region: RegionNomad, address: str, *, driver: Driver = HOST, writer: RegionNomad | None = None
) -> tuple[Allocation, Output | None]:
    """Run the probe, once more if need be, until there is all to know of it."""
    probe = ProbeClass(image="registry.example/orrery:1")
    document = render_probe(
        probe, address=address, install="orrery", driver=driver, region_class="standard"
    )
    config = document["TaskGroups"][0]["Tasks"][0]["Config"]
    if "args" in config:
        assert config["args"][-2:] == ["--linger", str(LINGER)]
        config["args"][-1] = SHORT
    before = await region.read_job(SYSTEM, names.PROBE_JOB)
    version = before.version + 1 if before else 0
    await (writer or region).register_job(
        {**document, "Meta": RUN.meta("orrery") | {"version": str(version)}},
        expected_index=before.job_modify_index if before else 0,
        submission=Submission("{}"),
    )

    output: Output | None = None

    async def told() -> tuple[Allocation, Output | None] | None:
        nonlocal output
        listed = await region.list_allocations(SYSTEM, names.PROBE_JOB)
        for run in probing.newest(listed, version).values():
            over = probing.is_over(run)
            if probing.is_readable(run):
                text = await region.read_log(run.id, names.PROBE_JOB)
                output = probing.newer(output, text, over=over)
            if over or (output is not None and not output.error):
                return run, output
        return None

    return await until(told)


async def judged(
    region: RegionNomad, allocation: Allocation, output: Output | None
) -> MachineProbe:
    (node,) = await region.list_nodes()
    return probing.judge(node, allocation, output, waited=0)


async def test_a_run_tells_how_far_an_address_is_and_can_be_repeated(
    region: RegionNomad, full_agent: NomadAgent
) -> None:
    address = full_agent.address.removeprefix("http://")
    first, _ = await ran(region, address)
    second, output = await ran(region, address)

    probe = await judged(region, second, output)
    assert first.id != second.id
    assert (probe.outcome, probe.pulled, probe.message) == ("Passed", True, "")
    assert len(probe.latencies) == 20
    assert 0 < max(probe.latencies) < 2


async def test_an_address_that_refuses_fails_in_the_probes_words(region: RegionNomad) -> None:
    probe = await judged(region, *await ran(region, "127.0.0.1:1"))

    assert (probe.outcome, probe.pulled) == ("Failed", True)
    assert probe.message == "20 of 20 connects to 127.0.0.1:1 failed: connection refused"


async def test_a_program_that_is_not_there_fails_in_nomads_words(region: RegionNomad) -> None:
    nothing = HOST.model_copy(update={"config": {"command": "/no/such/program"}})

    probe = await judged(region, *await ran(region, "127.0.0.1:1", driver=nothing))

    assert (probe.outcome, probe.pulled) == ("Failed", None)
    assert "/no/such/program" in probe.message


async def test_a_log_that_never_was_is_none(region: RegionNomad) -> None:
    nobody = "e0000000-0000-0000-0000-000000000000"

    assert await region.read_log(nobody, names.PROBE_JOB) is None


async def test_five_rights_in_the_namespace_of_the_system_are_enough(
    region: RegionNomad, full_agent: NomadAgent
) -> None:
    rights = ["read-job", "list-jobs", "register-job", "purge-job", "read-logs"]
    rules = f'namespace "{SYSTEM}" {{ capabilities = {str(rights).replace(chr(39), chr(34))} }}'
    full_agent.call("PUT", "/v1/acl/policy/probe", {"Name": "probe", "Rules": rules})
    body = {"Type": "client", "Policies": ["probe"]}
    token = full_agent.call("PUT", "/v1/acl/token", body)["SecretID"]
    narrow = NomadClientFactory().connect(credentials(full_agent, token))
    try:
        _, output = await ran(narrow, full_agent.address.removeprefix("http://"))
        await narrow.purge_job(SYSTEM, names.PROBE_JOB)
    finally:
        await narrow.close()

    assert output
    assert len(output.seconds) == 20
    assert await region.read_job(SYSTEM, names.PROBE_JOB) is None


async def test_the_operator_probes_an_external_region_and_leaves_one_job(
    region: RegionNomad, full_agent: NomadAgent
) -> None:
    async with an_operator(full_agent.address, full_agent.token) as member:
        await until(lambda: (m := member()) and m.probed_at)
        found = member()
        assert found
        assert [probe.outcome for probe in found.probes or ()] == ["Passed"]
        assert list(probing.medians(found.probes or ())) == ["dc1"]

    async with an_operator(full_agent.address, full_agent.token) as again:
        await until(lambda: (m := again()) and m.probed_at)

    job = await region.read_job(SYSTEM, names.PROBE_JOB)
    assert job
    assert (job.version, job.document["Priority"], job.document["Type"]) == (0, 1, "sysbatch")


async def test_the_operator_probes_every_machine_of_a_simulated_region() -> None:
    machines = [Machine(name, datacenter="fra1") for name in ("m1", "m2")]
    says = {"run_for": "10ms", "stdout_string": '{"seconds": [0.012]}', "args": "{args}"}
    driver = Driver(name="mock", nomad_driver="mock_driver", config=says)
    region = SimulatedRegion(token=TOKEN, nodes=machines)
    async with serve([region]) as served:
        address = served.address(region.name)
        async with an_operator(address, TOKEN, driver) as member:
            await until(lambda: (m := member()) and m.probed_at)
            found = member()

    assert found
    assert list(found.probes or ()) == [
        MachineProbe(name, "fra1", "Passed", pulled=True, latencies=(0.012,))
        for name in ("m1", "m2")
    ]


@asynccontextmanager
async def an_operator(address: str, token: str, driver: Driver = HOST) -> AsyncIterator[Any]:
    """Run a controller over one External region; yields what looks at its Member."""
    hub = MemoryHub()
    controller = Controller(
        hub=hub,
        nomad=NomadClientFactory(),
        clusters=MemoryClusterFactory({}),
        pki=CryptographyPki(),
        clock=SystemClock(),
        config=Config(),
        telemetry=Telemetry(),
        random=Random(7),
    )
    hub.observer = controller.observe
    body = a_region("fra")
    body["spec"]["controlPlane"]["external"]["nomadAddress"] = address
    hub.secrets["orrery-system", "fra-nomad"] = Secret(
        "orrery-system",
        "fra-nomad",
        "Opaque",
        {"orrery.dev/endpoint": address},
        {"token": token.encode()},
    )
    drivers = [driver.model_dump(by_alias=True)]
    spec = {"nomad": {"drivers": drivers}, "probe": {"image": "registry.example/orrery:1"}}
    metadata = {"name": "standard"}
    class_ = {
        "apiVersion": API_VERSION,
        "kind": "RegionClass",
        "metadata": metadata,
        "spec": spec,
    }
    hub.apply(Kind.CONTINENT, a_continent())
    hub.apply(Kind.REGION_CLASS, class_)
    hub.apply(Kind.REGION, body)
    await controller.start()

    def member() -> Member | None:
        return controller._fleet.member("fra")

    try:
        yield member
    finally:
        await controller.stop()
