"""Bugs to plant: each breaks one promise, and some test must notice.

A bug is one replacement in one file. What it breaks is named after the invariants that reliability
rests on: ownership, no unwanted restart, no stop without cause, read after an unknown outcome,
honest status, isolation of regions, nothing lost.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """Replace *old* by *new* in the file *path* of the package."""

    name: str
    path: str
    old: str
    new: str


BUGS = (
    Bug(
        "a-foreign-job-is-taken-for-ours",
        "planning/protocol.py",
        "return all(meta.get(key) == value for key, value in stamp.items())",
        "return any(meta.get(key) == value for key, value in stamp.items()) or not meta",
    ),
    Bug(
        "a-foreign-job-is-overwritten",
        "planning/protocol.py",
        "    if not owns(owner, job.meta):\n        return Foreign(describe_owner(job.meta))\n",
        "",
    ),
    Bug(
        "a-removal-does-not-look-whose-job-it-is",
        "planning/protocol.py",
        "    if not owns(owner, job.meta):\n        return Gone()\n",
        "",
    ),
    Bug(
        "compare-and-set-is-left-out",
        "planning/protocol.py",
        "    return Register(job.job_modify_index, repairs=",
        "    return Register(0, repairs=",
    ),
    Bug(
        "an-auto-revert-is-fought",
        "planning/protocol.py",
        "    if failed is not None and not job.stop and _stands(failed, job, digest, memory):",
        "    if failed is not None and job.stop and _stands(failed, job, digest, memory):",
    ),
    Bug(
        "an-attempt-that-is-not-remembered-is-repeated",
        "planning/protocol.py",
        "asked_again = failed.asked_again and memory.digest not in",
        "asked_again = memory.digest not in",
    ),
    Bug(
        "an-unchanged-job-is-registered-again",
        "planning/protocol.py",
        "    if unchanged and not job.stop:",
        "    if unchanged and job.stop:",
    ),
    Bug(
        "a-running-job-is-purged",
        "planning/protocol.py",
        "    return Settled(job.job_modify_index) if running else Purge()",
        "    return Purge()",
    ),
    Bug(
        "a-finished-batch-job-runs-again",
        "planning/protocol.py",
        "    if job is None and finished and memory.digest == digest:",
        "    if job is None and finished and memory.digest != digest:",
    ),
    Bug(
        "the-generation-stands-in-the-stamp",
        "render/nomad_job.py",
        '"Meta": names.job_meta(',
        '"Meta": {"revision": description} | names.job_meta(',
    ),
    Bug(
        "drift-in-a-count-is-not-seen",
        "planning/drift.py",
        '_FOR_PEOPLE: Final = frozenset({"UI"})',
        '_FOR_PEOPLE: Final = frozenset({"UI", "TaskGroups"})',
    ),
    Bug(
        "an-object-is-released-with-jobs-left",
        "reconcile/globaldeployment.py",
        "        if scope.states:\n            return\n",
        "",
    ),
    Bug(
        "a-stop-is-not-confirmed-by-the-hub",
        "reconcile/globaldeployment.py",
        "        if not await self._confirmed(scope):",
        "        if await self._confirmed(scope):",
    ),
    Bug(
        "paused-is-not-obeyed",
        "reconcile/dispatch.py",
        "        if scope.deployment.spec.paused or member.region.spec.paused:",
        "        if member.region.spec.paused:",
    ),
    Bug(
        "work-for-a-closed-region-is-kept",
        "reconcile/dispatch.py",
        "        if not member.is_open:\n            self._fleet.hold(region, scope.key)\n",
        "        if not member.is_open:\n            pass\n",
    ),
    Bug(
        "a-list-overwrites-newer-news",
        "reconcile/inventory.py",
        "        told = {key for key, count in self._told.items() if count >= since}",
        "        told = {key for key, count in self._told.items() if count > since + 10**9}",
    ),
    Bug(
        "an-older-state-of-an-object-is-taken",
        "reconcile/inventory.py",
        "        return packed.key if not self._is_past(packed) and self._take(packed) else None",
        "        return packed.key if self._take(packed) else None",
    ),
    Bug(
        "regions-are-not-counted-in-at-the-start",
        "reconcile/controller.py",
        "        self._regions.take_stock()\n",
        "",
    ),
    Bug(
        "regions-are-not-announced",
        "reconcile/globaldeployment.py",
        "                self.announce,\n",
        "",
    ),
    Bug(
        "a-secret-is-left-behind",
        "reconcile/regional.py",
        "            if job is None:\n                await _delete_variable(this)\n",
        "",
    ),
    Bug(
        "a-tombstone-stops-any-job-of-that-name",
        "reconcile/regional.py",
        "            if not _is_ours_to_stop(this, job, kept):\n                return None\n",
        "",
    ),
    Bug(
        "a-mass-stop-is-not-held",
        "planning/budget.py",
        "    return len({key, *wanted, *recent}) <=",
        "    return 0 <=",
    ),
    Bug(
        "a-region-counts-as-open-when-it-names-a-leader",
        "reconcile/actor.py",
        "        elif self._blind_for is None and self.view.listed:",
        "        elif self._blind_for is None:",
    ),
    Bug(
        "a-refusal-is-forgotten-with-the-next-probe",
        "reconcile/actor.py",
        "        if blind is not None and not isinstance(blind, Unreachable):",
        "        if blind is not None and not blind.reason:",
    ),
    Bug(
        "a-dark-region-makes-the-whole-fail",
        "planning/rollup.py",
        "    if summary.ready and summary.unreachable:",
        "    if summary.ready and not summary.unreachable:",
    ),
    Bug(
        "the-index-of-the-reply-is-kept",
        "reconcile/regional.py",
        "    this.state = _taken(this.state, assignment, job.job_modify_index)\n",
        "    this.state = _taken(this.state, assignment, expected_index)\n",
    ),
    Bug(
        "a-status-is-written-in-each-pass",
        "planning/rollup.py",
        "    return before != after and _projection(before) != _projection(after)",
        "    return True",
    ),
    Bug(
        "a-sweep-starves-users",
        "engine/schedule.py",
        "        return next((p for p in _ORDER if self._ready[p]), None)",
        "        return self._least_urgent()",
    ),
    Bug(
        "a-key-that-changes-during-its-pass-is-lost",
        "engine/schedule.py",
        "        if once_more is not None:\n            self._add_now(key, now, once_more)\n",
        "        if once_more is not None:\n            pass\n",
    ),
    Bug(
        "an-edit-is-taken-for-our-own-register",
        "reconcile/view.py",
        "        return seen is not None and seen.index == event.job_modify_index",
        "        return seen is not None",
    ),
    Bug(
        "a-look-waits-without-end",
        "engine/lag.py",
        "        return min(LONGEST, PATIENCE * self.seconds)",
        "        return PATIENCE * self.seconds",
    ),
    Bug(
        "a-start-looks-before-there-is-anything-to-see",
        "reconcile/controller.py",
        "elif not self._surveyed and self._inventory.is_settled(key):",
        "elif False:",
    ),
    Bug(
        "an-orphan-is-not-reported",
        "reconcile/regionscope.py",
        "if key not in inventory)",
        "if key in inventory)",
    ),
    Bug(
        "a-busy-operator-sees-an-edit-late",
        "reconcile/actor.py",
        '        if event.topic == "Job" and not under_way:\n'
        "            return self._pace.settle\n",
        "",
    ),
)
