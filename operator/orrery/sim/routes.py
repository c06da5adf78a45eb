"""Which call a method and a path mean."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from orrery.sim import handlers_cluster as cluster
from orrery.sim import handlers_jobs as jobs
from orrery.sim import handlers_logs as logs
from orrery.sim import handlers_tenancy as tenancy
from orrery.sim.calls import Call, Reply

Handler = Callable[[Call], Reply]

STREAM: Final = "/v1/event/stream"

_ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/v1/acl/policy/:name": {"PUT": tenancy.put_policy},
    "/v1/acl/token": {"PUT": tenancy.put_token},
    "/v1/agent/health": {"GET": cluster.health},
    "/v1/agent/self": {"GET": cluster.agent},
    "/v1/allocation/:id": {"GET": cluster.read_allocation},
    "/v1/allocations": {"GET": cluster.list_allocations},
    "/v1/client/fs/logs/:id": {"GET": logs.read_log},
    "/v1/deployment/:id": {"GET": cluster.read_deployment},
    "/v1/deployments": {"GET": cluster.list_deployments},
    "/v1/evaluation/:id": {"GET": cluster.read_evaluation},
    "/v1/evaluations": {"GET": cluster.list_evaluations},
    "/v1/job/:id": {"GET": jobs.read_job, "PUT": jobs.register, "DELETE": jobs.deregister},
    "/v1/job/:id/allocations": {"GET": jobs.job_allocations},
    "/v1/job/:id/deployment": {"GET": jobs.job_deployment},
    "/v1/job/:id/deployments": {"GET": jobs.job_deployments},
    "/v1/job/:id/evaluations": {"GET": jobs.job_evaluations},
    "/v1/job/:id/plan": {"PUT": jobs.plan},
    "/v1/job/:id/submission": {"GET": jobs.read_submission},
    "/v1/job/:id/summary": {"GET": jobs.read_summary},
    "/v1/job/:id/versions": {"GET": jobs.read_versions},
    "/v1/jobs": {"GET": jobs.list_jobs, "PUT": jobs.register},
    "/v1/namespace": {"PUT": tenancy.put_namespace},
    "/v1/namespace/:name": {
        "GET": tenancy.read_namespace,
        "PUT": tenancy.put_namespace,
        "DELETE": tenancy.delete_namespace,
    },
    "/v1/namespaces": {"GET": tenancy.list_namespaces},
    "/v1/nodes": {"GET": cluster.list_nodes},
    "/v1/operator/autopilot/health": {"GET": cluster.autopilot},
    "/v1/regions": {"GET": cluster.regions},
    "/v1/service/:name": {"GET": cluster.read_service},
    "/v1/services": {"GET": cluster.list_services},
    "/v1/status/leader": {"GET": cluster.leader},
    "/v1/status/peers": {"GET": cluster.peers},
    "/v1/var/:path": {
        "GET": tenancy.read_variable,
        "PUT": tenancy.put_variable,
        "DELETE": tenancy.delete_variable,
    },
    "/v1/vars": {"GET": tenancy.list_variables},
}

_PLACEHOLDER = re.compile(r":[a-z]+")
_PATTERNS: Final = [
    (re.compile(_PLACEHOLDER.sub("(.+)", template)), template)
    # The longer template first: what follows a job's id is no part of the id.
    for template in sorted(_ROUTES, key=len, reverse=True)
    if ":" in template
]


def route(path: str) -> tuple[str, tuple[str, ...], Mapping[str, Handler]] | None:
    """Find a path's template, what its placeholders stand for, and its handlers by method."""
    if path in _ROUTES:
        return path, (), _ROUTES[path]
    for pattern, template in _PATTERNS:
        if match := pattern.fullmatch(path):
            return template, match.groups(), _ROUTES[template]
    return None
