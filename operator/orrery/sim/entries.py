"""Put records into a raft entry: tables, indexes, events, summaries. All writes pass here."""

from collections.abc import Mapping

from orrery.sim import wire, wire_allocations
from orrery.sim.records import (
    Allocation,
    Deployment,
    Evaluation,
    Job,
    JobKey,
    Namespace,
    Node,
    Variable,
)
from orrery.sim.store import TRACKED_VERSIONS, Tables, Write
from orrery.sim.stream import Event

KEPT_EVALUATIONS = 10
"""Per job; Nomad keeps an hour's worth."""


class Entries:
    """Writes to one region's tables. *region* stands in every job that is shown."""

    def __init__(self, region: str) -> None:
        self.region = region

    def put_job(self, tables: Tables, entry: Write, job: Job, *, version: bool = False) -> None:
        """Store the newest version of a job; *version*: a new one, beside the older ones."""
        older = tables.versions.get(job.key, ())
        if not version:
            older = older[1:]
        if job.key not in tables.jobs:
            tables.order = None
        tables.jobs[job.key] = job
        tables.versions[job.key] = (job, *older)[:TRACKED_VERSIONS]
        self._touch_summary(tables, entry, job.key)
        entry.show(self._job_event(entry, job))

    def put_older_version(self, tables: Tables, entry: Write, job: Job) -> None:
        """Store a changed version that is not the newest."""
        tables.versions[job.key] = tuple(
            job if version.version == job.version else version
            for version in tables.versions[job.key]
        )
        entry.touch("jobs", job.namespace, job.id)

    def delete_job(self, tables: Tables, entry: Write, job: Job) -> None:
        """Remove a job and all its versions."""
        del tables.jobs[job.key], tables.versions[job.key]
        tables.order = None
        tables.summaries.pop(job.key, None)
        tables.queued.pop(job.key, None)
        entry.touch("jobs", job.namespace, job.id)
        document = {"Job": wire.job_document(job, self.region), "Deleted": True}
        entry.show(_event(entry, "Job", job.id, job.namespace, (), lambda: document))

    def put_allocation(self, tables: Tables, entry: Write, allocation: Allocation) -> None:
        """Store an allocation, new or changed."""
        if allocation.id not in tables.allocations:
            _append(tables.allocations_of, allocation.key, allocation.id)
        tables.allocations[allocation.id] = allocation
        entry.touch("allocations", allocation.namespace, allocation.job_id, allocation.id)
        self._touch_summary(tables, entry, allocation.key)
        keys = (allocation.job_id, allocation.deployment_id)
        entry.show(
            _event(
                entry,
                "Allocation",
                allocation.id,
                allocation.namespace,
                keys,
                lambda: {"Allocation": wire_allocations.allocation_document(allocation)},
            )
        )

    def delete_allocation(self, tables: Tables, allocation: Allocation) -> None:
        """Forget an allocation of a purged job."""
        tables.allocations.pop(allocation.id, None)
        _remove(tables.allocations_of, allocation.key, allocation.id)

    def put_deployment(self, tables: Tables, entry: Write, deployment: Deployment) -> None:
        """Store a deployment, new or changed."""
        if deployment.id not in tables.deployments:
            _append(tables.deployments_of, deployment.key, deployment.id)
        tables.deployments[deployment.id] = deployment
        entry.touch("deployments", deployment.namespace, deployment.job_id, deployment.id)
        entry.show(
            _event(
                entry,
                "Deployment",
                deployment.id,
                deployment.namespace,
                (deployment.job_id,),
                lambda: {"Deployment": wire.deployment_document(deployment)},
            )
        )

    def delete_deployments(self, tables: Tables, entry: Write, key: JobKey) -> None:
        """Forget the deployments of a purged job."""
        for one in tables.deployments_of.pop(key, ()):
            del tables.deployments[one]
        entry.touch("deployments", *key)

    def put_evaluation(self, tables: Tables, entry: Write, evaluation: Evaluation) -> None:
        """Store an evaluation, new or changed; the oldest of its job are forgotten."""
        if evaluation.id not in tables.evaluations:
            _append(tables.evaluations_of, evaluation.key, evaluation.id)
        tables.evaluations[evaluation.id] = evaluation
        ids = tables.evaluations_of[evaluation.key]
        for old in ids[:-KEPT_EVALUATIONS]:
            if tables.evaluations[old].terminal:
                del tables.evaluations[old]
                _remove(tables.evaluations_of, evaluation.key, old)
        entry.touch("evaluations", evaluation.namespace, evaluation.job_id, evaluation.id)
        self.show_evaluation(entry, evaluation)

    def show_evaluation(self, entry: Write, evaluation: Evaluation) -> None:
        """Show an evaluation that this entry concerns."""
        entry.show(
            _event(
                entry,
                "Evaluation",
                evaluation.id,
                evaluation.namespace,
                (evaluation.job_id, evaluation.deployment_id),
                lambda: {"Evaluation": wire.evaluation_document(evaluation)},
            )
        )

    def put_queued(
        self, tables: Tables, entry: Write, key: JobKey, queued: Mapping[str, int]
    ) -> None:
        """Note how many instances of a job wait for a place."""
        if any(queued.values()) or tables.queued.get(key):
            tables.queued[key] = queued
            self._touch_summary(tables, entry, key)

    def put_node(self, tables: Tables, entry: Write, node: Node) -> None:
        """Store a machine, new or changed."""
        tables.nodes[node.id] = node
        entry.touch("nodes")
        document = wire.node_stub(node, resources=True)
        entry.show(_event(entry, "Node", node.id, "", (), lambda: {"Node": document}))

    def put_namespace(self, tables: Tables, entry: Write, namespace: Namespace) -> None:
        """Store a namespace; it has no events."""
        tables.namespaces[namespace.name] = namespace
        entry.touch("namespaces", "", namespace.name)

    def put_variable(self, tables: Tables, entry: Write, variable: Variable) -> None:
        """Store a variable."""
        tables.variables[variable.namespace, variable.path] = variable
        self._show_variable(entry, variable, deleted=False)

    def delete_variable(self, tables: Tables, entry: Write, variable: Variable) -> None:
        """Remove a variable."""
        del tables.variables[variable.namespace, variable.path]
        self._show_variable(entry, variable, deleted=True)

    def show_job(self, entry: Write, job: Job) -> None:
        """Show a job that this entry concerns without changing it."""
        entry.show(self._job_event(entry, job))

    def _job_event(self, entry: Write, job: Job) -> Event:
        region = self.region
        return _event(
            entry,
            "Job",
            job.id,
            job.namespace,
            (),
            lambda: {"Job": wire.job_document(job, region)},
        )

    def _touch_summary(self, tables: Tables, entry: Write, key: JobKey) -> None:
        if key in tables.jobs:
            tables.summaries[key] = entry.index
        entry.touch("jobs", *key)

    def _show_variable(self, entry: Write, variable: Variable, *, deleted: bool) -> None:
        entry.touch("variables", variable.namespace, variable.path)
        payload = {"Metadata": wire.variable_metadata(variable), "Deleted": deleted}
        entry.show(
            _event(entry, "Variable", variable.path, variable.namespace, (), lambda: payload)
        )


def _event(  # noqa: PLR0917 - the six parts of an event, in the order they are shown
    entry: Write,
    topic: str,
    key: str,
    namespace: str,
    filter_keys: tuple[str, ...],
    payload: object,
) -> Event:
    return Event(topic, entry.kind, key, namespace, filter_keys, entry.index, payload)  # type: ignore[arg-type] # always a function without arguments


def _append(index: dict[JobKey, tuple[str, ...]], key: JobKey, one: str) -> None:
    index[key] = (*index.get(key, ()), one)


def _remove(index: dict[JobKey, tuple[str, ...]], key: JobKey, one: str) -> None:
    left = tuple(other for other in index.get(key, ()) if other != one)
    if left:
        index[key] = left
    else:
        index.pop(key, None)
