"""What an evaluation found out."""

from dataclasses import dataclass, field
from typing import Any

from orrery.sim.placement import Metrics
from orrery.sim.reconcile import GroupPlan, Placement
from orrery.sim.records import Node


@dataclass(slots=True)
class Outcome:
    """What to do, where there is room for it, and where there is none."""

    plans: dict[str, GroupPlan] = field(default_factory=dict)
    placed: dict[str, list[tuple[Placement, Node]]] = field(default_factory=dict)
    failures: dict[str, Metrics] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return any(
            plan.changes or any(not a.followup for a in plan.later) for plan in self.plans.values()
        )

    @property
    def queued(self) -> dict[str, int]:
        """Instances without a place, by group."""
        return {
            name: self.failures[name].coalesced + 1 if name in self.failures else 0
            for name in self.plans
        }

    @property
    def updates(self) -> dict[str, dict[str, int]]:
        """Instances by kind of change, by group."""
        return {name: plan.updates for name, plan in self.plans.items()}

    @property
    def failed(self) -> dict[str, dict[str, Any]] | None:
        """Why places were not found, by group; None when all were."""
        return {name: metrics.document() for name, metrics in self.failures.items()} or None
