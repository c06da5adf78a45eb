"""The regions: a process with a hundred of them, ``python -m benchmarks.fanout.simulator``.

The same simulation as `orrery sim`, behind mutual TLS and a token, with another door to it. What a
benchmark wants to know is asked here in one call and not a hundred, and regions are filled with
thousands of jobs in moments: records never change, so all regions can hold the same ones.

::

    GET    /counters                   requests and writes, by region
    DELETE /counters                   begin at zero
    PUT    /faults                     {"fra": {"latency": 0.2}, ...}
    GET    /registered?job=a&namespace=b   when each region took a job's newest version
    GET    /last                       the moment of the newest register of all, and their number
    PUT    /seed                       {"jobs": [{"Job": ..., "Submission": ...}, ...]}
    PUT    /namespace                  {"name": "raw"}: one more, in all regions
    PUT    /reset                      forget all jobs, and that namespace
"""

import argparse
import asyncio
import gc
import os
import signal
import ssl
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from benchmarks.fanout.workload import NOMAD_NAMESPACE

from orrery.adapters.pki import (
    PRIVATE,
    PUBLIC,
    Usage,
    create_authority,
    issue,
    write_file,
    write_key_pair,
)
from orrery.app import loop_factory
from orrery.playground.regions import RegionPlan, plan_regions
from orrery.playground.regionsfile import RegionEntry, write_regions_file
from orrery.sim import Served, SimulatedRegion, serve
from orrery.sim.machines import machines
from orrery.sim.server import LOOPBACK

REGIONS_FILE: Final = "regions.json"
CONTINENTS: Final = 6
MACHINES: Final = 3
ROOM: Final = 10_000_000
"""MHz and MiB of each machine: no job of a benchmark waits for a place."""
EVENT_BUFFER: Final = 10_000
"""Batches of events; as a region's servers ought to be configured."""
SETTLE_STEP: Final = 0.1
BATCH: Final = 200
"""Jobs that are seeded before somebody else gets a turn."""


class Control:
    """Answers the benchmark."""

    def __init__(self, regions: list[SimulatedRegion]) -> None:
        self._regions = {region.name: region for region in regions}
        self._first = regions[0]
        self._pristine = {region.name: region.core.tables.copy() for region in regions}

    def app(self) -> web.Application:
        """Make the application."""
        app = web.Application(client_max_size=1 << 30)
        app.add_routes(
            [
                web.get("/counters", self.counters),
                web.delete("/counters", self.reset_counters),
                web.put("/faults", self.faults),
                web.get("/registered", self.registered),
                web.get("/last", self.last),
                web.put("/seed", self.seed),
                web.put("/namespace", self.namespace),
                web.put("/reset", self.reset),
            ]
        )
        return app

    async def counters(self, _request: web.Request) -> web.Response:
        """Show what each region was asked for."""
        return web.json_response({n: r.counters.document() for n, r in self._regions.items()})

    async def reset_counters(self, _request: web.Request) -> web.Response:
        """Begin at zero."""
        for region in self._regions.values():
            region.counters.reset()
        return web.Response(status=204)

    async def faults(self, request: web.Request) -> web.Response:
        """Switch faults, by region."""
        for name, values in (await request.json()).items():
            self._regions[name].set_faults(**values)
        return web.Response(status=204)

    async def registered(self, request: web.Request) -> web.Response:
        """Tell when each region took the newest version of a job, by its own clock."""
        key = (request.query["namespace"], request.query["job"])
        jobs = {name: region.core.tables.jobs.get(key) for name, region in self._regions.items()}
        return web.json_response({n: job.submit_time / 1e9 for n, job in jobs.items() if job})

    async def last(self, _request: web.Request) -> web.Response:
        """Tell when the newest version of any job was taken, and how many registers there were."""
        jobs = [job for r in self._regions.values() for job in r.core.tables.jobs.values()]
        return web.json_response(
            {
                "moment": max((job.submit_time / 1e9 for job in jobs), default=0.0),
                "jobs": len(jobs),
                "registers": sum(r.counters.registers for r in self._regions.values()),
            }
        )

    async def seed(self, request: web.Request) -> web.Response:
        """Have all regions hold the same jobs, healthy, and answer with their JobModifyIndexes."""
        wanted: list[dict[str, Any]] = (await request.json())["jobs"]
        for number, one in enumerate(wanted):
            self._first.register(one["Job"], source=one["Submission"]["Source"])
            if number % BATCH == 0:
                await asyncio.sleep(0)
        tables = self._first.core.tables
        await self._settled()
        for region in self._regions.values():
            if region is not self._first:
                region.resume(tables)
                await asyncio.sleep(0)
        gc.collect()
        gc.freeze()
        return web.json_response({key[1]: job.job_modify_index for key, job in tables.jobs.items()})

    async def _settled(self) -> None:
        """Wait until every instance of the first region is healthy."""
        deployments = self._first.core.tables.deployments
        while True:
            if all(deployment.status == "successful" for deployment in deployments.values()):
                return
            await asyncio.sleep(SETTLE_STEP)

    async def namespace(self, request: web.Request) -> web.Response:
        """Create a namespace. Event streams that are open already do not show it."""
        name = str((await request.json())["name"])
        for region in self._regions.values():
            region.tenancy.put_namespace(name, "for jobs that nobody follows")
        return web.Response(status=204)

    async def reset(self, _request: web.Request) -> web.Response:
        """Go back to regions without jobs; nobody may be connected who remembers any."""
        for name, region in self._regions.items():
            region.resume(self._pristine[name])
        return web.Response(status=204)


