"""What the parts of a Region's opening must be to each other: its CEL rules, in Python. Pure."""

from collections.abc import Iterator

from orrery.api.base import nanoseconds
from orrery.api.problems import Problem, shown
from orrery.api.region import RegionSpec
from orrery.api.regionopening import EVERYONE


def opening(spec: RegionSpec) -> Iterator[Problem]:
    """Judge what a Region says of its opening, each field of which is right by itself."""
    latency = spec.latency
    if nanoseconds(latency.target) > nanoseconds(latency.limit):
        yield Problem(
            "spec.latency",
            f"target {latency.target} is longer than limit {latency.limit}, it must not be",
        )
    most = 0
    for number, stage in enumerate(spec.opening.stages if spec.opening else ()):
        path = f"spec.opening.stages[{number}]"
        if stage.name == EVERYONE:
            message = f"{shown(EVERYONE)} is the name of the last step, which every opening has"
            yield Problem(f"{path}.name", message)
        if (stage.namespace_selector is None) == (stage.percent is None):
            has = "neither" if stage.percent is None else "both"
            yield Problem(
                path, f"has {has}, exactly one of namespaceSelector and percent must be set"
            )
        if stage.percent is not None and stage.percent < most:
            message = (
                f"{stage.percent} is not allowed, must not be less than {most} of a stage before"
            )
            yield Problem(f"{path}.percent", message)
        most = max(most, stage.percent or 0)
