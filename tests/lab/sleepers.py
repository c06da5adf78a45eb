"""Deployments that only sleep, so cheap that hundreds run, and what a region tells of them.

What is looked at is Nomad's own: versions, evaluations, allocations and when their tasks started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.builders import a_deployment
from tests.lab.nomad import NomadAgent

from orrery.api.base import API_VERSION
from orrery.api.regionclass import Driver
from orrery.names import TASK
from orrery.ports import Document

NAMESPACE: Final = "default"
TENANT: Final = "orrery-default"

AGENT: Final[dict[str, Any]] = {
    "client": {
        "cpu_total_compute": 200_000,
        "memory_total_mb": 999_999,
        "options": {
            "driver.raw_exec.enable": "true",
            "fingerprint.denylist": "env_aws,env_gce,env_azure,consul,vault",
        },
    },
    "limits": {"http_max_conns_per_client": 0},
}
"""Room for hundreds of them on one agent."""


@dataclass(frozen=True)
class Seen:
    """What must not change when a job is only taken over."""

    jobs: dict[str, tuple[int, int]]
    """Version and JobModifyIndex by job."""
    instances: dict[str, tuple[str, int, int, str]]
    """Job, version, restarts and start of the task, by id of the allocation."""
    evaluations: frozenset[str]
    """Each register makes one, also one that changes nothing."""


def sleeper_class(name: str, agent: NomadAgent) -> Document:
    """Render a class whose only driver sleeps, inside the agent where that can do it.

    Else it takes two processes of Nomad and one of the system for each instance.
    """
    (node,) = agent.call("GET", "/v1/nodes")
    config: dict[str, Any] = {"command": "/bin/sleep", "args": ["infinity"]}
    driver = Driver(name="sleep", nomad_driver="raw_exec", port_mapping=False, config=config)
    if "mock_driver" in node["Drivers"]:
        config = {"run_for": "1000h"}
        driver = Driver(name="sleep", nomad_driver="mock_driver", port_mapping=False, config=config)
    drivers = [driver.model_dump(by_alias=True)]
    return {
        "apiVersion": API_VERSION,
        "kind": "RegionClass",
        "metadata": {"name": name},
        "spec": {"nomad": {"drivers": drivers}},
    }


def a_sleeper(name: str, regions: Sequence[str], *, count: int = 1, **spec: Any) -> dict[str, Any]:
    """Make a deployment of *count* instances in each region that sleep."""
    whole = {
        "type": "WORKER",
        "ports": [],
        "placement": {"regions": list(regions)},
        "scaling": {"count": count},
        "resources": {"cpuMHz": 20, "memoryMB": 20},
        "update": {"minHealthyTime": "1s"},
        **spec,
    }
    return a_deployment(name, namespace=NAMESPACE, **whole)


def look(agent: NomadAgent) -> Seen:
    """Look at all jobs of the tenant in a region."""
    names = [stub["ID"] for stub in _listed(agent, "jobs")]
    jobs = {name: agent.call("GET", f"/v1/job/{name}?namespace={TENANT}") for name in names}
    return Seen(
        jobs={name: (job["Version"], job["JobModifyIndex"]) for name, job in jobs.items()},
        instances={row["ID"]: _instance(row) for row in _listed(agent, "allocations")},
        evaluations=frozenset(row["ID"] for row in _listed(agent, "evaluations")),
    )


def registers(agent: NomadAgent, name: str) -> int:
    """Count the registers of a job, those that changed nothing included."""
    path = f"/v1/job/{name}/evaluations?namespace={TENANT}"
    return sum(row["TriggeredBy"] == "job-register" for row in agent.call("GET", path))


def all_is_over(agent: NomadAgent) -> bool:
    """Tell whether nothing is under way in a region: no evaluation, no deployment."""
    busy = {"pending", "running", "blocked"}
    rows = [*_listed(agent, "evaluations"), *_listed(agent, "deployments")]
    return not any(row["Status"] in busy for row in rows)


def _listed(agent: NomadAgent, what: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = agent.call("GET", f"/v1/{what}?namespace={TENANT}")
    return rows


def _instance(row: dict[str, Any]) -> tuple[str, int, int, str]:
    assert row["ClientStatus"] == "running", row
    task = row["TaskStates"][TASK]
    return row["JobID"], row["JobVersion"], task["Restarts"], task["StartedAt"]
