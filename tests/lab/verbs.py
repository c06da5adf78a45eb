"""Verbs as users run them: processes, where no terminal is."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """What a verb said, and how it ended."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def orrery(*words: str, kubeconfig: Path | None = None, stdin: str = "") -> Said:
    """Run `orrery` as a process, where no terminal is."""
    environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orrery", *words),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), error.decode())