@dataclass(frozen=True, slots=True)
class _Files:
    """What a client needs, in *directory*: one authority and one token for all regions."""

    directory: Path
    token: str

    def server_tls(self) -> ssl.SSLContext:
        authority = create_authority("orrery benchmark")
        write_file(self.directory / "ca.pem", authority.certificate, mode=PUBLIC)
        write_file(self.directory / "token", self.token, mode=PRIVATE)
        client = issue(authority, "client", usages=[Usage.CLIENT])
        write_key_pair(self.directory, "client", client)
        server = issue(authority, "server", hosts=["localhost", LOOPBACK], usages=[Usage.SERVER])
        certificate, key = write_key_pair(self.directory, "server", server)
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(self.directory / "ca.pem")
        )
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def write_regions(self, served: Served, plans: list[RegionPlan]) -> None:
        entries = [
            RegionEntry(
                name=plan.name,
                continent=plan.continent,
                nomad_address=served.address(plan.name),
                token_file=self.directory / "token",
                ca_file=self.directory / "ca.pem",
                cert_file=self.directory / "client.pem",
                key_file=self.directory / "client-key.pem",
                pid=os.getpid(),
            )
            for plan in plans
        ]
        write_regions_file(self.directory / REGIONS_FILE, entries)


async def run(directory: Path, count: int, control_port: int) -> None:
    """Serve *count* regions until told to end."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    gc.set_threshold(100_000, 20, 100)
    files = _Files(directory, str(uuid.uuid4()))
    plans = plan_regions(continents=min(CONTINENTS, count), regions=count)
    regions = [_region(plan.name, files.token) for plan in plans]
    async with serve(regions, ssl=files.server_tls()) as served:
        runner = web.AppRunner(Control(regions).app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, control_port).start()
        files.write_regions(served, plans)
        await ended.wait()
        await runner.cleanup()


def _region(name: str, token: str) -> SimulatedRegion:
    nodes = machines(MACHINES, datacenter="dc1", cpu_mhz=ROOM, memory_mb=ROOM)
    region = SimulatedRegion(name, nodes=nodes, token=token, event_buffer=EVENT_BUFFER)
    region.tenancy.put_namespace(NOMAD_NAMESPACE, "the benchmark's tenant")
    return region


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("regions", type=int)
    parser.add_argument("control_port", type=int)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run(options.directory, options.regions, options.control_port))
    sys.exit(0)


if __name__ == "__main__":
    main()
