"""A real agent's configuration: TLS and ACLs as in production, and room for its neighbours."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orrery.api.workload import MEMORY_DEFAULT
from orrery.planning.split import CPU_MHZ_DEFAULT
from orrery.playground.credentials import RegionFiles
from orrery.playground.nomad import AgentPorts, render_agent_config, task_ports
from orrery.playground.regions import RegionPlan

PORTS = AgentPorts(http=1, rpc=2, serf=3, first_task_port=4, last_task_port=5)


def test_tls_wants_client_certificates_and_acls_are_on() -> None:
    config = render_agent_config(RegionPlan("fra", "eu"), RegionFiles(Path("/r/fra")), PORTS)

    assert config["tls"]["verify_https_client"]
    assert config["tls"]["verify_server_hostname"]
    assert config["acl"] == {"enabled": True}
    assert (config["region"], config["datacenter"]) == ("fra", "fra1")


def test_everything_listens_on_loopback() -> None:
    config = render_agent_config(RegionPlan("fra", "eu"), RegionFiles(Path("/r/fra")), PORTS)

    assert config["bind_addr"] == "127.0.0.1"
    assert set(config["advertise"].values()) == {"127.0.0.1"}
    assert not config["consul"]["server_auto_join"]


def test_machine_offers_room_for_forty_instances_of_the_default_size() -> None:
    client = render_agent_config(RegionPlan("fra", "eu"), RegionFiles(Path("/r/fra")), PORTS)[
        "client"
    ]

    assert client["cpu_total_compute"] == 40 * CPU_MHZ_DEFAULT
    assert client["memory_total_mb"] == 40 * MEMORY_DEFAULT
    assert client["node_max_allocs"] == 80


@given(st.integers(1, 100))
def test_agents_never_share_a_task_port(count: int) -> None:
    slices = [task_ports(number, count) for number in range(count)]

    assert all(before[1] < after[0] for before, after in pairwise(slices))
    assert all(20_000 <= first < last < 32_768 for first, last in slices)
