"""Record Kubernetes Events beside the work: nobody waits for them."""

import asyncio

from orrery.ports import Hub, HubEvent, Key
from orrery.reconcile.inventory import Inventory


class Announcer:
    """Records events about objects that are still there."""

    def __init__(self, hub: Hub, inventory: Inventory) -> None:
        self._hub = hub
        self._inventory = inventory
        self._under_way: set[asyncio.Task[None]] = set()

    def announce(self, key: Key, kind: str, reason: str, message: str) -> None:
        """Record an event of *kind*, Normal or Warning, about *key*."""
        body = self._inventory.get(key)
        if body is None:
            return
        event = HubEvent(key, body["metadata"]["uid"], kind, reason, message)
        task = asyncio.get_running_loop().create_task(self._hub.emit_event(event))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
