"""`orrery playground` as users call it: what each verb says, and how it exits."""

import asyncio
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orrery.adapters.pki import create_authority
from orrery.cli import main
from orrery.playground import shell
from orrery.playground.agents import prepare_simulated, start_region
from orrery.playground.kubeapi import kubeconfig
from orrery.playground.lifecycle import down
from orrery.playground.ports import reserve_port
from orrery.playground.processes import Process, await_end, environment, marked, start
from orrery.playground.regions import RegionPlan
from orrery.playground.regionsfile import entries_of, write_regions_file
from orrery.playground.state import HubKind, Layout, NomadKind, RegionRecord, State


class FakeHub(BaseHTTPRequestHandler):
    """Knows one open Region, and a lease that has another holder whenever it is read."""

    reads = itertools.count()

    def do_GET(self) -> None:
        region = {"metadata": {"name": "fra"}, "status": {"phase": "Open"}}
        lease = {"spec": {"holderIdentity": f"operator-{next(self.reads)}"}}
        body = json.dumps(lease if "/leases/" in self.path else {"items": [region]}).encode()
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
    state = State(
        HubKind.PROCESSES,
        NomadKind.SIMULATED,
        hub=(sleeper(layout, "etcd"),),
        hub_url=hub_url,
        regions=(region,),
        ready=True,
    )
    layout.write(state)
    write_regions_file(layout.regions_file, entries_of(layout, state))
    yield layout
    if layout.read():
        asyncio.run(down(layout.root))


def sleeper(layout: Layout, name: str) -> Process:
    """Start a process that only sleeps, in the place of another."""
    return start(
        name,
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"],
        log=layout.log_of(name),
        env=environment(layout.marker),
    )


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
    (etcd,) = layout.require().hub
    assert (report["hubPids"], report["operatorPid"]) == ({"etcd": etcd.pid}, None)
    assert f"hub       running  pid {etcd.pid} (etcd)  http://127.0.0.1:" in said.stdout
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


def test_operator_that_was_killed_is_no_problem(layout: Layout) -> None:
    operator = sleeper(layout, "operator")
    layout.write(replace(layout.require(), operator=operator))
    said = playground(layout, "status")
    assert f"operator  running  pid {operator.pid}\n" in said.stdout

    killed = playground(layout, "kill", "operator")

    assert (killed.exit_code, killed.stdout) == (0, "killed the operator\n")
    code, report = status(layout)
    assert (code, report["operator"], report["problems"]) == (0, "killed", [])
    assert "operator  killed\n" in playground(layout, "status").stdout
    again = playground(layout, "kill", "operator")
    assert again.stderr == "Error: the operator is down already: `revive` brings it back\n"


READY = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def test_operator_that_died_is_a_problem_and_can_be_started_again(layout: Layout) -> None:
    dead, port = sleeper(layout, "operator"), reserve_port()
    command = (sys.executable, "-I", "-S", "-c", READY, str(port))
    planet = replace(layout.require(), operator=dead, operator_command=command, health_port=port)
    layout.write(planet)
    os.kill(dead.pid, signal.SIGKILL)
    asyncio.run(await_end(dead))
    assert status(layout)[0] == 1

    said = playground(layout, "revive", "operator")

    assert (said.exit_code, said.stdout.splitlines()[-1]) == (0, "the operator is back")
    code, report = status(layout)
    assert (code, report["operator"], report["problems"]) == (0, "running", [])
    assert report["operatorPid"] != dead.pid


def test_operator_that_runs_or_never_did_is_not_revived(layout: Layout) -> None:
    none = playground(layout, "revive", "operator")
    layout.write(replace(layout.require(), operator=sleeper(layout, "operator")))
    running = playground(layout, "revive", "operator")

    assert none.stderr == "Error: this playground was started without an operator\n"
    assert running.stderr == "Error: the operator runs already\n"


def test_lines_to_copy_are_quoted(layout: Layout) -> None:
    odd = layout.root.rename(layout.root.parent / "my planet")

    said = playground(Layout.of(odd), "status")

    assert said.stdout.endswith(f"\nexport KUBECONFIG='{odd}/kubeconfig'\n")
    odd.rename(layout.root)


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
    way = shell.orrery("playground", "up", "--directory", tmp_path)
    assert f"start one with `{way}`" in said.stderr


def test_unknown_region_is_told_with_the_known_ones(layout: Layout) -> None:
    said = playground(layout, "kill", "mars")

    assert (said.exit_code, said.stderr) == (
        1,
        "Error: this playground has no region 'mars', it has fra\n",
    )
