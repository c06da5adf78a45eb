"""Switch faults, read counters, take and restore snapshots: over HTTP, beside Nomad's API.

::

    GET    /sim/v1/regions
    GET    /sim/v1/regions/{region}                 index, faults, counters
    PUT    /sim/v1/regions/{region}/faults          {"latency": 0.2, "dark": true, ...}
    DELETE /sim/v1/regions/{region}/counters        begin at zero
    PUT    /sim/v1/regions/{region}/snapshot        {"name": "before"}
    PUT    /sim/v1/regions/{region}/restore         {"name": "before"}
    PUT    /sim/v1/regions/{region}/streams/drop    {"evict": true}
    PUT    /sim/v1/regions/{region}/nodes/{node}    {"status": "down", "eligible": false}

A machine is "ready" or "down", and eligible unless told otherwise. What is down falls silent and
runs on, as behind a cut cable: the region gives its instances up, or waits for them.
"""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from orrery.sim.region import SimulatedRegion


class _Admin:
    def __init__(self, regions: Sequence[SimulatedRegion]) -> None:
        self._regions = {region.name: region for region in regions}

    async def list(self, _request: web.Request) -> web.Response:
        return web.json_response(sorted(self._regions))

    async def show(self, request: web.Request) -> web.Response:
        region = self._region(request)
        return web.json_response(
            {
                "name": region.name,
                "index": region.index,
                "faults": region.faults.document(),
                "counters": region.counters.document(),
            }
        )

    async def set_faults(self, request: web.Request) -> web.Response:
        region, values = self._region(request), await _body(request)
        try:
            region.set_faults(**values)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response(region.faults.document())

    async def reset_counters(self, request: web.Request) -> web.Response:
        self._region(request).counters.reset()
        return web.Response(status=204)

    async def snapshot(self, request: web.Request) -> web.Response:
        region, values = self._region(request), await _body(request)
        region.snapshot(str(values.get("name", "default")))
        return web.Response(status=204)

    async def restore(self, request: web.Request) -> web.Response:
        region, values = self._region(request), await _body(request)
        try:
            region.restore(str(values.get("name", "default")))
        except KeyError as error:
            raise web.HTTPNotFound(text=f"there is no snapshot {error}") from None
        return web.Response(status=204)

    async def drop_streams(self, request: web.Request) -> web.Response:
        region, values = self._region(request), await _body(request)
        region.drop_streams(evict=bool(values.get("evict")))
        return web.Response(status=204)

    async def set_node(self, request: web.Request) -> web.Response:
        region, values = self._region(request), await _body(request)
        name, eligible = request.match_info["node"], values.get("eligible", True)
        if unknown := sorted(values.keys() - {"status", "eligible"}):
            raise web.HTTPBadRequest(text=f"a machine has status and eligible, not {unknown[0]!r}")
        if not isinstance(eligible, bool):
            raise web.HTTPBadRequest(text=f"eligible is true or false, not {eligible!r}")
        try:
            region.set_node(name, status=values.get("status", "ready"), eligible=eligible)
        except KeyError:
            raise web.HTTPNotFound(text=f"there is no machine {name!r}") from None
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.Response(status=204)

    def _region(self, request: web.Request) -> SimulatedRegion:
        name = request.match_info["region"]
        if name not in self._regions:
            raise web.HTTPNotFound(text=f"there is no region {name!r}")
        return self._regions[name]


def admin_app(regions: Sequence[SimulatedRegion]) -> web.Application:
    """Make the application that looks behind the scenes of *regions*."""
    admin = _Admin(regions)
    region = "/sim/v1/regions/{region}"
    app = web.Application()
    app.add_routes(
        [
            web.get("/sim/v1/regions", admin.list),
            web.get(region, admin.show),
            web.put(f"{region}/faults", admin.set_faults),
            web.delete(f"{region}/counters", admin.reset_counters),
            web.put(f"{region}/snapshot", admin.snapshot),
            web.put(f"{region}/restore", admin.restore),
            web.put(f"{region}/streams/drop", admin.drop_streams),
            web.put(region + "/nodes/{node}", admin.set_node),
        ]
    )
    return app


async def _body(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    try:
        values = json.loads(text) if text else {}
    except ValueError:
        raise web.HTTPBadRequest(text="the body is no JSON") from None
    if not isinstance(values, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object")
    return values
