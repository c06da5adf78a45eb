"""Put simulated regions on sockets: one port each, all in one process."""

import asyncio
import ssl as tls
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from orrery.sim.admin import admin_app
from orrery.sim.http import TOO_MANY, Front
from orrery.sim.region import SimulatedRegion

LOOPBACK: Final = "127.0.0.1"
MAX_BODY: Final = 32 * 1024 * 1024

TLS = tls.SSLContext | Callable[[str], tls.SSLContext] | None

_TURNED_AWAY: Final = (
    "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
    f"Content-Length: {len(TOO_MANY)}\r\nConnection: close\r\n\r\n{TOO_MANY}"
).encode()


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """Take requests in whose bodies are as large as a big job."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


class _Door(asyncio.Protocol):
    """Decides about a connection before HTTP gets to see it."""

    def __init__(self, listener: "_Listener") -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection over, or turn it away as Nomad does."""
        # Other loops' transports have the methods without the base class.
        connection = cast("asyncio.Transport", transport)
        if self._listener.is_full(connection):
            connection.write(_TURNED_AWAY)
            connection.close()
            return
        handler = self._listener.http()
        connection.set_protocol(handler)
        handler.connection_made(connection)


class _Listener:
    """One region's port, and the pump that keeps its time unless somebody else does."""

    def __init__(
        self,
        region: SimulatedRegion,
        host: str,
        port: int,
        context: tls.SSLContext | None,
        *,
        keep_time: bool,
    ) -> None:
        self.region = region
        self.port = port
        self.scheme = "https" if context else "http"
        self.front = Front(region)
        self.http = web.Server(self.front.handle, request_factory=_request, access_log=None)
        self._host = host
        self._context = context
        self._keeps_time = keep_time
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._change: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and begin to keep time."""
        await self._listen()
        self.region.on_darkness = self._obey
        if self._keeps_time:
            self.region.core.timers.wake = self._wind
            self._wind()
        self._obey()

    async def stop(self) -> None:
        """Close everything."""
        self.region.core.timers.wake = lambda: None
        self.region.on_darkness = lambda: None
        if self._timer:
            self._timer.cancel()
        if self._change:
            await self._change
        self.front.drop_streams()
        self._deafen()
        await self.http.shutdown(0.1)

    def is_full(self, transport: asyncio.Transport) -> bool:
        """Tell whether the caller's address has all the connections it may have."""
        limit = self.region.max_connections
        if not limit:
            return False
        addresses = Counter(
            connection.transport.get_extra_info("peername", [""])[0]
            for connection in self.http.connections
            if connection.transport is not None
        )
        return addresses[transport.get_extra_info("peername")[0]] >= limit

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Door(self),
            self._host,
            self.port,
            ssl=self._context,
            reuse_address=True,
            backlog=1024,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _deafen(self) -> None:
        """Close the port and cut what is connected."""
        if self._server:
            self._server.close()
            self._server = None
        for connection in tuple(self.http.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def _obey(self) -> None:
        """Go dark or come back, as the faults say."""
        if self.region.faults.dark:
            self._deafen()
        elif self._server is None and self._change is None:
            self._change = asyncio.ensure_future(self._return())

    async def _return(self) -> None:
        await self._listen()
        self._change = None
        self._obey()

    def _wind(self) -> None:
        """Run what is due at its time."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due = self.region.core.timers.due()
        if due is not None:
            delay = max(0.0, due - self.region.core.store.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)

    def _run(self) -> None:
        self._timer = None
        self.region.run_due()
        self._wind()


class Served:
    """Regions that can be reached."""

    def __init__(self, listeners: Sequence[_Listener], host: str, admin_port: int) -> None:
        self._listeners = {listener.region.name: listener for listener in listeners}
        self._host = host
        self.admin_port = admin_port

    @property
    def admin_address(self) -> str:
        """Where faults, counters and snapshots are."""
        return f"http://{LOOPBACK}:{self.admin_port}"

    def region(self, name: str) -> SimulatedRegion:
        """Return a region by name."""
        return self._listeners[name].region

    def port(self, name: str) -> int:
        """Return a region's port; it stays the same when the region goes dark and comes back."""
        return self._listeners[name].port

    def address(self, name: str) -> str:
        """Return a region's address as clients write it."""
        listener = self._listeners[name]
        return f"{listener.scheme}://{self._host}:{listener.port}"


@asynccontextmanager
async def serve(
    regions: Sequence[SimulatedRegion],
    *,
    host: str = LOOPBACK,
    ports: Sequence[int] | None = None,
    ssl: TLS = None,
    admin_port: int = 0,
    keep_time: bool = True,
) -> AsyncIterator[Served]:
    """Serve *regions*, one port each; without *ports*, free ones.

    *ssl* is one context for all or makes one by region name. The admin port is open to loopback
    only, and speaks plain HTTP. Who does not have time kept calls `run_due` himself.
    """
    chosen = ports or [0] * len(regions)
    listeners = [
        _Listener(
            region, host, port, ssl(region.name) if callable(ssl) else ssl, keep_time=keep_time
        )
        for region, port in zip(regions, chosen, strict=True)
    ]
    runner = web.AppRunner(admin_app(regions), access_log=None)
    try:
        for listener in listeners:
            await listener.start()
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, admin_port).start()
        yield Served(listeners, host, int(runner.addresses[0][1]))
    finally:
        for listener in listeners:
            await listener.stop()
        await runner.cleanup()
