"""A region of several real Nomad servers, one machine, and a balancer before the servers."""

import asyncio
import contextlib
import os
import signal
import urllib.error
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from tests.lab.nomad import LOOPBACK, STOP_SECONDS, NomadAgent, NomadMachine
from tests.lab.polling import until, until_blocking

from orrery.playground.ports import reserve_port

SERVERS: Final = 3
CHECK_PAUSE: Final = 0.5
CHECK_WITHIN: Final = 1.0
PIECE: Final = 64 * 1024

SERVER: Final = {
    "enabled": True,
    "bootstrap_expect": SERVERS,
    "heartbeat_grace": "60s",
    "event_buffer_size": 10_000,
    "job_tracked_versions": 1000,
}
"""The grace as regions are to have it: a leader may be away for a while without a restart."""


@dataclass
class NomadServer(NomadAgent):
    """One of several servers of a region; it may be killed, or frozen for a while."""

    def __post_init__(self) -> None:
        self.rpc, self.serf = reserve_port(), reserve_port()

    def join(self, peers: Sequence["NomadServer"]) -> None:
        """Start the server among *peers*, itself included."""
        joins = [f"{LOOPBACK}:{peer.serf}" for peer in peers]
        own = {"ports": {"rpc": self.rpc, "serf": self.serf}, "name": self.folder.name}
        server = {**SERVER, "server_join": {"retry_join": joins, "retry_interval": "1s"}}
        self.config = {**own, "server": server, "limits": {"http_max_conns_per_client": 0}}
        self._start({"region": self.region})

    @property
    def leads(self) -> bool:
        facts = self.call("GET", "/v1/agent/self")
        return bool(facts["stats"]["nomad"]["leader"] == "true")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server, frozen or killed or not."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
        super().stop()


@dataclass
class Balancer:
    """A port before servers, as clouds have it: a new connection goes to the next healthy one.

    A server is healthy while it answers checks at all, whatever it says: also one that knows no
    leader gets its share. Connections to one that falls silent stand until somebody gives them up.
    """

    servers: Sequence[NomadServer]
    healthy: set[int] = field(default_factory=set)
    _turn: int = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listen; yields the address."""
        async with asyncio.TaskGroup() as tasks:
            checks = [tasks.create_task(self._check(n)) for n in range(len(self.servers))]
            server = await asyncio.start_server(self._pass, LOOPBACK, 0)
            port = server.sockets[0].getsockname()[1]
            try:
                await until(lambda: len(self.healthy) == len(self.servers))
                yield f"http://{LOOPBACK}:{port}"
            finally:
                server.close()
                for check in checks:
                    check.cancel()

    async def _check(self, number: int) -> None:
        timeout = aiohttp.ClientTimeout(total=CHECK_WITHIN)
        while True:
            url = f"{self.servers[number].address}/v1/agent/health?type=server"
            try:
                async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url):
                    self.healthy.add(number)
            except (aiohttp.ClientError, TimeoutError):
                self.healthy.discard(number)
            await asyncio.sleep(CHECK_PAUSE)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind = await asyncio.open_connection(LOOPBACK, self._next().port)
        except (OSError, LookupError):
            writer.transport.abort()
            return
        ways = ((reader, behind[1]), (behind[0], writer))
        pumps = [asyncio.ensure_future(_pump(*way)) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            behind[1].transport.abort()
            writer.transport.abort()

    def _next(self) -> NomadServer:
        """Take the next healthy server; raises LookupError when there is none."""
        for _ in self.servers:
            self._turn = (self._turn + 1) % len(self.servers)
            if self._turn in self.healthy:
                return self.servers[self._turn]
        raise LookupError


class NomadRegion:
    """The servers of a region and its machine."""

    def __init__(self, binary: Path, folder: Path, name: str, machine: Mapping[str, Any]) -> None:
        folders = [folder / f"server-{number}" for number in range(1, SERVERS + 1)]
        first = NomadServer(str(binary), folders[0], region=name)
        others = [NomadServer(str(binary), f, region=name, token=first.token) for f in folders[1:]]
        self.name = name
        self.servers = (first, *others)
        rpc = [f"{LOOPBACK}:{server.rpc}" for server in self.servers]
        client = {**machine["client"], "servers": rpc}
        config = {**machine, "client": client, "region": name}
        self.machine = NomadMachine(str(binary), folder / "machine", config=config)

    @property
    def token(self) -> str:
        return self.servers[0].token

    def start(self) -> None:
        """Start everything; return when all servers vote and the machine is ready."""
        for server in self.servers:
            server.join(self.servers)
        first = self.servers[0]
        first._await("a leader", lambda: bool(first.call("GET", "/v1/status/leader")))
        body = {"BootstrapSecret": self.token}
        first._await("its ACLs", lambda: bool(first.call("POST", "/v1/acl/bootstrap", body)))
        self.machine.join(first)
        first._await("a ready node", lambda: "ready" in first.nodes().values())
        first._await("all votes", lambda: self.voters(first) == SERVERS)

    def stop(self) -> None:
        """Stop everything, what runs first: it would outlive its machine."""
        with contextlib.suppress(AssertionError, OSError):
            until_blocking(self._idles, seconds=STOP_SECONDS, pause=0.2)
        self.machine.stop()
        for server in self.servers:
            server.stop()

    def _idles(self) -> bool:
        """Ask for the end of all jobs, and tell whether nothing runs any more."""
        living = (s for s in self.servers if s._process is not None and s._process.poll() is None)
        leader = next((server for server in living if server.leads), None)
        if leader is None:
            return False
        for job in leader.call("GET", "/v1/jobs?namespace=*"):
            if not job["Stop"]:
                leader.call("DELETE", f"/v1/job/{job['ID']}?namespace={job['Namespace']}")
        rows = leader.call("GET", "/v1/allocations?namespace=*")
        return not any(row["ClientStatus"] in {"pending", "running"} for row in rows)

    def voters(self, through: NomadServer) -> int:
        """Count the servers that vote, as one of them sees it; 0 while not all are well."""
        try:
            health = through.call("GET", "/v1/operator/autopilot/health")
        except urllib.error.HTTPError:
            return 0  # It answers 429 while one of them is not well.
        return sum(server["Voter"] and server["Healthy"] for server in health["Servers"])

    def leader(self, *, but: NomadServer | None = None) -> NomadServer | None:
        """Find the server that leads, as it says itself; None while there is none."""
        return next((server for server in self.servers if server is not but and server.leads), None)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
