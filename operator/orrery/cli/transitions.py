"""Judge what cannot be changed once it is there, in the words of the CRDs. Pure, but for one read.

The API server asks the CEL rules that look back at the old object; they are few, and listed here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orrery.api.base import API_VERSION
from orrery.api.continent import PREFIX_DEFAULT
from orrery.api.problems import Problem
from orrery.cli.hub import Reader
from orrery.cli.manifests import Manifest
from orrery.errors import Refused
from orrery.ports import Document, Key, Kind


@dataclass(frozen=True, slots=True)
class Rule:
    """One value of a spec that stays as it was created."""

    kind: Kind
    path: str
    value: Callable[[Mapping[str, Any]], Any]
    """Reads it from a spec as it is written, None when that is not valid: others say so."""
    message: str


def refused_changes(kind: Kind, old: Document, new: Document) -> list[str]:
    """Say what of *new* the hub will refuse because it holds *old*."""
    before, after = old.get("spec"), new.get("spec")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    changed = [(rule, rule.value(before), rule.value(after)) for rule in RULES if rule.kind == kind]
    return [
        str(Problem(rule.path, f"{was} -> {is_now}: {rule.message}"))
        for rule, was, is_now in changed
        if None not in (was, is_now) and was != is_now
    ]


async def refused_by_the_hub(reader: Reader, manifests: Sequence[Manifest]) -> list[str]:
    """Say of Regions and Continents in *manifests* what the hub will refuse of them.

    What may not be read is not judged. Raises what else reading the hub raises.
    """
    refused: list[str] = []
    for manifest in manifests:
        if manifest.document.get("apiVersion") != API_VERSION or manifest.kind not in _CLUSTER_WIDE:
            continue
        kind = Kind(manifest.kind)
        try:
            live = await reader.read(Key(kind, "", manifest.name))
        except Refused:
            continue
        found = refused_changes(kind, live, manifest.document) if live else []
        refused += [f"{manifest}: {refusal}" for refusal in found]
    return refused


def _management(spec: Mapping[str, Any]) -> str:
    """Tell who runs a region's control plane, as the rule does: by what is said of it."""
    control_plane = spec.get("controlPlane")
    external = isinstance(control_plane, Mapping) and control_plane.get("external") is not None
    return "External" if external else "Managed"


def _prefix(spec: Mapping[str, Any]) -> Any:
    prefix = spec.get("namespacePrefix")
    return PREFIX_DEFAULT if prefix is None else prefix


RULES: Final = (
    Rule(
        Kind.GLOBAL_DEPLOYMENT,
        "spec.type",
        lambda spec: spec.get("type"),
        "type cannot be changed: delete the deployment and create it anew",
    ),
    Rule(
        Kind.REGION,
        "spec.continent",
        lambda spec: spec.get("continent"),
        "continent cannot be changed: make a new region instead",
    ),
    Rule(
        Kind.REGION,
        "spec.controlPlane",
        _management,
        "a Managed region cannot become External, nor the reverse: make a new region",
    ),
    Rule(
        Kind.CONTINENT,
        "spec.namespacePrefix",
        _prefix,
        "namespacePrefix cannot be changed: the regions' namespaces carry it",
    ),
)
"""Every rule of the CRDs that names ``oldSelf``; a test holds the two together."""

_CLUSTER_WIDE: Final = frozenset({Kind.REGION, Kind.CONTINENT})
