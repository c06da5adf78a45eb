"""What is different when a GlobalDeployment is deleted: what holds a stop, and what ends a wait."""

from collections.abc import Callable, Mapping

from orrery.api.conditions import Reason
from orrery.api.region import Tombstone
from orrery.errors import NotYet
from orrery.moments import seconds_of
from orrery.ports import Clock, Hub, Key, Kind
from orrery.reconcile.fleet import Fleet
from orrery.reconcile.report import timestamp
from orrery.reconcile.scope import Scope

RETRY_BURIAL = 60.0
"""Seconds after which it is looked again whether a Region has remembered a job."""


class Deletion:
    """Phases of a pass over an object that is being deleted."""

    def __init__(
        self,
        *,
        hub: Hub,
        fleet: Fleet,
        clock: Clock,
        wait: float,
        look_at_region: Callable[[str], None],
    ) -> None:
        """Make the phases; *wait* is how many seconds a region that does not answer holds them."""
        self._hub = hub
        self._fleet = fleet
        self._clock = clock
        self._wait = wait
        self._look_at_region = look_at_region

    def ended(self, key: Key) -> None:
        """Take note that the object is gone: what Regions remember of it may be stopped now."""
        for region in self._fleet.regions_remembering(key):
            self._look_at_region(region)

    async def hold_while_paused(self, scope: Scope) -> None:
        """Stop nothing while the user wants nothing to be written."""
        spec = scope.body.get("spec")
        if isinstance(spec, Mapping) and spec.get("paused") is True:
            message = "spec.paused is true: jobs are stopped once it is false again"
            raise NotYet(Reason.PAUSED, message, retry_after=600)

    async def hold_while_the_definition_leaves(self, _: Scope) -> None:
        """Stop nothing because the definition of all GlobalDeployments is being deleted."""
        if await self._hub.is_leaving(Kind.GLOBAL_DEPLOYMENT):
            message = (
                "the definition of GlobalDeployment is being deleted, which deletes every object: "
                "jobs are left as they are"
            )
            raise NotYet(Reason.DEFINITION_LEAVING, message, retry_after=60)

    async def bury(self, scope: Scope) -> None:
        """Wait for regions that do not answer, up to a limit; then the Region remembers the job."""
        waiting = [region for region in scope.states if self._is_away(region)]
        since = seconds_of(scope.metadata.deletion_timestamp or "")
        scope.wake_after = since + self._wait - self._clock.now()
        if not waiting or scope.wake_after > 0:
            return
        scope.wake_after = RETRY_BURIAL
        for region in waiting:
            if self._fleet.is_buried(region, scope.metadata.uid):
                del scope.states[region]
                self._fleet.withdraw(region, scope.key)
            elif self._fleet.remember_job(region, self._tombstone(scope, region)):
                self._look_at_region(region)

    def _is_away(self, region: str) -> bool:
        member = self._fleet.member(region)
        return member is None or member.is_dark or member.is_shut

    def _tombstone(self, scope: Scope, region: str) -> Tombstone:
        state = scope.states[region]
        return Tombstone(
            namespace=scope.key.namespace,
            name=scope.key.name,
            uid=scope.metadata.uid,
            revision=state.digest,
            index=state.index,
            time=timestamp(self._clock),
        )
