"""Compare two renderings of a control plane, alike for regions that change alike. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orrery.api.regionclass import RegionClass
from orrery.ports import Document, ObjectRef
from orrery.render.region import Blueprint, render_region
from orrery.render.region.layers import BOOTSTRAP

REGION: Final = "REGION"
"""Stands for the region's name, ADDRESS for its address."""
ADDRESS: Final = "ADDRESS"
UNKNOWN_ADDRESS: Final = "192.0.2.1"
"""Rendered where there is no address yet; from the addresses that are set aside for examples."""

_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What changes of one object; lines are sentences of the form ``path: old -> new``."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegionChange:
    """What another class changes in a region. Equal for regions in which it is the same."""

    objects: tuple[ObjectChange, ...] = ()
    restarts: tuple[str, ...] = ()
    """What starts anew, as sentences."""
    refused: tuple[str, ...] = ()
    """What the cluster will not accept, as sentences."""

    @property
    def nothing(self) -> bool:
        """Whether no object changes."""
        return not self.objects


def compare(blueprint: Blueprint, old: RegionClass, new: RegionClass) -> RegionChange:
    """Tell what changes in a region, described by *blueprint*, from the class *old* to *new*."""
    before, after = (_manifests(blueprint, class_) for class_ in (old, new))
    objects: list[ObjectChange] = []
    restarts: list[str] = []
    refused: list[str] = []
    for ref in sorted({*before, *after}):
        was, is_now = before.get(ref), after.get(ref)
        if was == is_now:
            continue
        neutral = _Neutral(blueprint)
        name = neutral.text(f"{ref.kind} {ref.name}")
        objects.append(ObjectChange(name, tuple(map(neutral.text, _changes(was, is_now)))))
        if was is not None and is_now is not None:
            restarts += _restarts(name, was, is_now)
            refused += _refused(name, was, is_now)
    return RegionChange(tuple(objects), tuple(restarts), tuple(refused))


def _manifests(blueprint: Blueprint, class_: RegionClass) -> Mapping[ObjectRef, Document]:
    of_class = Blueprint(
        install=blueprint.install,
        region=blueprint.region,
        class_=class_,
        continent=blueprint.continent,
        address=blueprint.address or UNKNOWN_ADDRESS,
        certificates=blueprint.certificates,
    )
    # What sets a region up is done once, and not again for another class.
    layers = [layer for layer in render_region(of_class) if layer.name != BOOTSTRAP]
    return {ObjectRef.of(m): m for layer in layers for m in layer.manifests}


@dataclass(frozen=True, slots=True)
class _Neutral:
    blueprint: Blueprint

    def text(self, text: str) -> str:
        """Take out of *text* what differs from region to region."""
        name, address = self.blueprint.name, self.blueprint.address or UNKNOWN_ADDRESS
        text = re.sub(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", REGION, text)
        return text.replace(address, ADDRESS)


def _changes(was: Document | None, is_now: Document | None) -> Iterator[str]:
    if was is None:
        yield "is created"
    elif is_now is None:
        yield "is deleted"
    else:
        yield from _differences("", was, is_now)


def _differences(path: str, was: Any, is_now: Any) -> Iterator[str]:
    if was == is_now:
        return
    before, after = _parts(was), _parts(is_now)
    if before is not None and after is not None:
        for part in [*before, *(part for part in after if part not in before)]:
            below = part if part.startswith("[") or not path else f".{part}"
            yield from _differences(f"{path}{below}", before.get(part), after.get(part))
    elif isinstance(was, str) and isinstance(is_now, str) and "\n" in was + is_now:
        yield f"{path}:"
        lines = difflib.unified_diff(was.splitlines(), is_now.splitlines(), lineterm="", n=0)
        yield from (f"  {line}" for line in list(lines)[2:] if not line.startswith("@@"))
    else:
        yield f"{path}: {_shown(was)} -> {_shown(is_now)}"


def _parts(value: Any) -> dict[str, Any] | None:
    """Name the parts of *value*; items of lists by their names, where they have any."""
    match value:
        case Mapping():
            return dict(value)
        case list() | tuple() if value and all(
            isinstance(v, Mapping) and "name" in v for v in value
        ):
            return {f"[{item['name']}]": item for item in value}
        case list() | tuple() if value and all(isinstance(v, Mapping) for v in value):
            return {f"[{number}]": item for number, item in enumerate(value)}
        case _:
            return None


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value) if not isinstance(value, list | tuple) else " ".join(map(str, value))
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def _restarts(name: str, was: Document, is_now: Document) -> list[str]:
    if (was.get("spec") or {}).get("template") == (is_now.get("spec") or {}).get("template"):
        return []
    match was["kind"]:
        case "StatefulSet":
            return [f"{name}: its pods start anew, one after the other"]
        case "Deployment":
            return [f"{name}: its pods are replaced, new ones first"]
        case _:
            return []


_FIXED: Final[Mapping[str, Sequence[str]]] = {
    "StatefulSet": ("volumeClaimTemplates", "serviceName", "selector", "podManagementPolicy")
}
"""Fields of a spec that Kubernetes lets nobody change."""


def _refused(name: str, was: Document, is_now: Document) -> list[str]:
    return [
        f"{name}: spec.{field} cannot be changed once it is there"
        for field in _FIXED.get(was["kind"], ())
        if was["spec"].get(field) != is_now["spec"].get(field)
    ]
