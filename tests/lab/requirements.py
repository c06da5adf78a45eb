"""What tests need of the machine: found, or built, or one sentence that says what is missing.

A sentence becomes the reason of a skip, and the end of the run counts the tests by it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from orrery.errors import OrreryError
from orrery.playground.build import hub_servers
from orrery.playground.servers import cache, find_nomad


def in_ci() -> bool:
    """Tell whether this run has to prove everything that it can."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def missing_hub(progress: Callable[[str], None]) -> str | None:
    """Find kube-apiserver and etcd or build them; say what is missing when neither works."""
    try:
        asyncio.run(hub_servers(progress))
    except OrreryError as error:
        return f"needs kube-apiserver and etcd: {error.message}"
    return None


def require_nomad() -> Path:
    """Return a real Nomad, or skip the test: its licence leaves it to users to bring one."""
    try:
        nomad = find_nomad()
    except OrreryError as error:
        pytest.skip(f"needs a nomad binary: {error.message}")
    if nomad is None:
        pytest.skip(
            f"needs a nomad binary: put one on PATH or into {_from_home(cache())}, or set"
            " ORRERY_NOMAD to it"
        )
    return nomad.path


def describe_skips(reasons: Iterable[str]) -> list[str]:
    """Say in lines how many tests did not run, and why; nothing when all did."""
    counted = Counter(reasons)
    if not counted:
        return []
    lines = [f"  {_tests(count)}: {reason}" for reason, count in sorted(counted.items())]
    return [f"{_tests(counted.total())} did not run:", *lines]


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _from_home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
