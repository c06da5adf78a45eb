"""A real PostgreSQL for tests, started as a region's is: its arguments, its TLS, its password."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from tests.lab.envoy import Secret, stop_process
from tests.lab.polling import until

from orrery.playground.ports import LOOPBACK, reserve_port
from orrery.render.region.postgres import ROLE, TLS_FOLDER, arguments

_USER: Final = "postgres"
"""Whom Debian's package makes: PostgreSQL refuses to run as root."""


@dataclass(frozen=True)
class Database:
    """A running PostgreSQL."""

    port: int
    password: str


def require_postgres() -> Path:
    """Return the folder of a real PostgreSQL's programs, or skip the test."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = [Path(on_path)] if on_path else packaged
    if not found:
        pytest.skip("needs PostgreSQL: install the package postgresql")
    return found[-1].resolve().parent


@asynccontextmanager
async def running_postgres(secret: Secret, password: str) -> AsyncIterator[Database]:
    """Run a PostgreSQL with the certificate of *secret* on loopback."""
    programs = require_postgres()
    folder = await asyncio.to_thread(_prepare, programs, secret, password)
    database = Database(reserve_port(), password)
    process = await asyncio.to_thread(_start, programs, folder, database)
    environment = {"PGPASSWORD": password, "PGSSLMODE": "require", "PATH": os.defpath}
    where = ["-h", LOOPBACK, "-p", str(database.port), "-U", ROLE]

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        done = subprocess.run([programs / "pg_isready", "-q", *where], check=False)
        return done.returncode == 0

    try:
        await until(lambda: asyncio.to_thread(is_ready))
        await asyncio.to_thread(_create_database, programs, where, environment)
        yield database
    finally:
        await asyncio.to_thread(stop_process, process)
        shutil.rmtree(folder)


def _create_database(programs: Path, where: Sequence[str], environment: Mapping[str, str]) -> None:
    command = [str(programs / "createdb"), *where, ROLE]
    subprocess.run(command, env=environment, check=True)


def _prepare(programs: Path, secret: Secret, password: str) -> Path:
    """Make the databases where the user who runs them gets to, unlike a test's own folder."""
    folder = Path(tempfile.mkdtemp(prefix="orrery-postgres-"))
    (folder / "password").write_text(password)
    for name, text in secret.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    for path in (folder, *folder.iterdir()):
        if _is_root():
            shutil.chown(path, _USER)
    where = ["-D", str(folder / "data"), "-U", ROLE, "--data-checksums"]
    how = ["-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
    command = [str(programs / "initdb"), *where, *how]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_owner())
    return folder


def _start(programs: Path, folder: Path, database: Database) -> subprocess.Popen[bytes]:
    """Start it with the arguments of the manifest, and what differs on loopback."""
    rendered: Sequence[str] = [a.replace(TLS_FOLDER, str(folder)) for a in arguments()]
    own = ["-D", str(folder / "data"), "-k", str(folder), "-h", LOOPBACK]
    command = [str(programs / rendered[0]), *rendered[1:], *own, "-p", str(database.port)]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **_owner())


def _is_root() -> bool:
    return os.geteuid() == 0


def _owner() -> dict[str, Any]:
    return {"user": _USER, "group": _USER, "extra_groups": []} if _is_root() else {}
