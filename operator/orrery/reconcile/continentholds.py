"""Hold a Continent that is deleted for as long as regions name it, by a finalizer."""

from orrery.api.base import Metadata
from orrery.names import FINALIZER_CONTINENT
from orrery.ports import Document, Hub, Key, Kind
from orrery.reconcile.inventory import Inventory


class ContinentHolds:
    """Keeps the finalizers of Continents: one that regions name has ours, any other has not."""

    def __init__(self, *, hub: Hub, inventory: Inventory) -> None:
        self._hub = hub
        self._inventory = inventory

    def regions(self, continent: str) -> list[str]:
        """List the regions that name *continent*, as far as the watch has told; sorted."""
        bodies = map(self._inventory.get, self._inventory.keys(Kind.REGION))
        named = (_named(body) for body in bodies if body is not None)
        return sorted(region for region, theirs in named if theirs == continent)

    async def settle(self, continent: str) -> bool:
        """Add the finalizer, or take it away; tell whether the Continent goes for good."""
        key = Key(Kind.CONTINENT, "", continent)
        body = self._inventory.get(key)
        if body is None:
            return False
        metadata = Metadata.model_validate(body["metadata"])
        held, leaves = FINALIZER_CONTINENT in metadata.finalizers, metadata.deletion_timestamp
        regions = self.regions(continent)
        if regions and not held and leaves is None:
            await self._hub.add_finalizer(key, metadata.uid, FINALIZER_CONTINENT)
        elif held and not regions and not await self._is_named(continent):
            await self._hub.remove_finalizer(key, metadata.uid, FINALIZER_CONTINENT)
            return leaves is not None
        return False

    async def _is_named(self, continent: str) -> bool:
        """Ask the hub itself: a region that names it may have come since the watch last told."""
        named = await self._hub.list(Kind.REGION, _named)
        return any(theirs == continent for _, theirs in named)


def _named(region: Document) -> tuple[str, str]:
    return region["metadata"]["name"], region["spec"].get("continent", "")
