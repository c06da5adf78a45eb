"""`regions.json`: one form, whoever writes it; a region that is down has no process."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from orrery.playground.processes import Process
from orrery.playground.regions import plan_regions
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.state import HubKind, Layout, NomadKind, RegionRecord, State

PROCESS = Process("fra", 4711, "then", Path("/log"))
REGION = RegionRecord("fra", "eu", "https://127.0.0.1:1", ("nomad", "agent"), PROCESS)


def written(layout: Layout, *regions: RegionRecord) -> list[dict[str, Any]]:
    state = State(HubKind.PROCESSES, NomadKind.SIMULATED, regions=regions)
    write_regions_file(layout.regions_file, entries_of(layout, state))
    entries: list[dict[str, Any]] = json.loads(layout.regions_file.read_text())
    return entries


def test_entry_tells_how_to_reach_a_region(tmp_path: Path) -> None:
    (entry,) = written(Layout.of(tmp_path), REGION)

    assert entry == {
        "name": "fra",
        "continent": "eu",
        "nomadAddress": "https://127.0.0.1:1",
        "tokenFile": f"{tmp_path}/regions/fra/token",
        "caFile": f"{tmp_path}/regions/fra/ca.pem",
        "certFile": f"{tmp_path}/regions/fra/client.pem",
        "keyFile": f"{tmp_path}/regions/fra/client-key.pem",
        "pid": 4711,
    }
    assert Layout.of(tmp_path).regions_file.stat().st_mode & 0o777 == 0o600


def test_killed_region_has_no_process(tmp_path: Path) -> None:
    entries = written(Layout.of(tmp_path), replace(REGION, killed=True))

    assert [entry["pid"] for entry in entries] == [None]


async def test_simulated_regions_are_those_of_a_playground(tmp_path: Path) -> None:
    words = ("sim", "--regions", "7", "--tls-directory", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orrery", *words), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    await process.stdout.readuntil(b"Ctrl-C ends.")
    process.terminate()
    await process.wait()

    entries = json.loads((tmp_path / "regions.json").read_text())

    plans = plan_regions(continents=2, regions=7)
    assert [(e["name"], e["continent"]) for e in entries] == [(p.name, p.continent) for p in plans]
    assert {entry["pid"] for entry in entries} == {process.pid}
