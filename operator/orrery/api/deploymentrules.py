"""What the parts of a GlobalDeployment's spec must be to each other, for the API server. Pure.

Each rule is a CEL expression, and the sentence that its violation gives. `orrery.api.validation`
holds the same rules in Python; a test asks both about the same specs.

The server prices every expression by the largest object it could meet. Strings that it cannot
bound, such as numbers in words, stand in `format` only, which costs nothing.
"""

from typing import Final

from orrery.api.base import Rule, cel
from orrery.api.workload import MEMORY_DEFAULT

ONCE_PER_MACHINE: Final = "it runs once on every machine"


def _ports_are_listed(field: str, who: str) -> Rule:
    unlisted = "!has(self.ports) || !self.ports.exists(p, p.port == x.port)"
    listed = "has(self.ports) ? self.ports.map(p, p.port) : []"
    return cel(
        f"!has(self.{field}) || !self.{field}.exists(x, {unlisted})",
        f"every {who} needs a port that is listed in spec.ports",
        detail="port %s is not listed in spec.ports, which lists %s",
        values=[f"self.{field}.map(x, {unlisted}, x.port)", listed],
        field=f".{field}",
    )


def _overrides_are(broken: str, shown: str, message: str, detail: str, *values: str) -> Rule:
    """Refuse overrides for which *broken* holds; *detail* tells of each by *shown*."""
    return cel(
        f"!has(self.overrides) || !self.overrides.exists(o, {broken})",
        message,
        detail=detail,
        values=[f"self.overrides.map(o, {broken}, {shown})", *values],
        field=".overrides",
    )


_HAS_PLACED = (
    "has(self.placement) && has(self.placement.regions) && size(self.placement.regions) > 0"
)
_HAS_EXCLUDED = "has(self.placement) && has(self.placement.excludeRegions)"

_MEMORY = f"o.?resources.?memoryMB.orValue(self.?resources.?memoryMB.orValue({MEMORY_DEFAULT}))"
_MEMORY_MAX = f"o.?resources.?memoryMaxMB.orValue(self.?resources.?memoryMaxMB.orValue({_MEMORY}))"

SPEC: Final = (
    cel(
        "self.type != 'WEB' || (has(self.ports) && size(self.ports) > 0)",
        "type WEB needs at least one port",
        field=".ports",
    ),
    cel(
        "self.type == 'WEB' || !has(self.routes) || size(self.routes) == 0",
        "only type WEB has routes",
        detail="only type WEB has routes, this is %s",
        values=["self.type"],
        field=".routes",
    ),
    _ports_are_listed("routes", "route"),
    _ports_are_listed("healthChecks", "health check"),
    cel(
        "self.type != 'BATCH' || !has(self.healthChecks) || size(self.healthChecks) == 0",
        "type BATCH has no health checks: it runs to its end",
        field=".healthChecks",
    ),
    cel(
        "self.type != 'BATCH' || !has(self.update)",
        "type BATCH has no update: it runs to its end",
        field=".update",
    ),
    cel(
        "self.type != 'SYSTEM' || !has(self.update) || !has(self.update.canary)"
        " || self.update.canary == 0",
        f"type SYSTEM has no canaries: {ONCE_PER_MACHINE}",
        field=".update",
    ),
    cel(
        "self.type != 'SYSTEM' || !has(self.scaling)",
        f"type SYSTEM has no scaling: {ONCE_PER_MACHINE}",
        field=".scaling",
    ),
    cel(
        "self.type != 'SYSTEM' || !has(self.placement) || !has(self.placement.dataCenters)",
        f"type SYSTEM has no placement.dataCenters: {ONCE_PER_MACHINE}",
        field=".placement.dataCenters",
    ),
    _overrides_are(
        "self.type == 'SYSTEM' && has(o.scaling)",
        "o.name",
        f"type SYSTEM has no scaling: {ONCE_PER_MACHINE}",
        f"overrides %s have scaling, type SYSTEM has none: {ONCE_PER_MACHINE}",
    ),
    cel(
        "!has(self.resources) || !has(self.resources.memoryMaxMB) || has(self.resources.memoryMB)"
        f" || self.resources.memoryMaxMB >= {MEMORY_DEFAULT}",
        f"must be at least memoryMB, which is {MEMORY_DEFAULT} when not set",
        detail=f"%s is too little, must be at least memoryMB, which is {MEMORY_DEFAULT} when not"
        " set",
        values=["self.resources.memoryMaxMB"],
        field=".resources.memoryMaxMB",
    ),
    _overrides_are(
        f"has(o.resources) && {_MEMORY_MAX} < {_MEMORY}",
        f"{{o.name: [{_MEMORY_MAX}, {_MEMORY}]}}",
        "with an override, memoryMaxMB would be less than memoryMB: set both in it",
        "memoryMaxMB and memoryMB would be %s: the first must not be less, set both in the override",
    ),
    _overrides_are(
        f"{_HAS_PLACED} && has(o.regions) && o.regions.exists(r, !(r in self.placement.regions))",
        "{o.name: o.regions.filter(r, !(r in self.placement.regions))}",
        "an override may name only regions that placement.regions lists",
        "overrides name regions that are not placed: %s, placement.regions lists %s",
        "self.placement.regions",
    ),
    _overrides_are(
        f"{_HAS_EXCLUDED} && has(o.regions)"
        " && o.regions.exists(r, r in self.placement.excludeRegions)",
        "{o.name: o.regions.filter(r, r in self.placement.excludeRegions)}",
        "an override may not name regions that placement.excludeRegions lists",
        "overrides name regions that placement.excludeRegions lists: %s",
    ),
)
"""Rules over a whole spec."""
