"""Find machines for instances. Pure: the machines and what is used of them are arguments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from orrery.sim.records import Node, Spec

_ATTRIBUTE: Final = "${attr."
_PRESENT: Final = frozenset({"semver", "version", "is_set", "regexp"})
"""Operands that an attribute satisfies by being there: simulated machines are recent."""


@dataclass(slots=True)
class Usage:
    """What the instances on a machine hold."""

    cpu: int = 0
    memory: int = 0
    ports: int = 0
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)


_NOTHING: Final = Usage()


class Ledger:
    """What machines would hold if a plan were carried out: the present, and the plan on top."""

    def __init__(
        self, used: Mapping[str, Usage], key: tuple[str, str], group: Mapping[str, Any]
    ) -> None:
        self._used = used
        self._key = key
        self._demand = demand(group)
        self._shift: dict[str, int] = {}

    def add(self, node_id: str, instances: int) -> None:
        """Count instances of the group in, or with a negative number out."""
        self._shift[node_id] = self._shift.get(node_id, 0) + instances

    def look(self, node_id: str) -> tuple[int, int, int]:
        """Return cpu and memory that are used on a machine, and how many instances of the job."""
        usage = self._used.get(node_id) or _NOTHING
        shift = self._shift.get(node_id, 0)
        cpu, memory = self._demand
        return (
            usage.cpu + shift * cpu,
            usage.memory + shift * memory,
            usage.jobs.get(self._key, 0) + shift,
        )


@dataclass(slots=True)
class Metrics:
    """Why a place was found or not, in Nomad's words."""

    available: dict[str, int]
    in_pool: int
    evaluated: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    exhausted: dict[str, int] = field(default_factory=dict)
    coalesced: int = 0
    needs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Render the metrics as Nomad's AllocMetric."""
        return {
            "AllocationTime": 0,
            "ClassExhausted": None,
            "ClassFiltered": None,
            "CoalescedFailures": self.coalesced,
            "ConstraintFiltered": self.filtered or None,
            "DimensionExhausted": self.exhausted or None,
            "NodePool": "default",
            "NodesAvailable": self.available,
            "NodesEvaluated": self.evaluated,
            "NodesExhausted": sum(self.exhausted.values()),
            "NodesFiltered": sum(self.filtered.values()),
            "NodesInPool": self.in_pool,
            "QuotaExhausted": None,
            "ResourcesExhausted": self.needs or None,
            "ScoreMetaData": None,
            "Scores": None,
        }


def demand(group: Mapping[str, Any]) -> tuple[int, int]:
    """Add up cpu and memory of a group's tasks."""
    resources = [task["Resources"] for task in group["Tasks"]]
    return sum(r["CPU"] for r in resources), sum(r["MemoryMB"] for r in resources)


def in_datacenters(spec: Spec, node: Node) -> bool:
    """Tell whether a job may run where *node* stands."""
    return any(
        fnmatchcase(node.machine.datacenter, pattern) for pattern in spec.document["Datacenters"]
    )


def obstacle(spec: Spec, group: Mapping[str, Any], node: Node) -> str:
    """Name what keeps a group from ever running on a machine; empty when nothing does."""
    tasks = group["Tasks"]
    if any(task["Driver"] not in node.machine.drivers for task in tasks):
        return "missing drivers"
    levels = [spec.document, group, *tasks]
    for constraint in (c for level in levels for c in level["Constraints"] or ()):
        if not _satisfies(constraint, node):
            return f"{constraint['LTarget']} {constraint['Operand']} {constraint['RTarget']}"
    return ""


def choose(
    spec: Spec, group: Mapping[str, Any], nodes: Iterable[Node], ledger: Ledger
) -> tuple[Node | None, Metrics]:
    """Choose a machine for one more instance: spread the job, mind its affinities."""
    candidates = [n for n in nodes if n.status == "ready" and n.eligible]
    candidates = [n for n in candidates if in_datacenters(spec, n)]
    available: dict[str, int] = {}
    for node in candidates:
        center = node.machine.datacenter
        available[center] = available.get(center, 0) + 1
    metrics = Metrics(available, len(candidates), evaluated=len(candidates))
    cpu, memory = demand(group)
    best: tuple[float, Node] | None = None
    for node in candidates:
        reason = obstacle(spec, group, node)
        if reason:
            metrics.filtered[reason] = metrics.filtered.get(reason, 0) + 1
            continue
        used_cpu, used_memory, own = ledger.look(node.id)
        dimension = _exhausted(node, used_cpu + cpu, used_memory + memory)
        if dimension:
            metrics.exhausted[dimension] = metrics.exhausted.get(dimension, 0) + 1
            continue
        score = _score(spec, group, node, own, used_cpu)
        if best is None or score > best[0]:
            best = (score, node)
    if best is None:
        metrics.needs = _needs(group, metrics.exhausted)
        return None, metrics
    return best[1], metrics


def _exhausted(node: Node, cpu: int, memory: int) -> str:
    if cpu > node.machine.cpu_mhz:
        return "cpu"
    return "memory" if memory > node.machine.memory_mb else ""


def _needs(group: Mapping[str, Any], exhausted: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Name what each task wanted of the dimensions that ran out."""
    shown = {"cpu": "CPU", "memory": "MemoryMB"}
    fields = {shown[dimension] for dimension in exhausted}
    return {
        task["Name"]: {
            name: value if name in fields or value is None else 0
            for name, value in task["Resources"].items()
        }
        for task in group["Tasks"]
        if fields
    }


def _score(spec: Spec, group: Mapping[str, Any], node: Node, own: int, cpu: int) -> float:
    crowded = -(own + 1) / max(1, int(group["Count"])) if own else 0.0
    affinities = [*(spec.document["Affinities"] or ()), *(group["Affinities"] or ())]
    weights = sum(abs(int(a["Weight"])) for a in affinities)
    liked = sum(int(a["Weight"]) for a in affinities if _satisfies(a, node)) / (weights or 1)
    packed = cpu / node.machine.cpu_mhz / 100
    return crowded + liked + packed


def _satisfies(rule: Mapping[str, Any], node: Node) -> bool:
    operand, right = rule["Operand"], str(rule["RTarget"])
    left = _resolve(str(rule["LTarget"]), node)
    match operand:
        case "distinct_hosts" | "distinct_property":
            fits = True
        case "!=" | "not":
            fits = left != right
        case "is_not_set":
            fits = left is None
        case _ if left is None:
            fits = False
        case "set_contains_any":
            fits = bool(_items(left) & _items(right))
        case "set_contains" | "set_contains_all":
            fits = _items(right) <= _items(left)
        case "=" | "==" | "is":
            fits = left == right
        case _:
            fits = operand in _PRESENT
    return fits


def _items(text: str) -> set[str]:
    return {item.strip() for item in text.split(",")}


def _resolve(target: str, node: Node) -> str | None:
    if target.startswith(_ATTRIBUTE):
        return node.machine.attribute(target.removeprefix(_ATTRIBUTE).removesuffix("}"))
    known = {
        "${node.datacenter}": node.machine.datacenter,
        "${node.unique.name}": node.machine.name,
        "${node.unique.id}": node.id,
        "${node.class}": "",
        "${node.pool}": "default",
    }
    return known.get(target, None if target.startswith("${") else target)
