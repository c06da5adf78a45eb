"""The operator's HTTP endpoints: liveness, readiness and metrics."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web

from orrery.errors import InvalidSpec
from orrery.telemetry import CONTENT_TYPE, Telemetry

log = logging.getLogger(__name__)

Problems = Callable[[], list[str]]
"""Says what is wrong, as sentences; nothing while all is well."""


@asynccontextmanager
async def serve_probes(
    address: str, port: int, *, alive: Problems, ready: Problems
) -> AsyncIterator[int]:
    """Serve ``/healthz`` and ``/readyz`` in the block; yields the port."""
    app = web.Application()
    app.router.add_get("/healthz", _verdict(alive))
    app.router.add_get("/readyz", _verdict(ready))
    async with _serving(app, "health-port", address, port) as served_on:
        yield served_on


@asynccontextmanager
async def serve_metrics(address: str, port: int, telemetry: Telemetry) -> AsyncIterator[int]:
    """Serve ``/metrics`` in the block; yields the port."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.page(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with _serving(app, "metrics-port", address, port) as served_on:
        yield served_on


def _verdict(problems: Problems) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = problems()
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return web.Response(text="\n".join(found or ["ok"]) + "\n", status=status)

    return answer


@asynccontextmanager
async def _serving(
    app: web.Application, option: str, address: str, port: int
) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as error:
            message = f"{option}: cannot listen on {address}:{port}: {error.strerror or error}"
            raise InvalidSpec("InvalidConfiguration", message) from error
        served_on: int = runner.addresses[0][1]
        yield served_on
    finally:
        await runner.cleanup()
