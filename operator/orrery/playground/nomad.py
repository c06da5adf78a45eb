"""A region as a real Nomad: server and client in one agent, with TLS and ACLs as in production."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orrery.adapters.pki import write_file
from orrery.api.workload import MEMORY_DEFAULT
from orrery.planning.split import CPU_MHZ_DEFAULT
from orrery.playground.credentials import RegionFiles
from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.playground.regions import RegionPlan

INSTANCES: Final = 40
"""What a region has room for, of the default size: its agent shares this machine with all others,
and a stand-in is a process of Python. Hundreds at once are more than a laptop bears."""
MOST_INSTANCES: Final = 2 * INSTANCES
"""What it takes of smaller ones."""
PRETENDED_CPU_MHZ: Final = INSTANCES * CPU_MHZ_DEFAULT
PRETENDED_MEMORY_MB: Final = INSTANCES * MEMORY_DEFAULT
"""What each agent believes to have, whatever is there."""

_FIRST_TASK_PORT: Final = 20_000
_TASK_PORTS: Final = 12_000
_NO_FINGERPRINTS: Final = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
"""They ask addresses outside this machine, and wait long for answers that do not come."""


@dataclass(frozen=True, slots=True)
class AgentPorts:
    """Where an agent listens, and which ports it may give to tasks."""

    http: int
    rpc: int
    serf: int
    first_task_port: int
    last_task_port: int

    @classmethod
    def reserve(cls, number: int, count: int) -> "AgentPorts":
        """Reserve ports for agent *number* of *count*."""
        return cls(reserve_port(), reserve_port(), reserve_port(), *task_ports(number, count))


def task_ports(number: int, count: int) -> tuple[int, int]:
    """Return the first and last port that agent *number* of *count* may give to tasks.

    The agents share one machine, and each believes all its ports free: so each gets its slice.
    """
    size = min(500, _TASK_PORTS // count)
    first = _FIRST_TASK_PORT + number * size
    return first, first + size - 1


def write_agent_config(plan: RegionPlan, files: RegionFiles, ports: AgentPorts) -> None:
    """Write the agent's configuration file."""
    config = render_agent_config(plan, files, ports)
    write_file(files.config, json.dumps(config, indent=2) + "\n")


def agent_command(nomad: Path, files: RegionFiles) -> tuple[str, ...]:
    """Return the command that runs the agent; the same one brings it back with its data."""
    return (str(nomad), "agent", f"-config={files.config}")


def render_agent_config(plan: RegionPlan, files: RegionFiles, ports: AgentPorts) -> dict[str, Any]:
    """Render the agent's configuration, in Nomad's JSON form."""
    return {
        "name": plan.name,
        "region": plan.name,
        "datacenter": plan.data_center,
        "data_dir": str(files.data),
        "bind_addr": LOOPBACK,
        "advertise": dict.fromkeys(("http", "rpc", "serf"), LOOPBACK),
        "ports": {"http": ports.http, "rpc": ports.rpc, "serf": ports.serf},
        "log_level": "INFO",
        "disable_update_check": True,
        "leave_on_interrupt": False,
        "leave_on_terminate": False,
        "acl": {"enabled": True},
        "server": {
            "enabled": True,
            "bootstrap_expect": 1,
            "event_buffer_size": 10_000,
            "heartbeat_grace": "60s",
            # After a power failure the agent knows what its last snapshot holds while it elects
            # itself again; without its keys in there, it would refuse its own running tasks.
            "raft_snapshot_threshold": 8,
            "raft_snapshot_interval": "2s",
        },
        "client": {
            "enabled": True,
            "servers": [f"{LOOPBACK}:{ports.rpc}"],
            "network_interface": "lo",
            "min_dynamic_port": ports.first_task_port,
            "max_dynamic_port": ports.last_task_port,
            "cpu_total_compute": PRETENDED_CPU_MHZ,
            "memory_total_mb": PRETENDED_MEMORY_MB,
            "node_max_allocs": MOST_INSTANCES,
            "options": {"fingerprint.denylist": _NO_FINGERPRINTS},
        },
        "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
        "tls": {
            "http": True,
            "rpc": True,
            "ca_file": str(files.ca),
            "cert_file": str(files.server_certificate),
            "key_file": str(files.server_key),
            "verify_server_hostname": True,
            "verify_https_client": True,
        },
        # By default 100 connections per source address, and here all come from one.
        "limits": {"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0},
        # A Consul that happens to run on this machine is none of ours.
        "consul": {"auto_advertise": False, "server_auto_join": False, "client_auto_join": False},
    }
