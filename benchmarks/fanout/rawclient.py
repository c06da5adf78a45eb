"""The limit: a client that posts the bodies over warm connections, and does nothing else."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from benchmarks.fanout.regions import Regions
from benchmarks.fanout.workload import Body

CONNECTIONS = 8
"""Per region, as many as Orrery keeps."""


@dataclass(frozen=True, slots=True)
class RawClient:
    """One session for all regions: they share an authority, a certificate and a token."""

    addresses: dict[str, str]
    session: aiohttp.ClientSession

    async def warm(self) -> None:
        """Open all connections."""
        await asyncio.gather(
            *(
                self._get(f"{address}/v1/status/leader")
                for address in self.addresses.values()
                for _ in range(CONNECTIONS)
            )
        )

    async def fan_out(self, body: Body) -> float:
        """Register *body* in all regions at once; return the moment it began."""
        began = time.time()
        await asyncio.gather(*(self._post(region, body) for region in self.addresses))
        return began

    async def sustain(self, bodies: Sequence[Body]) -> tuple[float, float]:
        """Register all *bodies* everywhere; return the moment it began, and the CPU time."""
        began, cpu = time.time(), time.process_time()
        workers = [
            self._work(region, iterator)
            for region, iterator in ((r, iter(bodies)) for r in self.addresses)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*workers)
        return began, time.process_time() - cpu

    async def _work(self, region: str, bodies: Iterator[Body]) -> None:
        for body in bodies:
            await self._post(region, body)

    async def _post(self, region: str, body: Body) -> None:
        url = f"{self.addresses[region]}/v1/job/{body.job}"
        async with self.session.post(url, data=body.text) as reply:
            said = await reply.read()
            if not reply.ok:
                raise RuntimeError(f"{region} refuses {body.job}: {said.decode()}")

    async def _get(self, url: str) -> None:
        async with self.session.get(url) as reply:
            await reply.read()


@asynccontextmanager
async def raw_client(regions: Regions) -> AsyncIterator[RawClient]:
    """Connect to all regions."""
    context, token = _credentials(regions.entries[regions.names[0]])
    connector = aiohttp.TCPConnector(
        limit=0, limit_per_host=CONNECTIONS, keepalive_timeout=60, ssl=context
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"X-Nomad-Token": token, "Content-Type": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        addresses = {name: each["nomadAddress"] for name, each in regions.entries.items()}
        yield RawClient(addresses, session)


def _credentials(entry: dict[str, str]) -> tuple[ssl.SSLContext, str]:
    context = ssl.create_default_context(cafile=entry["caFile"])
    context.load_cert_chain(entry["certFile"], entry["keyFile"])
    return context, Path(entry["tokenFile"]).read_text(encoding="ascii")
