"""What a reader sees of a job: every field, with its default."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import SECOND, Document, a_full_job, a_job, group_of, task_of
from tests.contract.recorded import hold, timeless

Edit = Callable[[Document], object]


def _minimal(job_type: str | None) -> Document:
    task = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/sleep"}}
    return {"Type": job_type, "TaskGroups": [{"Name": "g", "Count": 0, "Tasks": [task]}]}


def _levels() -> Document:
    """Settings of the job that groups take over, and of groups that tasks take over."""
    sleeper = {"Name": "t", "Driver": "raw_exec"}
    restless = sleeper | {"RestartPolicy": {"Attempts": 9}}
    helper = {
        "Name": "u",
        "Driver": "raw_exec",
        "User": "me",
        "KillTimeout": SECOND,
        "Lifecycle": {"Hook": "prestart"},
        "Services": [{"Provider": "nomad", "Name": "x"}],
    }
    return {
        "Update": {"MaxParallel": 3, "Canary": 1},
        "TaskGroups": [
            {"Name": "g", "Count": 0, "Tasks": [sleeper]},
            {
                "Name": "h",
                "Count": 0,
                "Update": {"MaxParallel": 0},
                "Tasks": [restless, helper],
            },
        ],
    }


def _empties() -> Document:
    job = a_full_job("", count=0)
    job |= {"Affinities": [], "Spreads": [], "Constraints": [], "Meta": {}, "UI": {}}
    group_of(job).update(Networks=[], Services=[], Constraints=[], Affinities=[], Spreads=[])
    task_of(job).update(Templates=[], Env={}, Config={}, Constraints=[])
    return job


def _sparse() -> Document:
    """Blocks that say as little as they may."""
    job = a_full_job("", count=0)
    check = {
        "Type": "http",
        "Path": "/h",
        "Interval": SECOND,
        "Timeout": SECOND,
        "CheckRestart": {"Limit": 2},
    }
    group_of(job).update(
        Services=[
            {"Provider": "nomad", "PortLabel": "z"},
            {"Provider": "nomad", "Name": "y", "PortLabel": "z", "Checks": [check]},
        ],
        Networks=[
            {
                "Mode": "bridge",
                "ReservedPorts": [{"Label": "q", "Value": 8080}],
                "DynamicPorts": [{"Label": "z"}],
            }
        ],
        Disconnect={"LostAfter": SECOND},
        Constraints=[
            {"LTarget": "${attr.kernel.name}", "RTarget": "linux", "Operand": "="},
            {"Operand": "distinct_hosts"},
        ],
        Affinities=[{"LTarget": "a", "RTarget": "b", "Operand": "="}],
        Spreads=[{"Attribute": "x"}],
        ReschedulePolicy={"Attempts": 0, "Unlimited": False},
    )
    task_of(job).update(
        Templates=[{"DestPath": "local/x", "EmbeddedTmpl": "y"}],
        Affinities=[{"LTarget": "a", "RTarget": "b", "Operand": "="}],
        Resources={"CPU": 7},
    )
    return job | {"UI": {"Links": [{"Label": "a", "URL": "http://b"}]}}


def _rare() -> Document:
    """Settings that few jobs have."""
    job = a_full_job("", count=0)
    group_of(job).update(
        Meta={"a": "b"},
        EphemeralDisk={"SizeMB": 10},
        Migrate={"MaxParallel": 2},
        ShutdownDelay=SECOND,
    )
    task_of(job).update(
        LogConfig={"MaxFiles": 1, "MaxFileSizeMB": 1},
        ShutdownDelay=SECOND,
        KillSignal="SIGINT",
        Leader=True,
        Meta={"x": "y"},
        Services=[{"Provider": "nomad", "PortLabel": "p3000"}],
        Constraints=[{"LTarget": "${attr.kernel.name}", "RTarget": "linux", "Operand": "="}],
    )
    return job


def _consul() -> Document:
    job = a_full_job("", count=0)
    group_of(job)["Services"] = [{"Name": "y", "PortLabel": "p3000"}]
    return job


JOBS: dict[str, Document] = {
    "full": a_full_job("", count=0),
    "mock": a_job("", count=0),
    "minimal": _minimal(None),
    "minimal-service": _minimal("service"),
    "minimal-batch": _minimal("batch"),
    "minimal-system": _minimal("system"),
    "minimal-sysbatch": _minimal("sysbatch"),
    "levels": _levels(),
    "empties": _empties(),
    "sparse": _sparse(),
    "rare": _rare(),
    "consul": _consul(),
}


@pytest.mark.parametrize("name", JOBS)
async def test_every_field_is_shown_with_its_default(nomad: Nomad, name: str) -> None:
    job_id = nomad.name()
    job = JOBS[name] | {"ID": job_id, "Name": "the-job"}

    await nomad.register(job)
    shown = timeless(await nomad.job(job_id))

    assert shown.pop("ID") == job_id
    # Whether it has been looked at by now differs from run to run.
    assert shown.pop("Status") in {"pending", "running", "dead"}
    hold(nomad, f"job-{name}", shown)


async def test_versions_show_the_same_as_the_job(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_full_job(job_id, count=0))

    async def both() -> tuple[Any, Any]:
        versions = (await nomad.get(f"/v1/job/{job_id}/versions")).json["Versions"]
        return versions[0], await nomad.job(job_id)

    version, job = await both()

    assert version.keys() == job.keys()
    assert version["TaskGroups"] == job["TaskGroups"]
