"""What is deployed: the objects, the job bodies that come of them, and statuses of old. Pure.

The raw client posts the very bodies that Orrery posts: they are rendered here by Orrery's own
functions, and a run checks that the digest of what Orrery registered is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from orrery import names
from orrery.api.base import API_VERSION
from orrery.api.globaldeployment import GlobalDeploymentStatus
from orrery.api.regionclass import DOCKER
from orrery.api.validation import validate_deployment
from orrery.planning.placement import RegionCandidate
from orrery.planning.rollup import Findings, RegionalState, summarize
from orrery.planning.split import split
from orrery.reconcile.assignment import Assignment, assignment_of
from orrery.render.digest import spec_revision

HUB_NAMESPACE: Final = "bench"
NOMAD_NAMESPACE: Final = names.nomad_namespace(names.INSTALL_DEFAULT, HUB_NAMESPACE)
RAW_NAMESPACE: Final = "unseen-bench"
"""Where the raw client's jobs go: as long as the other, so that bodies have the same size."""
REGION_CLASS: Final = "playground"
FAN_OUT: Final = "bench.orrery.dev/v1"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """One register call, the same for every region."""

    job: str
    text: bytes
    digest: str


def deployment(name: str, *, counts: Mapping[str, int] | None = None) -> Document:
    """Describe an application that runs in every region; *counts* overrides it for some."""
    overrides = [
        {"name": f"count-{region}", "regions": [region], "scaling": {"count": count}}
        for region, count in sorted((counts or {}).items())
    ]
    spec: Document = {
        "type": "WEB",
        "docker": {"image": "docker.io/koyeb/demo:1.4"},
        "env": [
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "PUBLIC_URL", "value": f"https://{name}.example.com"},
        ],
        "ports": [{"port": 3000, "protocol": "http"}],
        "routes": [{"port": 3000, "path": "/"}],
        "resources": {"cpuMHz": 50, "memoryMB": 32},
        "scaling": {"count": 1},
        "healthChecks": [{"type": "http", "port": 3000, "path": "/"}],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "GlobalDeployment",
        "metadata": {"name": name, "namespace": HUB_NAMESPACE},
        "spec": {**spec, **({"overrides": overrides} if overrides else {})},
    }


def assignment(document: Document) -> Assignment:
    """Derive what each region runs of *document*, which treats all alike."""
    stored = {**document, "metadata": {"generation": 1, "uid": "-", **document["metadata"]}}
    read = validate_deployment(stored)
    candidate = RegionCandidate("fra", "eu")
    regional = split(
        read.spec,
        namespace=HUB_NAMESPACE,
        name=read.metadata.name,
        regions=[candidate],
    )[candidate.name]
    return assignment_of(
        regional,
        read,
        install=names.INSTALL_DEFAULT,
        drivers=(DOCKER,),
        region_class=REGION_CLASS,
        secrets={},
    )


def register_call(document: Document) -> Document:
    """Make the call that registers *document* in a region that has nothing of that name."""
    made = assignment(document)
    assert made.submission is not None
    return {
        "Job": made.document,
        "EnforceIndex": True,
        "JobModifyIndex": 0,
        "Submission": {"Source": made.submission.source, "Format": made.submission.format},
    }


def body(name: str, *, namespace: str = NOMAD_NAMESPACE) -> Body:
    """Encode the register call of the deployment *name*."""
    document = deployment(name)
    call = register_call(document)
    call["Job"] = {**call["Job"], "Namespace": namespace}
    return Body(name, orjson.dumps(call), assignment(document).digest)


def raw_body(name: str) -> Body:
    """Encode the same call for a job that no operator follows."""
    return body(name, namespace=RAW_NAMESPACE)


def fan_out(name: str) -> Document:
    """Describe the same application to a peer: the body, for whatever regions it knows."""
    return {
        "apiVersion": FAN_OUT,
        "kind": "FanOut",
        "metadata": {"name": name, "namespace": HUB_NAMESPACE},
        "spec": {"job": name, "body": body(name).text.decode()},
    }


def settled_status(document: Document, index: int, continents: Mapping[str, str]) -> Document:
    """Write the status of a deployment that has been healthy in all regions for long."""
    made = assignment(document)
    state = RegionalState(
        phase="Healthy", ready=1, desired=1, digest=made.digest, index=index, current=True
    )
    read = validate_deployment({**document, "metadata": {**document["metadata"], "uid": "-"}})
    status = summarize(
        Findings(generation=1, revision=spec_revision(read.spec)),
        dict.fromkeys(continents, state),
        continents,
        before=GlobalDeploymentStatus(),
        now="2026-01-01T00:00:00Z",
    )
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


CRD: Final[Document] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "fanouts.bench.orrery.dev"},
    "spec": {
        "group": "bench.orrery.dev",
        "scope": "Namespaced",
        "names": {"plural": "fanouts", "singular": "fanout", "kind": "FanOut"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""What the peers watch: no schema, so that the API server does as little for them as it can."""
