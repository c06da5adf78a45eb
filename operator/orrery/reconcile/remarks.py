"""Say what is amiss with a control plane that was built all the same."""

from collections.abc import Mapping, Sequence
from typing import Final

from orrery.api.base import Metadata
from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec, NotYet, OrreryError
from orrery.planning.immutable import Choice, Refusal
from orrery.planning.wording import enumerated
from orrery.ports import HubEvent, Key, Kind, ObjectRef
from orrery.reconcile.fleet import Member
from orrery.reconcile.manifests import AppliedMemory
from orrery.render.region import Blueprint

LATER: Final = 300.0

_NAMED: Final = 3
"""As many objects as a sentence bears."""


def remark_on(
    rendered: Sequence[ObjectRef], applied: AppliedMemory, held: Sequence[ObjectRef]
) -> OrreryError | None:
    """Tell of what does not stay as it is applied, and of what is not deleted; None: of nothing."""
    contested = {ref: found for ref, found in applied.contested.items() if ref in set(rendered)}
    if contested:
        listed = enumerated(
            [f"{ref}: {', '.join(contested[ref].paths)}" for ref in sorted(contested)], _NAMED
        )
        message = f"something else in the cluster keeps changing what Orrery applies: {listed}"
        return NotYet(Reason.CONTESTED, message, retry_after=LATER)
    if held:
        listed = enumerated([str(ref) for ref in sorted(held)], _NAMED)
        message = (
            f"{len(held)} objects are not wanted any more and are left, since so many at once may"
            f" be a mistake: {listed}; delete them by hand"
        )
        return NotYet(Reason.PRUNING_HELD, message, retry_after=LATER)
    return None


def impairment(problem: OrreryError | None, member: Member) -> OrreryError | None:
    """Say what of *problem* is told: what serves while it changes is not impaired by that."""
    if problem is None or problem.reason != Reason.PROGRESSING or not member.was_usable:
        return problem
    before = member.build_problem
    return None if before is None or before.reason == Reason.PROVISIONING else before


def repairs(region: Metadata, repaired: Sequence[str]) -> Sequence[HubEvent]:
    """Say at the *region* what somebody had changed; nothing when nobody did."""
    if not repaired:
        return ()
    listed = enumerated(sorted(repaired), _NAMED)
    text = f"somebody had changed what Orrery keeps, and it was put right: {listed}"
    return (HubEvent(Key(Kind.REGION, "", region.name), region.uid, "Warning", "Repaired", text),)


def tell_refusals(refusals: Sequence[Refusal], blueprint: Blueprint) -> InvalidSpec:
    """Say which choices cannot be changed any more, by the fields that make them."""
    class_, continent = blueprint.class_.metadata.name, blueprint.continent.metadata.name
    fields: Mapping[Choice, str] = {
        "storage": f'RegionClass "{class_}": spec.nomad.storage',
        "storageClassName": f'Continent "{continent}": spec.storageClassName',
        "loadBalancerClass": f'Continent "{continent}": spec.frontDoor.loadBalancerClass',
    }
    told = [
        f"{fields[choice]} is {wanted or 'not set'} and"
        f" {_whose(choice)}{ref} {_verb(choice)} {there or 'none'}"
        for ref, choice, wanted, there in sorted(refusals)
    ]
    message = (
        f"{'; '.join(told)}, which Kubernetes does not let change: set it back, or make a new"
        " region"
    )
    return InvalidSpec(Reason.INVALID_SPEC, message)


def _whose(choice: Choice) -> str:
    return "" if choice == "loadBalancerClass" else "the volumes of "


def _verb(choice: Choice) -> str:
    return "has" if choice == "loadBalancerClass" else "have"
