"""Count what becomes of a job's instances in all. Pure.

A Nomad's plan shows the first step only. What else it says was seen on Nomad 2.0.6: instances that
have to be replaced but wait for their turn count as ignored, *all* of them when as many start
beside them as may change at a time; a canary lets everything else wait, further instances too; and
a system job counts each instance that changes a second time, as placed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orrery.cli.changes import NONE
from orrery.ports import Document, PlanResult

REPLACED: Final = "destructive"

_PLACED: Final = "place"
_IN_PLACE: Final = "in_place"
_CANARY: Final = "canary"
_IGNORED: Final = "ignore"

_FORCES: Final = "forces create/destroy update"
_NETWORK: Final = "Network"
_META: Final = "Meta["


def count_instances(plan: PlanResult, job: Document) -> tuple[tuple[str, int], ...]:
    """Count the instances of *job* by what becomes of them until all of it is done.

    Those that are left as they are are not among them.
    """
    counted = dict(plan.updates)
    ignored = counted.pop(_IGNORED, 0)
    if job.get("Type") == "service" and _replaces(plan):
        counted[REPLACED] = counted.get(REPLACED, 0) + ignored
    changed = counted.get(REPLACED, 0) + counted.get(_IN_PLACE, 0)
    if job.get("Type") == "system":
        counted[_PLACED] = max(0, counted.get(_PLACED, 0) - changed)
    elif counted.get(_CANARY):
        counted[_PLACED] = max(0, _group(job).get("Count", 0) - changed)
    return tuple((kind, counted[kind]) for kind in _ordered(plan, counted) if counted[kind])


def at_a_time(counted: Mapping[str, int], job: Document) -> int:
    """Say how many of the replaced instances change at a time; 0 when all may."""
    limit = int((_group(job).get("Update") or {}).get("MaxParallel") or 0)
    return limit if limit < counted.get(REPLACED, 0) else 0


def _replaces(plan: PlanResult) -> bool:
    """Tell whether the change replaces instances.

    Where none is replaced in the first step, only the diff says so. Nomad annotates it for what
    changes in a task, and not for networks and Meta, which are the group's and the job's.
    """
    if plan.updates.get(REPLACED) or plan.updates.get(_CANARY):
        return True
    return any(map(_node_replaces, _nodes(plan.diff)))


def _nodes(diff: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield diff
    for group in diff.get("TaskGroups") or ():
        yield group
        yield from group.get("Tasks") or ()


def _node_replaces(node: Mapping[str, Any]) -> bool:
    if _FORCES in (node.get("Annotations") or ()):
        return True
    changed = [o for o in node.get("Objects") or () if o["Type"] != NONE]
    fields = [f for f in node.get("Fields") or () if f["Type"] != NONE]
    return any(o["Name"] == _NETWORK for o in changed) or any(
        f["Name"].startswith(_META) for f in fields
    )


def _ordered(plan: PlanResult, counted: Mapping[str, int]) -> list[str]:
    """List the kinds as Nomad does, and behind them what was added."""
    told = [kind for kind in plan.updates if kind in counted]
    return [*told, *(kind for kind in (_PLACED, REPLACED) if kind in counted and kind not in told)]


def _group(job: Document) -> Mapping[str, Any]:
    groups: Sequence[Mapping[str, Any]] = job.get("TaskGroups") or ({},)
    return groups[0]
