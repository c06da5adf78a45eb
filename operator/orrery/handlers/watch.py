"""Watch the four kinds with kopf, and pass on what it tells. Decides nothing, stores nothing.

kopf runs in a thread with an event loop of its own, and we wait for its tasks ourselves. Left to
itself, kopf 1.45 ends at any watch error but 410, takes every task that is younger than it for its
own to cancel, and may hang in doing so (all seen). Here it is left behind and started again.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import aiohttp
import kopf

from orrery.api.base import GROUP, VERSION
from orrery.api.crd import PLURALS
from orrery.ports import Kind

log = logging.getLogger(__name__)

WATCH_SECONDS = 240
"""How long one watch request lasts. Each new one is a sign of life; a quiet hub gives no other."""

SILENCE_SECONDS = 90.0
"""A watch without even a bookmark for so long is dead; the server sends one each minute."""

LOGIN_PAUSE = 5.0
"""Least seconds between two logins: a hub that refuses our credentials is not asked in a loop."""

CLEAR_WITHIN = 3.0
"""Seconds that kopf's tasks have to end."""

FAREWELL = 0.25
"""Seconds that TLS connections have to say good-bye; aiohttp does not wait for them."""

STOP_WITHIN = CLEAR_WITHIN + 2.0

_KINDS = {plural: Kind(kind) for kind, plural in PLURALS.items()}


class Sink(Protocol):
    """Who takes the events. Called in the event loop of whoever runs the `Watch`."""

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Take note of an object; *event_type* is None when it was listed. Never raises."""


class Access(Protocol):
    """How to reach the hub; usable in any event loop."""

    server: str

    def open_session(
        self,
        *,
        answered: Callable[[aiohttp.TraceRequestEndParams], None],
        failed: Callable[[aiohttp.TraceRequestExceptionParams], None],
    ) -> aiohttp.ClientSession:
        """Open a session that authenticates each request, and tells how each one ends."""


class WatchEnded(Exception):
    """The watches ended by themselves; start them again."""


class Watch:
    """The watches of all kinds, for one run."""

    def __init__(
        self,
        access: Callable[[], Awaitable[Access]],
        sink: Sink,
        *,
        alive: Callable[[Kind], None],
        within: float = SILENCE_SECONDS,
        lasts: int = WATCH_SECONDS,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        """Prepare; *alive* hears of each sign of life of a watch, the first when it has listed."""
        self._loop_factory = loop_factory
        self._access = access
        self._sink = sink
        self._alive = alive
        self._within = within
        self._lasts = lasts
        self._loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._kopf_loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = False
        self._last_login = 0.0
        self._sessions: list[aiohttp.ClientSession] = []
        self._failing = False
        self._deaf = False

    async def run(self) -> None:
        """Watch until cancelled. Raises `WatchEnded` when kopf ends by itself."""
        threading.Thread(target=self._thread, name="kopf", daemon=True).start()
        try:
            error = await asyncio.shield(self._outcome)
        except asyncio.CancelledError:
            self._end()
            await self._wait_for_end()
            raise
        raise WatchEnded(f"{type(error).__name__}: {error}" if error else "no reason") from error

    def _end(self) -> None:
        """Ask kopf to end, from our thread; it may not have begun yet."""
        self._stopping = True
        if self._kopf_loop is not None and self._stop is not None:
            self._kopf_loop.call_soon_threadsafe(self._stop.set)

    async def _wait_for_end(self) -> None:
        _, pending = await asyncio.wait([self._outcome], timeout=STOP_WITHIN)
        if pending:
            log.warning("the watches did not end in time and are left behind")

    def _thread(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._operate())

    async def _operate(self) -> None:
        """Run kopf, in its own thread, until it fails or we are told to stop."""
        self._stop = asyncio.Event()
        self._kopf_loop = asyncio.get_running_loop()
        if self._stopping:
            self._stop.set()
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=_settings(self._within, self._lasts),
            standalone=True,
            clusterwide=True,
        )
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        errors = [task.exception() for task in done - {stop} if not task.cancelled()]
        await self._clear_up()
        self._tell(self._outcome.set_result, errors[0] if errors else None)
        await asyncio.sleep(FAREWELL)

    async def _clear_up(self) -> None:
        """End everything in kopf's loop, which is ours to end."""
        self._deaf = True
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=CLEAR_WITHIN)
        for session in self._sessions:
            await session.close()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login")(self._login)
        for plural in _KINDS:
            kopf.on.event(GROUP, VERSION, plural, registry=registry, id=f"observe-{plural}")(
                self._observe
            )
        return registry

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        loop = asyncio.get_running_loop()
        if self._last_login:
            await asyncio.sleep(max(0.0, self._last_login + LOGIN_PAUSE - loop.time()))
        self._last_login = loop.time()
        access = await self._access()
        session = access.open_session(answered=self._answered, failed=self._failed)
        self._sessions.append(session)
        return kopf.AiohttpSession(server=access.server, aiohttp_session=session)

    async def _observe(self, event: kopf.RawEvent, resource: kopf.Resource, **_: Any) -> None:
        if self._deaf:
            return
        kind = _KINDS[resource.plural]
        self._tell(self._sink.observe, kind, event["type"], event["object"])
        self._tell(self._alive, kind)

    def _answered(self, params: aiohttp.TraceRequestEndParams) -> None:
        """Take note that a watch was answered: kopf lists before it watches."""
        if self._failing and params.response.ok:
            self._failing = False
            log.info("the hub answers the watches again")
        kind = _KINDS.get(params.url.name)
        if kind is not None and params.response.ok and "watch" in params.url.query:
            self._tell(self._alive, kind)

    def _failed(self, params: aiohttp.TraceRequestExceptionParams) -> None:
        """Say once that the hub is gone; kopf goes on trying."""
        if not (self._failing or self._deaf):
            self._failing = True
            log.warning("the hub does not answer the watches: %s", params.exception)

    def _tell(self, hear: Callable[..., None], *arguments: object) -> None:
        """Call *hear* in our loop; one that has closed needs no news."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(hear, *arguments)


class _NoDiff(kopf.DiffBaseStorage):
    """Keeps no last state to compare with: nothing here asks what changed.

    kopf's own copies each object it lists, a status of a hundred regions included.
    """

    def build(
        self,
        *,
        body: kopf.Body,  # noqa: ARG002 - kopf's
        extra_fields: Iterable[Any] | None = None,  # noqa: ARG002 - kopf's
    ) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def _settings(within: float, lasts: int) -> kopf.OperatorSettings:
    """Have kopf watch, and do nothing else: no state, no events, no peers, no scans."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.server_timeout = lasts
    settings.watching.client_timeout = lasts + within
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = within
    settings.watching.reconnect_backoff = 0.5
    settings.watching.chunk_size = 100
    settings.persistence.diffbase_storage = _NoDiff()
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    # A failing watch is started over by kopf for ever; short retries see a hub that is back soon.
    settings.networking.error_backoffs = [0.2, 0.5, 1, 2]
    settings.queueing.idle_timeout = 0.5
    # The last resort of kopf is to kill the process, which is not kopf's here.
    settings.process.ultimate_exiting_timeout = None
    return settings
