"""Real Nomad agents for tests: ACLs on, data in memory or in the folder of a test."""

import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.lab.polling import until_blocking

from orrery.playground.cleanup import unmount_below
from orrery.playground.ports import reserve_port

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
LOOPBACK: Final = "127.0.0.1"

_FIRST_TASK_PORT: Final = 26_000
_TASK_PORTS: Final = 500
_SLICES: Final = 12


@dataclass
class _Process:
    """A `nomad agent` in *folder*."""

    binary: str
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    """Merged over the agent's own configuration, block by block."""
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "nomad.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop the agent and what it runs; its data goes with the folder."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        unmount_below(self.folder)

    def _start(self, config: dict[str, Any], *flags: str) -> int:
        """Start the agent; return the port of its RPC."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, rpc, serf = (reserve_port() for _ in range(3))
        whole: dict[str, Any] = {
            "data_dir": str(self.folder / "data"),
            "bind_addr": LOOPBACK,
            "ports": {"http": self.port, "rpc": rpc, "serf": serf},
            "advertise": dict.fromkeys(("http", "rpc", "serf"), LOOPBACK),
            "acl": {"enabled": True},
            "client": _task_ports(),
            "disable_update_check": True,
            "leave_on_terminate": False,
        }
        for block, values in [*config.items(), *self.config.items()]:
            merged = isinstance(values, dict) and isinstance(whole.get(block), dict)
            whole[block] = {**whole[block], **values} if merged else values
        path = self.folder / "agent.json"
        path.write_text(json.dumps(whole), encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "agent", *flags, "-config", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                # What is set for other programs (a CA bundle, cloud settings) breaks its start.
                env={"PATH": os.defpath, "HOME": str(self.folder)},
            )
        return rpc


@dataclass
class NomadAgent(_Process):
    """Server and client in one process; `start` returns when a machine is ready for work."""

    region: str = "global"
    token: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    rpc: int = 0
    tls: ssl.SSLContext | None = None
    """How its API is called where it takes mutual TLS only."""

    def start(self) -> None:
        """Start the agent, bootstrap its ACLs, wait for a ready node."""
        self.rpc = self._start({"region": self.region}, "-dev")
        self._await("a leader", lambda: bool(self.call("GET", "/v1/status/leader")))
        body = {"BootstrapSecret": self.token}
        self._await("its ACLs", lambda: bool(self.call("POST", "/v1/acl/bootstrap", body)))
        self._await("a ready node", lambda: "ready" in self.nodes().values())

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the agent's API with the management token."""
        scheme = "https" if self.tls else "http"
        request = urllib.request.Request(
            f"{scheme}://{LOOPBACK}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Nomad-Token": self.token},
        )
        with urllib.request.urlopen(request, timeout=10, context=self.tls) as reply:
            content = reply.read()
        return json.loads(content) if content.strip() else None

    def nodes(self) -> dict[str, str]:
        """Read the status of all machines, by name."""
        return {node["Name"]: node["Status"] for node in self.call("GET", "/v1/nodes")}

    def _await(self, what: str, ready: Any) -> None:
        assert self._process is not None
        process, reason = self._process, "no answer"

        def look() -> bool:
            nonlocal reason
            if process.poll() is not None:
                reason = f"it ended with {process.returncode}"
                return True
            try:
                return bool(ready())
            except (OSError, urllib.error.URLError) as error:
                reason = str(error)
                return False

        try:
            until_blocking(look, seconds=START_SECONDS, told=lambda: reason)
            assert process.poll() is None, reason
        except AssertionError as error:
            last = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            self.stop()
            raise RuntimeError(f"nomad: waited for {what}: {error}\n{last}") from error


@dataclass
class NomadMachine(_Process):
    """One more machine of an agent's region, in a data center of its own choice.

    It may fall silent and come back, as behind a cut cable; what it runs goes on meanwhile.
    """

    name: str = "machine"
    datacenter: str = "dc1"

    def join(self, agent: NomadAgent) -> None:
        """Start the machine; it takes a moment until it is ready."""
        client = {"enabled": True, "servers": [f"{LOOPBACK}:{agent.rpc}"]}
        self._start({"name": self.name, "datacenter": self.datacenter, "client": client})

    def fall_silent(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def come_back(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop the machine, silent or not."""
        if self._process is not None:
            self.come_back()
        super().stop()


def _task_ports() -> dict[str, int]:
    """Choose ports for tasks, beside those of playgrounds and of most other agents.

    Each agent believes all its ports free, and they share one machine.
    """
    first = _FIRST_TASK_PORT + reserve_port() % _SLICES * _TASK_PORTS
    return {"min_dynamic_port": first, "max_dynamic_port": first + _TASK_PORTS - 1}


@contextmanager
def running_agents(
    binary: Path, folder: Path, regions: Sequence[str], *, config: dict[str, Any]
) -> Iterator[Sequence[NomadAgent]]:
    """Run an agent per region, all with the same *config*; they start side by side."""
    made = [NomadAgent(str(binary), folder / r, config=config, region=r) for r in regions]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(NomadAgent.start, made))
        yield made
    finally:
        for agent in made:
            agent.stop()
