"""The few calls to a region that bring it up and take it down."""

import json
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from orrery.errors import Refused
from orrery.playground.credentials import RegionFiles

_SCHEDULER: Final = "/v1/operator/scheduler/configuration"


class NomadApi:
    """A connection to one region, with its client certificate and management token."""

    def __init__(self, address: str, files: RegionFiles) -> None:
        """Connect to *address*, lazily."""
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.client_certificate, files.client_key)
        self._token = files.token.read_text(encoding="ascii").strip()
        self._session = aiohttp.ClientSession(
            base_url=address,
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=5),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def has_leader(self) -> bool:
        """Tell whether the servers have elected a leader."""
        return bool(await self._get("/v1/status/leader"))

    async def has_machine(self) -> bool:
        """Tell whether a machine is ready to run something: it joined, and a driver works."""
        nodes = await self._get("/v1/nodes") or []
        return any(node.get("Status") == "ready" and _has_driver(node) for node in nodes)

    async def bootstrap(self) -> None:
        """Make the stored token the management token; a simulated region begins with it."""
        if await self._get("/v1/nodes") is not None:
            return
        request = {"BootstrapSecret": self._token}
        async with self._session.post("/v1/acl/bootstrap", json=request) as reply:
            if not reply.ok:
                raise Refused("BootstrapRefused", f"ACL bootstrap: {await reply.text()}")

    async def honour_memory_limits(self) -> None:
        """Let instances exceed their reservation, up to their limit: Nomad refuses by default.

        A simulated region has no scheduler to configure.
        """
        found = await self._get(_SCHEDULER)
        if found is None:
            return
        wanted = {**found["SchedulerConfig"], "MemoryOversubscriptionEnabled": True}
        headers = {"X-Nomad-Token": self._token}
        async with self._session.put(_SCHEDULER, json=wanted, headers=headers) as reply:
            if not reply.ok:
                words = await reply.text()
                raise Refused("ConfigurationRefused", f"scheduler configuration: {words}")

    async def take_snapshot(self) -> None:
        """Make the servers write a snapshot now; a simulated region has none to write."""
        await self._get("/v1/operator/snapshot")

    async def stop_jobs(self) -> None:
        """Ask the region to stop all its jobs; a region that does not answer is left alone."""
        for job in await self._get("/v1/jobs?namespace=*") or []:
            parameters = {"namespace": job["Namespace"]}
            path = f"/v1/job/{quote(job['ID'], safe='')}"
            headers = {"X-Nomad-Token": self._token}
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.delete(path, params=parameters, headers=headers):
                    pass

    async def is_idle(self) -> bool:
        """Tell whether no instance runs, or nobody answers."""
        allocations = await self._get("/v1/allocations?namespace=*") or []
        return not any(one.get("ClientStatus") in {"pending", "running"} for one in allocations)

    async def _get(self, path: str) -> Any:
        try:
            async with self._session.get(path, headers={"X-Nomad-Token": self._token}) as reply:
                body = await reply.read()
                is_json = reply.content_type == "application/json"
                return json.loads(body) if reply.ok and is_json else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def _has_driver(node: dict[str, Any]) -> bool:
    drivers = node.get("Drivers") or {}
    return any(driver.get("Healthy") for driver in drivers.values())
