"""Render the probe job: `orrery probe` once on every machine of a region.

Pure. It yields to everything: the lowest priority, so that it takes nobody's place, and a place of
its own in no tenant's namespace.
"""

from typing import Final

from orrery import names
from orrery.api.base import nanoseconds
from orrery.api.globaldeployment import DataCenters, Update
from orrery.api.region import ControlPlaneStatus, Region
from orrery.api.regionclass import Driver, ProbeClass
from orrery.ports import Document
from orrery.regional import RegionalDeployment
from orrery.render.driver import fill_driver
from orrery.render.region.blueprint import RPC_PORT

PRIORITY: Final = 1
CONNECTS: Final = 20
LINGER: Final = 20
"""Seconds that a run stays after it has printed: a machine whose disk is 80 % full, or that has
held more than 50 allocations, drops what has ended, logs and all, at once (Nomad 2.0.6)."""

CPU_MHZ: Final = 50
MEMORY_MB: Final = 64
DISK_MB: Final = 10


def probed_address(region: Region, told: ControlPlaneStatus | None) -> str:
    """Return the HOST:PORT that machines find their servers at; empty while there is none.

    That is the front door. Of an External region only the address of its API is known.
    """
    if not region.spec.is_managed:
        return region.nomad_address.partition("://")[2]
    return f"{told.address}:{RPC_PORT}" if told and told.address else ""


def render_probe(
    probe: ProbeClass, *, address: str, install: str, driver: Driver, region_class: str
) -> Document:
    """Render the job, as the value of ``Job`` in a register call, but for its Meta."""
    return {
        "ID": names.PROBE_JOB,
        "Name": names.PROBE_JOB,
        "Namespace": names.system_namespace(install),
        "Type": "sysbatch",
        "Priority": PRIORITY,
        "Datacenters": ["*"],
        "NodePool": "all",
        "UI": {"Description": "Orrery sees whether its machines can be used, and how far they are"},
        "TaskGroups": [
            {
                "Name": names.PROBE_JOB,
                "Count": 1,
                "EphemeralDisk": {"SizeMB": DISK_MB},
                "RestartPolicy": {
                    "Attempts": 1,
                    "Interval": nanoseconds("24h"),
                    "Delay": nanoseconds("5s"),
                    "Mode": "fail",
                },
                "Tasks": [
                    {
                        "Name": names.PROBE_JOB,
                        "Driver": driver.nomad_driver,
                        "Config": fill_driver(
                            driver, _program(probe, address), region_class=region_class
                        ),
                        "Resources": {"CPU": CPU_MHZ, "MemoryMB": MEMORY_MB},
                        "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
                    }
                ],
            }
        ],
    }


def _program(probe: ProbeClass, address: str) -> RegionalDeployment:
    return RegionalDeployment(
        namespace="",
        name=names.PROBE_JOB,
        type="BATCH",
        image=probe.image,
        command="orrery",
        args=("probe", "--address", address, "--count", str(CONNECTS), "--linger", str(LINGER)),
        credentials_secret=None,
        env=(),
        ports=(),
        routes=(),
        cpu_mhz=CPU_MHZ,
        memory_mb=MEMORY_MB,
        memory_max_mb=None,
        count=1,
        health_checks=(),
        update=Update(),
        driver=probe.driver or "",
        data_centers=DataCenters(),
    )
