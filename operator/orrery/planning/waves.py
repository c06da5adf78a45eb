"""Sort the regions of a class into the waves of its rollout. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orrery.api.base import seconds
from orrery.api.classrollout import MAX_CONCURRENT, REMAINING, ClassRollout, RegionWave


@dataclass(frozen=True, slots=True)
class Wave:
    """Some regions of a class, and the rules under which they take a change."""

    name: str
    regions: Sequence[str]
    max_concurrent: int
    soak: float
    """Seconds."""
    needs_approval: bool = False


def waves_of(rollout: ClassRollout, regions: Mapping[str, Mapping[str, str]]) -> list[Wave]:
    """Sort *regions*, given with their labels, into waves; each is in exactly one.

    Waves without a region are left out.
    """
    left = sorted(regions)
    found = []
    for wave in rollout.waves:
        chosen = _chosen(wave, left, regions)
        left = [region for region in left if region not in chosen]
        found.append(
            Wave(
                wave.name,
                chosen,
                _count(wave.max_concurrent or rollout.max_concurrent, len(regions)),
                seconds(wave.soak or rollout.soak),
                needs_approval=wave.approval == "Required",
            )
        )
    rest = _count(rollout.max_concurrent, len(regions))
    found.append(Wave(REMAINING, left, rest, seconds(rollout.soak)))
    return [wave for wave in found if wave.regions]


def _chosen(
    wave: RegionWave, left: Sequence[str], regions: Mapping[str, Mapping[str, str]]
) -> list[str]:
    if wave.regions is not None:
        return [region for region in left if region in wave.regions]
    if wave.region_selector is not None:
        matches = wave.region_selector.matches
        return [region for region in left if matches(dict(regions[region]))]
    part = -(-len(regions) * (wave.percent or 0) // 100)
    return list(left[:part])


def _count(share: int | str | None, regions: int) -> int:
    """Read a count, or a share of *regions*: rounded down, and never none."""
    if isinstance(share, str):
        return max(1, regions * int(share.removesuffix("%")) // 100)
    return MAX_CONCURRENT if share is None else share
