"""Turn samples into figures, and an API server's metrics into counts. Pure."""

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

READS: Final = frozenset({"GET", "LIST", "WATCH"})
LEASES: Final = "leases"

_OURS: Final = frozenset({"orrery.dev", "bench.orrery.dev", "events.k8s.io", "coordination.k8s.io"})
"""Groups that an operator asks for, beside the core one."""
_CORE: Final = frozenset({"secrets", "events"})

_SAMPLE = re.compile(r"apiserver_request_total\{([^}]*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Asked(NamedTuple):
    """What requests to an API server have in common."""

    verb: str
    """APPLY is server-side apply, which the benchmark uses and no operator here does."""
    resource: str


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which *share* of *values* lie, by nearest rank: one that was seen."""
    ranked = sorted(values)
    if not ranked:
        return float("nan")
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


class Line(NamedTuple):
    """A straight line through samples."""

    start: float
    slope: float


def line(points: Mapping[float, float] | Sequence[tuple[float, float]]) -> Line:
    """Fit a straight line: what does not depend on x, and what each unit of it adds."""
    pairs = list(points.items()) if isinstance(points, Mapping) else list(points)
    fitted = statistics.linear_regression([x for x, _ in pairs], [y for _, y in pairs])
    return Line(fitted.intercept, fitted.slope)


def api_requests(metrics: str) -> Counter[Asked]:
    """Count what an API server was asked for of the kinds that operators use."""
    counted: Counter[Asked] = Counter()
    for labels, value in _SAMPLE.findall(metrics):
        known = dict(_LABEL.findall(labels))
        group, resource = known.get("group", ""), known.get("resource", "")
        if group in _OURS or (not group and resource in _CORE):
            part = f"{resource}/{sub}" if (sub := known.get("subresource")) else resource
            counted[Asked(known["verb"], part)] += round(float(value))
    return counted


def api_writes(requests: Counter[Asked]) -> Counter[Asked]:
    """Select the writes of an operator: the lease, which is written for ever, is none of them."""
    return Counter(
        {
            asked: number
            for asked, number in requests.items()
            if asked.verb not in {*READS, "APPLY"} and asked.resource != LEASES and number
        }
    )


def described(requests: Mapping[Asked, int]) -> dict[str, int]:
    """Render counts for a JSON document, the largest first."""
    ranked = sorted(requests.items(), key=lambda item: -item[1])
    return {f"{asked.verb} {asked.resource}": number for asked, number in ranked if number}
