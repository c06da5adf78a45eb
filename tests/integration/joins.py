"""A region of real servers that machines join with bundles, and what is asked of it meanwhile."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.integration.test_region_servers import (
    BLUEPRINT,
    NETWORK,
    REGION,
    Region,
)
from tests.lab.joining import RunningMachine
from tests.lab.polling import until_blocking
from tests.lab.rest import Rest
from tests.lab.verbs import Said, orrery

from orrery.adapters.nomad.introduction import Introduction

JOINS_WITHIN: Final = 60.0
STAYS_OUT: Final = "Permission denied"
"""What a machine is told that the servers do not let in."""


@dataclass
class Fra:
    """The region's servers, the hub that knows it, and the machines that join it."""

    region: Region
    rest: Rest
    kubeconfig: Path
    binary: Path
    folder: Path
    early: Introduction
    """A token for any machine, of the time before the tests."""
    machines: list[RunningMachine] = field(default_factory=list)

    def orrery(self, *words: str) -> Said:
        return asyncio.run(orrery(*words, kubeconfig=self.kubeconfig))

    def bundle(self, name: str, *words: str) -> tuple[Path, str]:
        """Make a bundle; return its file and the command that installs it."""
        file = self.folder / f"{name}.tar"
        given = ("-o", str(file), "--force", "--print-command", *words)
        said = self.orrery("region", "bundle", REGION, *given)
        assert said.code == 0, said.error
        return file, said.out

    def machine(self, name: str, number: int) -> RunningMachine:
        """Make a machine with an address of its own, and the driver for plain processes."""
        address = f"{NETWORK}.{number}"
        own = {
            "bind_addr": address,
            "advertise": {"http": address, "rpc": address},
            "client": {"network_interface": "lo"},
            "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
        }
        machine = RunningMachine(self.folder / name, self.binary, own)
        self.machines.append(machine)
        return machine

    def joined(self, name: str, number: int, *words: str) -> RunningMachine:
        """Have a machine join by a bundle of its own, and wait until it is ready."""
        file, command = self.bundle(name, "--machine", name, *words)
        machine = self.machine(name, number)
        done = machine.install(command, file.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        machine.start()
        self.until_ready(name, machine)
        return machine

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Read the machines that the region knows, by name."""
        status, found = self.region.servers[0].call("/v1/nodes", token=self.region.token)
        assert status == 200
        return {node["Name"]: node for node in found}

    def until_ready(self, name: str, machine: RunningMachine) -> None:
        def is_ready() -> bool:
            assert machine.is_up, machine.log.read_text()[-3000:]
            return bool(self.nodes().get(name, {}).get("Status") == "ready")

        until_blocking(is_ready, seconds=JOINS_WITHIN, told=lambda: machine.log.read_text()[-3000:])

    def nomad(self, *words: str) -> str:
        """Run a command of Nomad's as its administrator."""
        held = self.region.secrets.folder / "operator-tls"
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "NOMAD_ADDR": f"https://{BLUEPRINT.address}:4646",
            "NOMAD_TOKEN": self.region.token,
            "NOMAD_CACERT": str(held / "ca.crt"),
            "NOMAD_CLIENT_CERT": str(held / "tls.crt"),
            "NOMAD_CLIENT_KEY": str(held / "tls.key"),
        }
        done = subprocess.run(
            [str(self.binary), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, job: str, *, on: str) -> Iterator[Any]:
        """Have a job run on one machine; yields its allocation, and stops it."""
        constraint = {"LTarget": "${node.unique.name}", "RTarget": on, "Operand": "="}
        config = {"command": "/bin/sleep", "args": ["3600"]}
        resources = {"CPU": 20, "MemoryMB": 16}
        task = {"Name": "app", "Driver": "raw_exec", "Config": config, "Resources": resources}
        document = {
            "ID": job,
            "Datacenters": ["*"],
            "Constraints": [constraint],
            "TaskGroups": [{"Name": "app", "Count": 1, "Tasks": [task]}],
        }
        file = self.folder / f"{job}.json"
        file.write_text(json.dumps({"Job": document}))
        self.nomad("job", "run", "-detach", "-json", str(file))
        try:
            yield self.until_status(job, "running")
        finally:
            self.nomad("job", "stop", "-detach", job)
            self.until_status(job, "complete")

    def until_status(self, job: str, status: str) -> Any:
        def seen() -> Any:
            found = self.allocation(job)
            return found if found and found["ClientStatus"] == status else None

        return until_blocking(seen, seconds=JOINS_WITHIN, told=lambda: self.allocation(job))

    def allocation(self, job: str) -> Any:
        found = json.loads(self.nomad("operator", "api", f"/v1/job/{job}/allocations"))
        assert len(found) < 2
        return found[0] if found else None

    def until_refused(self, machine: RunningMachine) -> None:
        def is_refused() -> bool:
            return STAYS_OUT in machine.log.read_text()

        until_blocking(is_refused, seconds=JOINS_WITHIN, told=machine.log.read_text)
