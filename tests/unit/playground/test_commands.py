"""`orrery playground` as users call it: what each verb says, and how it exits."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orrery.adapters.pki import create_authority
from orrery.cli import main
from orrery.playground.agents import prepare_simulated, start_region
from orrery.playground.kubeapi import kubeconfig
from orrery.playground.lifecycle import down
from orrery.playground.processes import await_end, environment, marked, start
from orrery.playground.regions import RegionPlan
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.state import HubKind, Layout, NomadKind, RegionRecord, State


class FakeHub(BaseHTTPRequestHandler):
    """Knows one open Region, whatever it is asked for."""

    def do_GET(self) -> None:
        body = json.dumps(
            {"items": [{"metadata": {"name": "fra"}, "status": {"phase": "Open"}}]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture
def hub_url() -> Iterator[str]:
    """Serve the fake hub."""
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def layout(tmp_path: Path, hub_url: str) -> Iterator[Layout]:
    """Make a playground of one simulated region; its hub is a fake, and a process that sleeps."""
    layout = Layout.of(tmp_path / "planet")
    layout.root.mkdir()
    authority = create_authority("hub")
    text = kubeconfig(hub_url, authority=authority.certificate, user=authority, name="hub")
    layout.kubeconfig.write_text(text)
    region = asyncio.run(running_region(layout))
    hub = start(
        "etcd",
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"],
        log=layout.log_of("etcd"),
        env=environment(layout.marker),
    )
    state = State(
        HubKind.PROCESSES,
        NomadKind.SIMULATED,
        hub=(hub,),
        hub_url=hub_url,
        regions=(region,),
        ready=True,
    )
    layout.write(state)
    write_regions_file(layout.regions_file, entries_of(layout, state))
    yield layout
    if layout.read():
        asyncio.run(down(layout.root))


async def running_region(layout: Layout) -> RegionRecord:
    plan = RegionPlan("fra", "eu")
    address, command = prepare_simulated(layout, plan)
    return await start_region(layout, plan, address, command, record=lambda _: None)


def playground(layout: Layout, *words: str) -> Result:
    return CliRunner().invoke(main, ["playground", *words, "--directory", str(layout.root)])


def pids(layout: Layout) -> list[int | None]:
    return [entry["pid"] for entry in json.loads(layout.regions_file.read_text())]


def status(layout: Layout) -> tuple[int, dict[str, Any]]:
    said = playground(layout, "status", "-o", "json")
    return said.exit_code, json.loads(said.stdout)


def test_status_shows_what_runs(layout: Layout) -> None:
    pid = layout.require().region("fra").process.pid

    code, report = status(layout)
    said = playground(layout, "status")

    assert (code, said.exit_code) == (0, 0)
    assert (report["hub"], report["operator"], report["problems"]) == ("running", "none", [])
    address = report["regions"][0]["nomadAddress"]
    expected = {"name": "fra", "continent": "eu", "process": "running", "phase": "Open", "pid": pid}
    assert report["regions"] == [{**expected, "nomadAddress": address}]
    assert f"fra     eu         running  Open   {pid}" in said.stdout
    assert said.stdout.endswith(f"\nexport KUBECONFIG={layout.kubeconfig}\n")


def test_region_that_was_killed_is_no_problem_and_comes_back(layout: Layout) -> None:
    before = pids(layout)

    assert playground(layout, "kill", "fra").exit_code == 0
    assert pids(layout) == [None]
    code, report = status(layout)
    assert (code, report["regions"][0]["process"]) == (0, "killed")
    again = playground(layout, "kill", "fra")
    assert (again.exit_code, again.stderr) == (
        1,
        "Error: region 'fra' is down already: `revive` brings it back\n",
    )

    assert playground(layout, "revive", "fra").exit_code == 0
    code, report = status(layout)
    assert (code, report["regions"][0]["process"]) == (0, "running")
    assert pids(layout) == [report["regions"][0]["pid"]]
    assert pids(layout) != before
    assert playground(layout, "revive", "fra").exit_code == 1


def test_region_that_died_is_a_problem(layout: Layout) -> None:
    process = layout.require().region("fra").process
    os.kill(process.pid, signal.SIGKILL)
    asyncio.run(await_end(process))

    code, report = status(layout)
    said = playground(layout, "status")

    (problem,) = report["problems"]
    assert problem == f"fra (process {process.pid}) died; its log is {process.log}"
    assert (code, said.exit_code) == (1, 1)
    assert f"! {problem}\n" in said.stdout


def test_down_ends_every_process_and_keeps_the_logs(layout: Layout) -> None:
    said = playground(layout, "down")

    assert said.exit_code == 0
    assert said.stdout.endswith(f"down; logs are kept in {layout.logs}\n")
    assert marked(layout.marker) == []
    assert sorted(path.name for path in layout.root.iterdir()) == [".lock", "logs"]
    assert playground(layout, "down").exit_code == 1


@pytest.mark.parametrize(
    "words", [("status",), ("down",), ("kill", "fra"), ("revive", "fra")], ids=lambda w: w[0]
)
def test_without_a_playground_the_way_to_one_is_said(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = playground(Layout.of(tmp_path), *words)

    assert said.exit_code == 1
    assert f"start one with `orrery playground up --directory {tmp_path}`" in said.stderr


def test_unknown_region_is_told_with_the_known_ones(layout: Layout) -> None:
    said = playground(layout, "kill", "mars")

    assert (said.exit_code, said.stderr) == (
        1,
        "Error: this playground has no region 'mars', it has fra\n",
    )
