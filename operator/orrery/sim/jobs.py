"""Jobs: register by compare-and-set, versions, stop, purge."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orrery.sim.core import Core
from orrery.sim.evaluation import Evaluator
from orrery.sim.records import Job, JobKey, Spec, Submission
from orrery.sim.refusal import errors, failed, warnings
from orrery.sim.specs import spec_of
from orrery.sim.validation import job_errors, job_warnings


@dataclass(frozen=True, slots=True)
class Written:
    """The reply to a register or a stop."""

    index: int
    job_modify_index: int
    eval_id: str = ""
    eval_index: int = 0
    warnings: str = ""


class Jobs:
    """The jobs of one region."""

    def __init__(self, core: Core, evaluator: Evaluator) -> None:
        self._core = core
        self._evaluator = evaluator

    def admit(self, given: Mapping[str, Any]) -> Spec:
        """Fill defaults in, and refuse what is wrong with a job."""
        spec = spec_of(given)
        found = job_errors(spec.document)
        namespace = spec.document["Namespace"]
        if not found and namespace not in self._core.tables.namespaces:
            found = [f'job "{spec.document["ID"]}" is in nonexistent namespace "{namespace}"']
        if found:
            raise failed(errors(found))
        return spec

    def register(
        self,
        spec: Spec,
        *,
        stop: bool = False,
        expected: int | None = None,
        submission: Submission | None = None,
        version: int = 0,
        accessor: str = "",
    ) -> Written:
        """Register an admitted job if its JobModifyIndex is *expected*; None: whatever it is.

        *version* is what the job says of itself, as one does that was read, edited and sent back:
        its number is not taken twice, and what was submitted with it counts for a register that
        submits nothing.
        """
        core = self._core
        key: JobKey = (spec.document["Namespace"], spec.document["ID"])
        existing = core.tables.jobs.get(key)
        self.enforce(existing, expected)
        warned = self.warnings(spec)
        if existing and existing.spec is spec and existing.stop == stop:
            return replace(self._evaluate_again(existing), warnings=warned)
        if submission is None and (kept := self.version(key, version)):
            submission = kept.submission
        with core.store.write("JobRegistered") as entry:
            job = Job(
                namespace=key[0],
                id=key[1],
                spec=spec,
                stop=stop,
                version=max(version, existing.version + 1) if existing else version,
                create_index=existing.create_index if existing else entry.index,
                modify_index=entry.index,
                job_modify_index=entry.index,
                submit_time=entry.now,
                status=core.job_status(existing) if existing else "pending",
                accessor=accessor,
                submission=submission,
            )
            if existing and job.status != "running":
                job = replace(job, status="dead" if stop else "pending")
            core.entries.put_job(core.tables, entry, job, version=True)
            entry.split()
            evaluation = self._evaluator.request(entry, key, job, "job-register")
        return Written(entry.index, entry.index, evaluation.id, entry.index, warned)

    def deregister(self, key: JobKey, *, purge: bool) -> Written:
        """Stop a job, or remove it for good; one that is not there stays away."""
        core = self._core
        job = core.tables.jobs.get(key)
        if job is None:
            return Written(0, 0)
        with core.store.write("JobDeregistered") as entry:
            if purge:
                core.entries.delete_job(core.tables, entry, job)
                core.entries.delete_deployments(core.tables, entry, key)
                for allocation in core.allocations_of(job):
                    if allocation.client_terminal:
                        core.entries.delete_allocation(core.tables, allocation)
            else:
                stopped = replace(
                    job,
                    stop=True,
                    version=job.version + 1,
                    modify_index=entry.index,
                    job_modify_index=entry.index,
                )
                core.entries.put_job(core.tables, entry, stopped, version=True)
            entry.split()
            after = core.tables.jobs.get(key)
            evaluation = self._evaluator.request(entry, key, after, "job-deregister")
        return Written(entry.index, entry.index, evaluation.id, entry.index)

    def version(self, key: JobKey, number: int) -> Job | None:
        """Return one of the versions that are kept."""
        versions = self._core.tables.versions.get(key, ())
        return next((job for job in versions if job.version == number), None)

    def _evaluate_again(self, job: Job) -> Written:
        """Evaluate an unchanged job, nothing else; the reply has the *other* index."""
        with self._core.store.write("EvaluationUpdated") as entry:
            evaluation = self._evaluator.request(entry, job.key, job, "job-register", forced=True)
        return Written(entry.index, job.modify_index, evaluation.id, entry.index)

    @staticmethod
    def warnings(spec: Spec) -> str:
        """List what is unwise about a job."""
        return warnings(job_warnings(spec.document))

    @staticmethod
    def enforce(existing: Job | None, expected: int | None) -> None:
        """Raise a refusal unless *existing* has the JobModifyIndex *expected*."""
        if expected is None:
            return
        head = f"Enforcing job modify index {expected}: "
        if expected == 0:
            if existing:
                raise failed(f"{head}job already exists")
        elif existing is None:
            raise failed(f"{head}job does not exist")
        elif existing.job_modify_index != expected:
            raise failed(
                f"{head}job exists with conflicting job modify index: {existing.job_modify_index}"
            )
