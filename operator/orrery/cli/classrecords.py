"""Read from the continents' clusters what the Managed regions of a class were given."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.validation import ValidationFailure, validate_continent, validate_region
from orrery.cli.continentaccess import access_of
from orrery.cli.hub import Reader
from orrery.errors import OrreryError
from orrery.planning.classrecord import Record, decode
from orrery.ports import ClusterFactory, Kind, ObjectRef
from orrery.render.region.record import record_name


@dataclass(frozen=True, slots=True)
class Found:
    """One Managed region, its continent, and what it was given."""

    region: Region
    continent: Continent
    record: Record | None = None
    problem: str = ""
    """Why it is not known, as a sentence."""


async def regions_of(
    reader: Reader, clusters: ClusterFactory, operator_namespace: str, class_name: str
) -> list[Found]:
    """Find the Managed regions of a class, by name, and ask all their continents at once.

    What is not valid is left out, as the operator leaves it alone.
    """
    continents: dict[str, Continent] = {}
    for body in await reader.list_in(Kind.CONTINENT, ""):
        try:
            continents[body["metadata"]["name"]] = validate_continent(body)
        except ValidationFailure:
            continue
    regions: list[Region] = []
    for body in await reader.list_in(Kind.REGION, ""):
        try:
            region = validate_region(body)
        except ValidationFailure:
            continue
        hosted = region.spec.is_managed and region.spec.continent in continents
        if hosted and region.spec.class_ == class_name:
            regions.append(region)
    by_continent: dict[str, list[Region]] = {}
    for region in regions:
        by_continent.setdefault(region.spec.continent, []).append(region)
    asked = await asyncio.gather(
        *(
            _ask(reader, clusters, operator_namespace, continents[name], members)
            for name, members in by_continent.items()
        )
    )
    return sorted((f for found in asked for f in found), key=lambda f: f.region.metadata.name)


async def _ask(
    reader: Reader,
    clusters: ClusterFactory,
    operator_namespace: str,
    continent: Continent,
    regions: Sequence[Region],
) -> list[Found]:
    records: Mapping[str, Record | None]
    try:
        access = await access_of(continent, reader, operator_namespace)
        cluster = clusters.connect(access)
        try:
            records = {
                region.metadata.name: decode(
                    (await cluster.read(_ref(continent, region)) or {}).get("data") or {}
                )
                for region in regions
            }
        finally:
            await cluster.close()
    except OrreryError as error:
        return [Found(region, continent, problem=error.message) for region in regions]
    return [
        Found(
            region,
            continent,
            records[region.metadata.name],
            "" if records[region.metadata.name] else "nothing is remembered of its class",
        )
        for region in regions
    ]


def _ref(continent: Continent, region: Region) -> ObjectRef:
    name = region.metadata.name
    return ObjectRef("v1", "ConfigMap", continent.namespace_of(name), record_name(name))
