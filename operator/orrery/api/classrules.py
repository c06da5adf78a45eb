"""What the parts of a class's rollout must be to each other: its CEL rules, in Python. Pure."""

import re
from collections.abc import Iterator

from orrery.api.classrollout import COUNT_MAX, COUNT_OR_SHARE, REMAINING, ClassRollout, RegionWave
from orrery.api.forms import SHARE
from orrery.api.problems import Problem, field, not_allowed, shown


def rollout(document: ClassRollout) -> Iterator[Problem]:
    """Judge a rollout whose fields are each right by themselves."""
    yield from _share(document.max_concurrent, "spec.rollout.maxConcurrent")
    for i, wave in enumerate(document.waves):
        path = field("spec.rollout.waves", i)
        yield from _members(wave, path)
        if wave.name == REMAINING:
            yield Problem(
                f"{path}.name",
                f'name "{REMAINING}" is that of the last wave, which needs no entry',
            )


def _share(value: int | str | None, path: str) -> Iterator[Problem]:
    match value:
        case int() if not 1 <= value <= COUNT_MAX:
            yield Problem(path, not_allowed(value, COUNT_OR_SHARE))
        case str() if re.match(SHARE.pattern, value) is None:
            yield Problem(path, not_allowed(value, COUNT_OR_SHARE))


def _members(wave: RegionWave, path: str) -> Iterator[Problem]:
    given = {
        "regions": wave.regions,
        "regionSelector": wave.region_selector,
        "percent": wave.percent,
    }
    has = [name for name, value in given.items() if value is not None]
    if len(has) != 1:
        words = " and ".join(has) if has else "none"
        yield Problem(
            path,
            f"wave {shown(wave.name)} has {words},"
            " exactly one of regions, regionSelector and percent must be set",
        )
