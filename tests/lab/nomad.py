"""A real Nomad agent for tests: server and client in one process, ACLs on, data in memory."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orrery.playground.cleanup import unmount_below

START_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_ports(number: int) -> list[int]:
    """Reserve *number* different ports of loopback for the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@dataclass
class NomadAgent:
    """One agent in *folder*; `start` returns when a machine is ready for work.

    *config* is merged over the agent's own configuration, by top-level block.
    """

    binary: str
    folder: Path
    region: str = "global"
    config: dict[str, Any] = field(default_factory=dict)
    token: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "nomad.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the agent, bootstrap its ACLs, wait for a ready node."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, rpc, serf = free_ports(3)
        loopback = "127.0.0.1"
        config: dict[str, Any] = {
            "region": self.region,
            "data_dir": str(self.folder / "data"),
            "bind_addr": loopback,
            "ports": {"http": self.port, "rpc": rpc, "serf": serf},
            "advertise": {"http": loopback, "rpc": loopback, "serf": loopback},
            "acl": {"enabled": True},
            "disable_update_check": True,
            "leave_on_terminate": False,
        }
        config |= self.config
        path = self.folder / "agent.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "agent", "-dev", "-config", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                # What is set for other programs (a CA bundle, cloud settings) breaks its start.
                env={"PATH": os.defpath, "HOME": str(self.folder)},
            )
        self._await("a leader", lambda: bool(self.call("GET", "/v1/status/leader")))
        body = {"BootstrapSecret": self.token}
        self._await("its ACLs", lambda: bool(self.call("POST", "/v1/acl/bootstrap", body)))
        self._await("a ready node", self._has_ready_node)

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

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the agent's API with the management token."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Nomad-Token": self.token},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            content = reply.read()
        return json.loads(content) if content.strip() else None

    def _has_ready_node(self) -> bool:
        return any(node["Status"] == "ready" for node in self.call("GET", "/v1/nodes"))

    def _await(self, what: str, ready: Any) -> None:
        assert self._process is not None
        end = time.monotonic() + START_SECONDS
        reason: object = "no answer"
        while time.monotonic() < end:
            if self._process.poll() is not None:
                reason = f"it ended with {self._process.returncode}"
                break
            try:
                if ready():
                    return
            except (OSError, urllib.error.URLError) as error:
                reason = error
            time.sleep(0.1)
        last = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"nomad: waited for {what}: {reason}\n{last}")
