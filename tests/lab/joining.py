"""Machines that join a region with a bundle, as processes: what systemd would do with its files.

A folder stands for the machine's root, so paths in the files are moved there, and nothing else.
"""

import os
import re
import shlex
import signal
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from orrery.render.bundle_files import NOMAD_CONFIGURATION, NOMAD_FOLDER, NOMAD_UNIT

ROOTS: Final = ("/etc/orrery", "/var/lib/orrery")
SYSTEMCTL: Final = """#!/bin/sh
echo "$@" >> "{said}"
"""
"""Stands in for a systemd that does not run here: it writes down what it is asked for."""


@dataclass
class UnpackedMachine:
    """A machine whose root is a folder."""

    root: Path
    binary: Path
    own: Mapping[str, Any] = field(default_factory=dict)
    """Its own configuration beside the bundle's: drivers, and what a lab needs."""

    def install(self, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run what `--print-command` prints in *folder*, as root would."""
        self.root.mkdir(parents=True, exist_ok=True)
        tools = self.root / "tools"
        tools.mkdir(exist_ok=True)
        systemctl = tools / "systemctl"
        systemctl.write_text(SYSTEMCTL.format(said=self.root / "systemctl.log"))
        systemctl.chmod(0o755)
        assert command.count(" -C /") == 1
        command = command.replace(" -C /", f" -C {shlex.quote(str(self.root))}")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=folder,
            env={"PATH": f"{tools}:{os.defpath}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0:
            self.move()
        return done

    def unpack(self, bundle: Path) -> None:
        """Unpack the tar *bundle* and no more."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tarfile.open(bundle) as tar:
            tar.extractall(self.root, filter="tar")
        self.move()

    def move(self) -> None:
        """Have the files speak of the folder instead of the machine's root."""
        for path in (NOMAD_CONFIGURATION, NOMAD_UNIT):
            file = self.root / path
            text = file.read_text()
            for root in ROOTS:
                text = re.sub(rf'(["= ]){root}', rf"\g<1>{self.root}{root}", text)
            file.write_text(text)
        (self.root / NOMAD_FOLDER / "own.json").write_bytes(orjson.dumps(self.own))

    def lines(self, directive: str) -> list[list[str]]:
        """Return the commands that the unit has for *directive*."""
        unit = (self.root / NOMAD_UNIT).read_text().splitlines()
        found = [line.removeprefix(f"{directive}=") for line in unit]
        return [
            shlex.split(command.removeprefix("-"))
            for line, command in zip(unit, found, strict=True)
            if line != command
        ]

    @property
    def command(self) -> list[str]:
        """What the unit starts."""
        ((program, *arguments),) = self.lines("ExecStart")
        assert program == "nomad"
        return [str(self.binary), *arguments]

    @property
    def asked_of_systemd(self) -> list[str]:
        return (self.root / "systemctl.log").read_text().splitlines()


@dataclass
class RunningMachine(UnpackedMachine):
    """The same, and its Nomad as a process of the test's own network."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.root / "nomad.log"

    def start(self) -> None:
        for command in self.lines("ExecStartPre"):
            subprocess.run(command, check=True, timeout=10)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "HOME": str(self.root)},
            )

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it as the unit does; return how it ended."""
        if self._process is None:
            return None
        self._process.send_signal(number)
        code = self._process.wait(60)
        self._process = None
        return code

    def restart(self) -> None:
        self.stop()
        self.start()
