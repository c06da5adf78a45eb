"""Foretell how an instance fares, from what its job says. Pure.

Real drivers find out; here the image's tag or the settings of Nomad's mock driver tell.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FOREVER: Final = None

_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the tasks of one instance will do."""

    start_error: str = ""
    run_for: float | None = FOREVER
    """Seconds; None runs until it is stopped."""
    exit_code: int = 0
    start_delay: float = 0.0


def seconds(text: str) -> float:
    """Read a duration in Go's notation; what is none counts nothing."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def behaviour(
    group: Mapping[str, Any], *, attempt: int, batch: bool, batch_seconds: float
) -> Behaviour:
    """Say how an instance of *group* fares that had *attempt* predecessors.

    The task that ends first decides for a service, the one that fails or ends last for a batch.
    """
    tasks = [_task(task, attempt, batch_seconds if batch else FOREVER) for task in group["Tasks"]]
    for task in tasks:
        if task.start_error:
            return task
    ending = [task for task in tasks if task.run_for is not None]
    if not ending or (batch and len(ending) < len(tasks)):
        return Behaviour(start_delay=max((task.start_delay for task in tasks), default=0.0))
    if not batch:
        return min(ending, key=lambda task: task.run_for or 0.0)
    failing = [task for task in ending if task.exit_code]
    return failing[0] if failing else max(ending, key=lambda task: task.run_for or 0.0)


def image_tag(image: str) -> str:
    """Return the tag of an image, empty when it has none."""
    _, colon, tag = image.split("@", 1)[0].rsplit("/", 1)[-1].partition(":")
    return tag if colon else ""


def _task(task: Mapping[str, Any], attempt: int, default: float | None) -> Behaviour:
    config = task["Config"] or {}
    if task["Driver"] == "mock_driver":
        return _mock(config)
    tag = image_tag(str(config.get("image", "")))
    if tag == "bad" or (tag == "flaky" and attempt == 0):
        return Behaviour(start_error=f"Failed to start image {config['image']!r}")
    return Behaviour(run_for=default)


def _mock(config: Mapping[str, Any]) -> Behaviour:
    """Nomad's mock driver ends at once when nothing says for how long it runs."""
    return Behaviour(
        start_error=str(config.get("start_error", "")),
        run_for=seconds(str(config.get("run_for", ""))),
        exit_code=int(config.get("exit_code", 0)),
        start_delay=seconds(str(config.get("start_block_for", ""))),
    )
