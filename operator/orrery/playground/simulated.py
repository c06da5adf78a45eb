"""A region as a simulation: a process with the TLS, certificates and token of a real one."""

import sys

from orrery.adapters.pki import write_file
from orrery.playground.credentials import RegionFiles
from orrery.playground.regions import RegionPlan
from orrery.playground.simulator import SimulatorConfig


def simulator_command(plan: RegionPlan, files: RegionFiles, port: int) -> tuple[str, ...]:
    """Write the region's configuration; return the command that runs it, now and after a kill."""
    config = SimulatorConfig(
        name=plan.name,
        data_center=plan.data_center,
        port=port,
        state=files.data / "state",
        token=files.token,
        ca=files.ca,
        certificate=files.server_certificate,
        key=files.server_key,
    )
    write_file(files.config, config.model_dump_json(indent=2) + "\n")
    return (sys.executable, "-P", "-m", "orrery.playground.simulator", str(files.config))
