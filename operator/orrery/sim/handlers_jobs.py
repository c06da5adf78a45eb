"""The calls about jobs and what comes of them."""

from collections.abc import Callable, Mapping
from typing import Any

from orrery.sim import wire
from orrery.sim.calls import Call, Reply, missing, paged
from orrery.sim.jobs import Written
from orrery.sim.records import JobKey, Spec, Submission
from orrery.sim.refusal import bad_request, failed
from orrery.sim.store import records_of
from orrery.sim.wire_allocations import allocation_stub

Render = Callable[[Any], dict[str, Any]]


def list_jobs(call: Call) -> Reply:
    """List jobs, with their summaries, and with their meta if asked."""
    region, access, namespace = call.region, call.access, call.namespace
    if namespace == "*":
        seen = {name for name in region.core.tables.namespaces if access.may(name, "list-jobs")}
        jobs = [job for job in region.list_jobs() if job.namespace in seen]
        watch: tuple[str, ...] = ("jobs",)
    else:
        access.demand(namespace, "list-jobs")
        jobs = list(region.list_jobs(namespace))
        watch = ("jobs", namespace)
    if prefix := call.query.get("prefix"):
        jobs = [job for job in jobs if job.id.startswith(prefix)]
    page, token = paged(call, jobs, lambda job: job.key)
    meta = call.flag("meta")
    return Reply(
        [region.stub(job, meta=meta) for job in page],
        index=region.core.tables.indexes["jobs"],
        next_token=token,
        watch=(watch,),
    )


def register(call: Call) -> Reply:
    """Register a job, by compare-and-set if asked."""
    request = call.json()
    given = _submitted(call, request, mismatch="Job ID does not match name")
    region = call.region
    spec = region.jobs.admit(given)
    access = call.access
    access.demand(spec.document["Namespace"], "submit-job", "register-job")
    expected = request.get("JobModifyIndex", 0) if request.get("EnforceIndex") else None
    written = region.jobs.register(
        spec,
        stop=bool(given.get("Stop")),
        expected=expected,
        submission=_submission(request.get("Submission")),
        version=given.get("Version") or 0,
        accessor=access.token.accessor,
    )
    return Reply(_written(written) | {"Warnings": written.warnings}, index=written.index)


def plan(call: Call) -> Reply:
    """Say what a register would do."""
    request = call.json()
    given = _submitted(call, request, mismatch="Job ID does not match")
    region = call.region
    spec: Spec = region.jobs.admit(given)
    call.access.demand(spec.document["Namespace"], "submit-job", "plan-job")
    expected = request.get("JobModifyIndex", 0) if request.get("EnforceIndex") else None
    index, document = region.plan(
        spec, stop=bool(given.get("Stop")), expected=expected, diff=bool(request.get("Diff"))
    )
    return Reply(document, index=index)


def read_job(call: Call) -> Reply:
    """Read a job."""
    key = _key(call)
    region = call.region
    job = region.core.tables.jobs.get(key)
    if job is None:
        return _no_job(call, "job not found")
    return Reply(region.document(job), index=job.modify_index, watch=(("jobs", *key),))


def deregister(call: Call) -> Reply:
    """Stop a job, or purge it."""
    key: JobKey = (call.namespace, call.parts[0])
    purge = call.flag("purge")
    right = () if purge else ("deregister-job",)
    call.access.demand(call.namespace, "submit-job", "purge-job", *right)
    written = call.region.jobs.deregister(key, purge=purge)
    volumes = {"VolumeEvalID": "", "VolumeEvalIndex": 0}
    return Reply(_written(written) | volumes, index=written.index)


def read_versions(call: Call) -> Reply:
    """Read the versions of a job that are kept, newest first."""
    key = _key(call)
    region = call.region
    versions = region.core.tables.versions.get(key)
    if not versions:
        return _no_job(call, "job versions not found")
    index = max(job.modify_index for job in versions)
    body = {
        "Diffs": None,
        "Index": index,
        "KnownLeader": True,
        "LastContact": 0,
        "NextToken": "",
        "Versions": [region.document(job) for job in versions],
    }
    return Reply(body, index=index, watch=(("jobs", *key),))


