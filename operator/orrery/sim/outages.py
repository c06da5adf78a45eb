"""Machines that fall silent and come back, and those that take no new work."""

from dataclasses import replace

from orrery.sim.absence import DISCONNECTED, DOWN, READY, waits
from orrery.sim.client import Machines
from orrery.sim.core import Core
from orrery.sim.evaluation import Evaluator
from orrery.sim.records import JobKey, Node


class Outages:
    """Changes the machines of one region, and has the jobs looked at that this concerns."""

    def __init__(self, core: Core, evaluator: Evaluator, machines: Machines) -> None:
        self._core = core
        self._evaluator = evaluator
        self._machines = machines
        core.on_lost = self._give_up

    def change(self, node: Node, *, up: bool, eligible: bool) -> None:
        """Let a machine be heard or not, and take new work or not."""
        status = READY if up else self._away(node)
        if status == node.status and eligible == node.eligible:
            return
        self._put(node, status, eligible=eligible)
        if status != node.status or eligible:
            self._evaluate(node)
        if up and status != node.status:
            self._machines.rejoin(node.id)
        if up and eligible:
            self._core.timers.after(0, self._core.on_room)

    def _away(self, node: Node) -> str:
        """Name the status of a machine that is silent."""
        allocations = self._core.tables.allocations.values()
        waiting = any(a.node_id == node.id and waits(a) for a in allocations)
        return DISCONNECTED if waiting else DOWN

    def _give_up(self) -> None:
        """Call machines down that nothing waits for any more."""
        for node in list(self._core.tables.nodes.values()):
            if node.status == DISCONNECTED and self._away(node) == DOWN:
                self._put(node, DOWN, eligible=node.eligible)

    def _put(self, node: Node, status: str, *, eligible: bool) -> None:
        core = self._core
        kind = "NodeEligibility" if status == node.status else "NodeStreamEvent"
        with core.store.write(kind) as entry:
            changed = replace(node, status=status, eligible=eligible, modify_index=entry.index)
            core.entries.put_node(core.tables, entry, changed)

    def _evaluate(self, node: Node) -> None:
        """Look at the jobs that run on a machine, and at those that run on all."""
        core = self._core
        keys: dict[JobKey, None] = {
            a.key: None
            for a in core.tables.allocations.values()
            if a.node_id == node.id and not a.terminal
        }
        keys |= {key: None for key, job in core.tables.jobs.items() if job.spec.type == "system"}
        jobs = [core.tables.jobs[key] for key in keys if key in core.tables.jobs]
        if jobs:
            with core.store.write("EvaluationUpdated") as entry:
                for job in jobs:
                    self._evaluator.request(entry, job.key, job, "node-update")
