"""Answer requests: faults first, then counting, routing, blocking."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from orrery.sim.calls import Call, Reply, refused
from orrery.sim.counters import WRITES
from orrery.sim.refusal import Refusal, bad_request, failed
from orrery.sim.region import SimulatedRegion
from orrery.sim.routes import STREAM, Handler, route
from orrery.sim.streaming import serve_stream

TOO_MANY = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
HANG_CHECK = 0.05
LOCAL = "/v1/agent/"
"""Calls that a server answers without a leader."""


class Front:
    """The HTTP side of one region."""

    def __init__(self, region: SimulatedRegion) -> None:
        self.region = region
        self.streams: set[Callable[[], None]] = set()
        region.on_streams_dropped = self.drop_streams

    def drop_streams(self) -> None:
        """Cut all event streams."""
        for stop in tuple(self.streams):
            stop()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        faults = self.region.faults
        if faults.too_many_connections:
            return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, text=TOO_MANY)
        if faults.hang:
            return await self._hang(request)
        response = await self._serve(request)
        held = faults.hang and not response.prepared
        return await self._hang(request) if held else response

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        faults = self.region.faults
        await asyncio.sleep(faults.one_way)
        body = await request.read()
        found = route(request.path)
        template = STREAM if request.path == STREAM else found[0] if found else "other"
        self.region.counters.count(request.method, template)
        try:
            if template == STREAM:
                return await self._stream(request)
            if found is None:
                return web.Response(status=HTTPStatus.NOT_FOUND, body=b"")
            _, parts, handlers = found
            reply = await self._answer(_call(self.region, request, parts, body), handlers)
        except Refusal as refusal:
            reply = refused(refusal)
        if faults.lose_replies and request.method in WRITES:
            faults.lose_replies -= 1
            return _cut(request)
        await asyncio.sleep(faults.one_way)
        return _response(reply, blocking=request.method == "GET")

    async def _answer(self, call: Call, handlers: Mapping[str, Handler]) -> Reply:
        handler = handlers.get("PUT" if call.method == "POST" else call.method)
        if handler is None:
            raise _wrong_method()
        if call.method != "GET":
            return handler(call)
        minimum, wait = call.min_index, call.wait
        reply = handler(call)
        if not minimum or not reply.watch:
            return reply
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while (reply.index or 0) <= minimum:
            changed = asyncio.Event()
            unwatch = self.region.core.store.watch(reply.watch, changed.set)
            try:
                async with asyncio.timeout_at(end):
                    await changed.wait()
            except TimeoutError:
                break
            finally:
                unwatch()
            reply = handler(call)
        return reply

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET":
            raise _wrong_method()
        call = _call(self.region, request, (), b"")
        await asyncio.sleep(self.region.faults.one_way)
        return await serve_stream(request, call, self.streams)

    async def _hang(self, request: web.BaseRequest) -> web.StreamResponse:
        while self.region.faults.hang:  # noqa: ASYNC110 - whoever lifts the fault knows no event
            await asyncio.sleep(HANG_CHECK)
        return _cut(request)


def _wrong_method() -> Refusal:
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")


def _call(
    region: SimulatedRegion, request: web.BaseRequest, parts: tuple[str, ...], body: bytes
) -> Call:
    if region.faults.no_leader and not request.path.startswith(LOCAL):
        raise failed("No cluster leader")
    headers = request.headers
    secret = headers.get("X-Nomad-Token", "")
    if not secret:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        secret = given if scheme == "Bearer" else ""
    query = request.query
    if query.get("region") not in {None, "", region.name}:
        raise failed("No path to region")
    if "\0" in request.path:
        raise bad_request("invalid path")
    return Call(
        region=region,
        method=request.method,
        parts=parts,
        query=dict(query),
        topics=tuple(query.getall("topic", [])),
        body=body,
        secret=secret,
    )


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Drop the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _response(reply: Reply, *, blocking: bool) -> web.Response:
    headers = {"Vary": "Accept-Encoding"}
    if reply.index is not None:
        headers["X-Nomad-Index"] = str(reply.index)
        if blocking:
            headers["X-Nomad-Knownleader"] = "true"
            headers["X-Nomad-Lastcontact"] = "0"
    if reply.next_token:
        headers["X-Nomad-Nexttoken"] = reply.next_token
    plain = reply.text is not None or reply.status == HTTPStatus.CONFLICT
    if not reply.empty:
        headers["Content-Type"] = "text/plain; charset=utf-8" if plain else "application/json"
    return web.Response(status=reply.status, body=reply.content(), headers=headers)
