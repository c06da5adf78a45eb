"""An administrator's connection to a continent's cluster, and what the lab needs of it."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from orrery.playground.kubeapi import KubeApi, collection, object_path
from orrery.ports import Document

_MERGE: Final = "application/merge-patch+json"


class ContinentApi(KubeApi):
    """Reads and writes objects, follows them, and reads what pods say."""

    async def write_status(self, found: Document, status: Document) -> None:
        """Merge *status* into that of an object that was read."""
        await self.call(
            "PATCH",
            f"{object_path(found)}/status",
            json={"status": status},
            headers={"Content-Type": _MERGE},
        )

    async def log(self, namespace: str, pod: str, *, container: str = "") -> str:
        """Read all that a container of *pod* has said; of the only one when none is named."""
        path = f"{collection('v1', 'Pod', namespace)}/{pod}/log"
        query = {"container": container} if container else {}
        async with self._session.get(path, params=query) as reply:
            text = await reply.text()
            assert reply.ok, text
            return text

    async def follow(self, api_version: str, kind: str) -> AsyncIterator[tuple[str, Document]]:
        """Yield all objects of *kind* as ADDED, and then what happens to them.

        Ends when the API server ends the watch; the caller starts anew.
        """
        path = collection(api_version, kind)
        found = await self.call("GET", path)
        for item in found["items"]:
            yield "ADDED", {"apiVersion": api_version, "kind": kind} | item
        query = {"watch": "true", "resourceVersion": found["metadata"]["resourceVersion"]}
        endless = aiohttp.ClientTimeout(sock_connect=10)
        async with self._session.get(path, params=query, timeout=endless) as reply:
            async for line in reply.content:
                event: dict[str, Any] = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
