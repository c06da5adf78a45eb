"""Decide what of a manifest Kubernetes would refuse to change: the rest can be applied. Pure.

Volumes that a StatefulSet's pods have, and the class of a load balancer, are chosen once.
"""

import copy
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from orrery.planning.manifests import left_over
from orrery.planning.quantities import same_quantity
from orrery.ports import Document, ObjectRef

Choice = Literal["storage", "storageClassName", "loadBalancerClass"]


class Refusal(NamedTuple):
    """A choice that stays as it was made; values are empty where there is none."""

    ref: ObjectRef
    choice: Choice
    wanted: str
    there: str


def keep_choices(manifest: Document, live: Document) -> tuple[Document, Sequence[Refusal]]:
    """Return *manifest* with the choices that *live* was made with, and what it would change."""
    match manifest["kind"]:
        case "StatefulSet":
            return _keep_volumes(manifest, live)
        case "Service":
            return _keep_balancer(manifest, live)
        case _:
            return manifest, ()


def _keep_volumes(manifest: Document, live: Document) -> tuple[Document, Sequence[Refusal]]:
    ref, kept = ObjectRef.of(manifest), copy.deepcopy(dict(manifest))
    there = {
        claim["metadata"]["name"]: claim["spec"]
        for claim in live["spec"].get("volumeClaimTemplates") or ()
    }
    refusals = []
    for claim in kept["spec"].get("volumeClaimTemplates") or ():
        spec, held = claim["spec"], there.get(claim["metadata"]["name"])
        if held is None:
            continue
        wanted, has = (str(s["resources"]["requests"]["storage"]) for s in (spec, held))
        if not same_quantity(wanted, has):
            refusals.append(Refusal(ref, "storage", wanted, has))
            spec["resources"]["requests"]["storage"] = has
        if refusal := _kept(ref, "storageClassName", spec, held):
            refusals.append(refusal)
    return (kept, refusals) if refusals else (manifest, ())


def _keep_balancer(manifest: Document, live: Document) -> tuple[Document, Sequence[Refusal]]:
    field = "loadBalancerClass"
    others = field not in manifest["spec"] and f"spec.{field}" not in left_over(manifest, live)
    if manifest["spec"].get("type") != "LoadBalancer" or others:
        return manifest, ()
    kept = copy.deepcopy(dict(manifest))
    refusal = _kept(ObjectRef.of(manifest), "loadBalancerClass", kept["spec"], live["spec"])
    return (kept, (refusal,)) if refusal else (manifest, ())


def _kept(ref: ObjectRef, choice: Choice, spec: dict[str, Any], there: Document) -> Refusal | None:
    """Have *spec* make the *choice* that is *there*; None when it does already."""
    wanted, held = spec.get(choice), there.get(choice)
    if wanted == held:
        return None
    spec.pop(choice, None)
    if held is not None:
        spec[choice] = held
    return Refusal(ref, choice, wanted or "", held or "")
