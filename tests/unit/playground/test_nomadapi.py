"""The calls that bring a region up: only what must change is changed."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orrery.errors import Refused
from orrery.playground.credentials import RegionFiles, write_credentials
from orrery.playground.nomadapi import NomadApi

CONFIGURATION = "/v1/operator/scheduler/configuration"
SPREAD = {"SchedulerAlgorithm": "spread", "MemoryOversubscriptionEnabled": False}


class Nomad:
    """Answers like a server of Nomad whose scheduler has a configuration, or has none to show."""

    def __init__(self, configuration: dict[str, Any] | None, *, refuses: bool = False) -> None:
        self.configuration = configuration
        self.refuses = refuses

    async def show(self, _: web.Request) -> web.Response:
        if self.configuration is None:
            raise web.HTTPNotFound
        return web.json_response({"SchedulerConfig": self.configuration, "Index": 5})

    async def change(self, request: web.Request) -> web.Response:
        if self.refuses:
            raise web.HTTPForbidden(text="Permission denied")
        self.configuration = await request.json()
        return web.json_response({"Updated": True})

    @asynccontextmanager
    async def served(self, files: RegionFiles) -> AsyncIterator[NomadApi]:
        write_credentials(files, "fra")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
        context.load_cert_chain(files.server_certificate, files.server_key)
        app = web.Application()
        app.router.add_get(CONFIGURATION, self.show)
        app.router.add_put(CONFIGURATION, self.change)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            async with NomadApi(f"https://127.0.0.1:{runner.addresses[0][1]}", files) as api:
                yield api
        finally:
            await runner.cleanup()


async def test_memory_limits_are_honoured_and_the_rest_stays(tmp_path: Path) -> None:
    nomad = Nomad(SPREAD)

    async with nomad.served(RegionFiles(tmp_path)) as api:
        await api.honour_memory_limits()

    assert nomad.configuration == {**SPREAD, "MemoryOversubscriptionEnabled": True}


async def test_simulated_region_has_no_scheduler_to_configure(tmp_path: Path) -> None:
    nomad = Nomad(None)

    async with nomad.served(RegionFiles(tmp_path)) as api:
        await api.honour_memory_limits()

    assert nomad.configuration is None


async def test_refusal_is_told_in_nomads_words(tmp_path: Path) -> None:
    nomad = Nomad(SPREAD, refuses=True)

    async with nomad.served(RegionFiles(tmp_path)) as api:
        with pytest.raises(Refused, match="scheduler configuration: Permission denied"):
            await api.honour_memory_limits()
