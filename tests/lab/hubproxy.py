"""A proxy before a hub: shows every request, and breaks watches the way an API server does."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from orrery.adapters.kube.access import HubAccess, HubSource

LOOPBACK = "127.0.0.1"


@dataclass
class HubProxy:
    """Passes everything on as the administrator, and notes it."""

    access: HubAccess
    session: aiohttp.ClientSession
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    answer: tuple[int, dict[str, Any]] | None = None
    """Status and document that every request gets while set."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of *answer*."""
    tokens: list[str] = field(default_factory=list)
    """What the requests authenticated with."""
    known_token: str | None = None
    """While set, any other token is refused."""
    watches: dict[str, web.StreamResponse] = field(default_factory=dict)
    """Open watches, by plural."""

    @property
    def methods(self) -> set[str]:
        return {method for method, _ in self.requests}

    def lists_of(self, plural: str) -> int:
        """Count the lists of *plural*, watches left out."""
        return self.requests.count(("GET", f"/apis/orrery.dev/v1alpha1/{plural}"))

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """Write a kubeconfig that leads here."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": user}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    async def inject(self, plural: str, code: int) -> None:
        """Send an ERROR event into the open watch of *plural*."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        event = {"type": "ERROR", "object": {**status, "message": "told to"}}
        await self.watches[plural].write(json.dumps(event).encode() + b"\n")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        watching = "watch" in request.query
        self.requests.append((request.method, request.path + ("?watch" if watching else "")))
        self.tokens.append(request.headers.get("Authorization", ""))
        refused = self._refusal(self.tokens[-1])
        if refused is not None:
            return refused
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        async with self.session.request(
            request.method,
            self.access.server + request.path,
            params=request.query,
            data=await request.read() or None,
            headers=headers,
        ) as answer:
            return await self._pass_on(request, answer, watching=watching)

    def _refusal(self, token: str) -> web.Response | None:
        if self.known_token is not None and token != self.known_token:
            return web.json_response({"message": "Unauthorized"}, status=401)
        if self.answer is not None:
            status, document = self.answer
            return web.json_response(document, status=status, headers=self.headers)
        return None

    async def _pass_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, *, watching: bool
    ) -> web.StreamResponse:
        headers: Mapping[str, str] = {"Content-Type": answer.headers["Content-Type"]}
        if not watching:
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)
        stream = web.StreamResponse(status=answer.status, headers=headers)
        await stream.prepare(request)
        plural = request.path.rpartition("/")[2]
        self.watches[plural] = stream
        try:
            async for chunk in answer.content.iter_any():
                await stream.write(chunk)
        except (aiohttp.ClientError, ConnectionError):
            pass  # Either side may go at any time: that is what it is for.
        finally:
            if self.watches.get(plural) is stream:
                del self.watches[plural]
        return stream


@asynccontextmanager
async def running_proxy(kubeconfig: Path) -> AsyncIterator[HubProxy]:
    """Run a proxy before the hub of *kubeconfig*."""
    access = await HubSource(str(kubeconfig)).load()
    async with access.open_session() as session:
        proxy = HubProxy(access, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, 0)
            await site.start()
            port = runner.addresses[0][1]
            proxy.url = f"http://{LOOPBACK}:{port}"
            yield proxy
        finally:
            await runner.cleanup()