def read_submission(call: Call) -> Reply:
    """Read what was submitted with a version."""
    key = _key(call)
    number = call.query.get("version", "")
    if not number.isdigit():
        raise bad_request("Unable to parse job submission version parameter")
    job = call.region.jobs.version(key, int(number))
    if job is None or job.submission is None:
        return missing("job source not found", index=0, watch=(("jobs", *key),))
    document = wire.submission_document(job, job.submission)
    return Reply(document, index=job.job_modify_index, watch=(("jobs", *key),))


def read_summary(call: Call) -> Reply:
    """Read the number of a job's instances by state."""
    key = _key(call)
    region = call.region
    job = region.core.tables.jobs.get(key)
    if job is None:
        return _no_job(call, "job not found")
    summary = region.summary(job)
    return Reply(summary, index=summary["ModifyIndex"], watch=(("jobs", *key),))


def job_allocations(call: Call) -> Reply:
    """List the allocations of a job, of all its versions."""
    return _of_job(call, "allocations", allocation_stub)


def job_deployments(call: Call) -> Reply:
    """List the deployments of a job."""
    return _of_job(call, "deployments", wire.deployment_document)


def job_evaluations(call: Call) -> Reply:
    """List the evaluations of a job."""
    return _of_job(call, "evaluations", wire.evaluation_document, since_creation=False)


def job_deployment(call: Call) -> Reply:
    """Read the newest deployment of a job, null when there is none."""
    key = _key(call)
    region = call.region
    job = region.core.tables.jobs.get(key)
    deployment = region.core.newest_deployment(job) if job else None
    body = wire.deployment_document(deployment) if deployment else None
    index = region.core.tables.indexes["deployments"]
    return Reply(body, index=index, watch=(("deployments", *key),))


def _of_job(call: Call, table: str, render: Render, *, since_creation: bool = True) -> Reply:
    key = _key(call)
    tables = call.region.core.tables
    job = tables.jobs.get(key)
    rows: list[Any] = records_of(tables, table, key)
    if since_creation:
        rows = [row for row in rows if job and row.job_create_index == job.create_index]
    body = [render(row) for row in sorted(rows, key=lambda row: str(row.id))]
    return Reply(body, index=tables.indexes[table], watch=((table, *key),))


def _key(call: Call) -> JobKey:
    call.access.demand(call.namespace, "read-job")
    return call.namespace, call.parts[0]


def _no_job(call: Call, text: str) -> Reply:
    index = call.region.core.tables.indexes["jobs"]
    return missing(text, index=index, watch=(("jobs", call.namespace),))


def _submitted(call: Call, request: Mapping[str, Any], *, mismatch: str) -> Mapping[str, Any]:
    """Take the job out of a request, and settle its namespace and region."""
    job = request.get("Job")
    if not isinstance(job, dict):
        raise bad_request("Job must be specified")
    if not job.get("ID"):
        raise bad_request("Job ID hasn't been provided")
    if call.parts and job["ID"] != call.parts[0]:
        raise bad_request(mismatch)
    for group in job.get("TaskGroups") or ():
        _whole_number(group.get("Count"))
    if job.get("Region") not in {None, "", call.region.name}:
        raise failed("No path to region")
    own = job.get("Namespace") or "default"
    return {**job, "Namespace": call.namespace if own == "default" else own}


def _whole_number(value: object) -> None:
    kinds = {str: "string", float: "number", bool: "bool", list: "array", dict: "object"}
    if value is not None and type(value) is not int:
        raise bad_request(
            f"json: cannot unmarshal {kinds[type(value)]} into Go struct field"
            " TaskGroup.Job.TaskGroups.Count of type int"
        )


def _submission(given: Mapping[str, Any] | None) -> Submission | None:
    if given is None:
        return None
    return Submission(
        given.get("Source", ""),
        given.get("Format", ""),
        given.get("Variables") or "",
        given.get("VariableFlags"),
    )


def _written(written: Written) -> dict[str, Any]:
    return {
        "EvalCreateIndex": written.eval_index,
        "EvalID": written.eval_id,
        "Index": written.index,
        "JobModifyIndex": written.job_modify_index,
        "KnownLeader": False,
        "LastContact": 0,
        "NextToken": "",
    }
