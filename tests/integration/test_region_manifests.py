"""The manifests of a control plane on a real API server: accepted, and their pods admitted."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from tests.lab.rest import APPLY, JSON, Reply, Rest
from tests.unit.render.region.blueprints import JOINED, KUMA_IMAGE, a_blueprint, pod_templates

from orrery.playground.kubeapi import collection
from orrery.render.globalmesh import GlobalMesh, render_global_mesh
from orrery.render.region import Blueprint, Layer, render_region

BLUEPRINTS = {
    "smallest": a_blueprint(),
    "one-server": a_blueprint("was", nomad={"servers": 1}),
    "everything": a_blueprint(
        "f" * 32,
        address="2001:db8::7",
        region={"frontDoor": {"host": "fra.example"}},
        nomad={"servers": 5, "resources": {"cpu": "1.5", "memory": "2Gi"}, "storage": "50Gi"},
        front_door={"replicas": 9},
        continent={
            "namespacePrefix": f"{'p' * 29}-",
            "storageClassName": "fast",
            "registry": {"mirror": "mirror.example:5000/cache"},
            "frontDoor": {
                "loadBalancerClass": "example.com/lb",
                "annotations": {"example.com/network": "public"},
                "sourceRanges": ["203.0.113.0/24"],
            },
        },
    ),
}
BLUEPRINTS |= {
    "meshed": a_blueprint("mad", mesh=JOINED),
    "mesh-of-its-own": a_blueprint("ams", mesh={"store": {"mode": "Memory"}}),
    "mesh-in-a-database-of-theirs": a_blueprint(
        "muc", mesh={"store": {"mode": "External", "secretRef": {"name": "database"}}}
    ),
}
EACH = [pytest.param(blueprint, id=name) for name, blueprint in BLUEPRINTS.items()]
FOUNDATION_KINDS = ["Namespace", *["ServiceAccount"] * 2, *["NetworkPolicy"] * 6]


def path(manifest: Mapping[str, Any]) -> str:
    kind = "NetworkPolicie" if manifest["kind"] == "NetworkPolicy" else manifest["kind"]
    metadata = manifest["metadata"]
    return collection(manifest["apiVersion"], kind, metadata.get("namespace", ""))


def apply(rest: Rest, manifest: Mapping[str, Any], *, dry_run: bool = True) -> Reply:
    query = "fieldManager=orrery&force=true&fieldValidation=Strict"
    query += "&dryRun=All" if dry_run else ""
    where = f"{path(manifest)}/{manifest['metadata']['name']}?{query}"
    return rest._call("PATCH", where, manifest, APPLY)


def pods(layers: Iterable[Layer]) -> dict[str, Mapping[str, Any]]:
    """Write the specs of all pods, with the volumes that controllers add, by what makes them."""
    manifests = [manifest for layer in layers for manifest in layer.manifests]
    claims = {
        f"{m['kind']}/{m['metadata']['name']}": [
            {"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": "some"}}
            for c in m.get("spec", {}).get("volumeClaimTemplates", [])
        ]
        for m in manifests
    }
    return {
        name: {**t["spec"], "volumes": t["spec"]["volumes"] + claims[name]}
        for name, t in pod_templates(manifests)
    }


def admit(rest: Rest, namespace: str, spec: Mapping[str, Any]) -> Reply:
    """Ask for a pod, as the controllers of its kind would."""
    metadata = {"name": "candidate", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return rest._call("POST", f"{path(pod)}?dryRun=All&fieldValidation=Strict", pod, JSON)


def founded(rest: Rest, blueprint: Blueprint) -> list[Layer]:
    """Apply the first layer for good, so that the others have a namespace; return all."""
    layers = list(render_region(blueprint))
    replies = [apply(rest, manifest, dry_run=False) for manifest in layers[0].manifests]
    assert [reply.message for reply in replies if not reply.ok] == []
    return layers


@pytest.mark.parametrize("blueprint", EACH)
def test_every_manifest_is_accepted(rest: Rest, blueprint: Blueprint) -> None:
    layers = founded(rest, blueprint)

    replies = [(m["kind"], apply(rest, m)) for layer in layers for m in layer.manifests]

    assert [(kind, reply.message) for kind, reply in replies if not reply.ok] == []
    assert [kind for kind, _ in replies][: len(FOUNDATION_KINDS)] == FOUNDATION_KINDS
    assert {"StatefulSet", "Job", "Deployment"} <= {kind for kind, _ in replies}


@pytest.mark.parametrize("blueprint", EACH)
def test_every_pod_is_admitted_where_pods_are_restricted(rest: Rest, blueprint: Blueprint) -> None:
    specs = pods(founded(rest, blueprint))

    replies = {name: admit(rest, blueprint.namespace, spec) for name, spec in specs.items()}

    assert {name: reply.message for name, reply in replies.items() if not reply.ok} == {}
    assert len(replies) >= 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"securityContext": {}}, "runAsNonRoot", id="may-be-root"),
        pytest.param({"hostNetwork": True}, "host namespaces", id="network-of-the-node"),
    ],
)
def test_a_pod_that_is_less_restricted_is_not_admitted(
    rest: Rest, change: Mapping[str, Any], word: str
) -> None:
    blueprint = BLUEPRINTS["smallest"]
    spec = pods(founded(rest, blueprint))["StatefulSet/fra-nomad"]

    reply = admit(rest, blueprint.namespace, {**spec, **change})

    assert reply.status == 403
    assert 'violates PodSecurity "restricted' in reply.message
    assert word in reply.message


@pytest.mark.parametrize(
    "blueprint",
    [
        pytest.param(a_blueprint("par"), id="no-mesh"),
        pytest.param(a_blueprint("lis", mesh=JOINED), id="mesh"),
    ],
)
def test_applying_twice_changes_nothing(rest: Rest, blueprint: Blueprint) -> None:
    layers = founded(rest, blueprint)
    manifests = [manifest for layer in layers for manifest in layer.manifests]

    first, second = ([apply(rest, m, dry_run=False) for m in manifests] for _ in range(2))

    assert [reply.message for reply in first if not reply.ok] == []
    assert versions(first) == versions(second)


def test_a_global_mesh_is_accepted_and_changes_nothing_when_applied_twice(rest: Rest) -> None:
    manifests = render_global_mesh(GlobalMesh(KUMA_IMAGE))

    first, second = ([apply(rest, m, dry_run=False) for m in manifests] for _ in range(2))

    assert [reply.message for reply in first if not reply.ok] == []
    assert versions(first) == versions(second)


def test_the_pods_of_a_global_mesh_are_admitted_where_pods_are_restricted(rest: Rest) -> None:
    mesh = GlobalMesh(KUMA_IMAGE, namespace="planet")
    manifests = render_global_mesh(mesh)
    assert apply(rest, manifests[0], dry_run=False).ok

    specs = pods([Layer("all", manifests)])
    replies = {name: admit(rest, mesh.namespace, spec) for name, spec in specs.items()}

    assert {name: reply.message for name, reply in replies.items() if not reply.ok} == {}
    assert sorted(replies) == [
        "Deployment/global-mesh-front-door",
        "Deployment/global-mesh-kuma",
        "StatefulSet/global-mesh-postgres",
    ]


def versions(replies: Iterable[Reply]) -> list[tuple[str, str]]:
    return [(r.body["kind"], r.body["metadata"]["resourceVersion"]) for r in replies]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"address": "198.51.100.9"}, id="address"),
        pytest.param({"nomad": {"image": "nomad:2", "servers": 5}}, id="image-and-servers"),
        pytest.param({"nomad": {"resources": {"memory": "3Gi"}}}, id="resources"),
        pytest.param({"continent": {"registry": {"mirror": "mirror.example"}}}, id="mirror"),
        pytest.param({"mesh": JOINED}, id="mesh"),
    ],
)
def test_what_may_change_is_changed_in_place(rest: Rest, change: dict[str, Any]) -> None:
    name = "ber"
    for layer in founded(rest, a_blueprint(name)):
        assert all(apply(rest, m, dry_run=False).ok for m in layer.manifests)
    nomad = {"image": "nomad:1", **change.get("nomad", {})}

    layers = render_region(a_blueprint(name, **{**change, "nomad": nomad}))

    replies = [apply(rest, manifest) for layer in layers for manifest in layer.manifests]
    assert [reply.message for reply in replies if not reply.ok] == []
