"""Count and time the calls to a region's Nomad, and count what is written to a continent."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, cast

from orrery.errors import OrreryError
from orrery.ports import Clock, ContinentalCluster, Document, ObjectRef, RegionNomad
from orrery.telemetry import Telemetry


def metered(nomad: RegionNomad, region: str, *, clock: Clock, telemetry: Telemetry) -> RegionNomad:
    """Return *nomad* with every call counted by its result: ok, or the error's reason."""
    return cast("RegionNomad", _Metered(nomad, region, clock, telemetry))


def metered_cluster(
    cluster: ContinentalCluster, continent: str, *, telemetry: Telemetry
) -> ContinentalCluster:
    """Return *cluster* with every write counted, whatever comes of it."""
    return cast("ContinentalCluster", _MeteredCluster(cluster, continent, telemetry))


class _Metered:
    """Hands every attribute through; calls are wrapped on first use and kept."""

    def __init__(self, nomad: RegionNomad, region: str, clock: Clock, telemetry: Telemetry) -> None:
        self._nomad = nomad
        self._region = region
        self._clock = clock
        self._telemetry = telemetry

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._nomad, name)
        if not iscoroutinefunction(attribute) or name == "close":
            return attribute
        wrapped = self._wrap(name, attribute)
        setattr(self, name, wrapped)
        return wrapped

    def _wrap(
        self, name: str, call: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def timed(*positional: Any, **keywords: Any) -> Any:
            started = self._clock.monotonic()
            result = "ok"
            try:
                return await call(*positional, **keywords)
            except OrreryError as error:
                result = str(error.reason)
                raise
            finally:
                seconds = self._clock.monotonic() - started
                self._telemetry.nomad_call(self._region, name, result, seconds)

        return timed


class _MeteredCluster:
    """Hands every attribute through; writes are counted on their way."""

    def __init__(self, cluster: ContinentalCluster, continent: str, telemetry: Telemetry) -> None:
        self._cluster = cluster
        self._continent = continent
        self._telemetry = telemetry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, manifest: Document) -> Document:
        """Count a server-side apply."""
        self._count(ObjectRef.of(manifest), "apply")
        return await self._cluster.apply(manifest)

    async def create(self, manifest: Document) -> bool:
        """Count a create."""
        self._count(ObjectRef.of(manifest), "create")
        return await self._cluster.create(manifest)

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """Count a delete."""
        self._count(ref, "delete")
        await self._cluster.delete(ref, uid)

    def _count(self, ref: ObjectRef, verb: str) -> None:
        self._telemetry.continent_write(self._continent, ref.kind, verb)
