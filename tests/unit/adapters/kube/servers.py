"""Servers on loopback that are no API server, or a strange one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import yaml
from aiohttp import web

LOOPBACK = "127.0.0.1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kubeconfig_of(server: str) -> str:
    """Write a kubeconfig that leads to *server*."""
    return yaml.safe_dump(
        {
            "current-context": "eu",
            "contexts": [{"name": "eu", "context": {"cluster": "eu", "user": "orrery"}}],
            "clusters": [{"name": "eu", "cluster": {"server": server}}],
            "users": [{"name": "orrery", "user": {"token": "s3cret"}}],
        }
    )


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Answer every request as *handler* does; yields the address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """Accept every connection and never answer; yields the address."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        while await reader.read(1024):
            pass

    server = await asyncio.start_server(keep, LOOPBACK, 0)
    try:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_ones:
            writer.close()
        await server.wait_closed()
