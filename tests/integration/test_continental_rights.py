"""What `orrery continent rbac` prints, on a real API server: all that is needed, and no more."""

import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner
from tests.fakes.manifests import a_config_map, a_control_plane, a_manifest
from tests.lab.polling import until

from orrery.adapters.kube import HubConnection, HubSource, KubeClusterFactory
from orrery.cli import main
from orrery.errors import NotYet, Refused
from orrery.names import region_labels
from orrery.planning.rights import RBAC, RIGHTS, TEARDOWN_RIGHTS
from orrery.ports import ClusterAccess, ContinentalCluster, Document, ObjectRef, Right
from orrery.reconcile.manifests import AppliedMemory, enforce, list_region, prune_region
from orrery.reconcile.teardown import tear_down

PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}
MERGE = {"content_type": "application/merge-patch+json"}
APPLY = {
    "content_type": "application/apply-patch+yaml",
    "query": {"fieldManager": "kubectl", "force": "true"},
}
ROLE = f"/apis/{RBAC}/v1/clusterroles/orrery-hub"
ACCOUNT = "/api/v1/namespaces/orrery-system/serviceaccounts/orrery-hub"


def printed(*options: str) -> list[dict[str, Any]]:
    """Return what the verb prints, without the token's Secret, which no controller fills here."""
    said = CliRunner().invoke(main, ["continent", "rbac", *options])
    assert said.exit_code == 0, said.output
    return [body for body in yaml.safe_load_all(said.output) if body["kind"] != "Secret"]


def path_of(document: Document) -> str:
    version, metadata = document["apiVersion"], document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{PLURALS[document['kind']]}/{metadata['name']}"


def as_account(kubeconfig: Path, token: str) -> ClusterAccess:
    """Write the kubeconfig that the comment of the verb tells how to make."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    return ClusterAccess(yaml.safe_dump(document))


@pytest_asyncio.fixture
async def cluster(kubeconfig: Path, connection: HubConnection) -> AsyncIterator[ContinentalCluster]:
    """A cluster as the printed account sees it."""
    for document in printed():
        await connection.demand("PATCH", path_of(document), body=document, **APPLY)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await connection.demand("POST", f"{ACCOUNT}/token", body=request)
    access = as_account(kubeconfig, answer["status"]["token"])
    cluster = KubeClusterFactory(HubSource()).connect(access)
    await grant(connection, RIGHTS)
    await until(lambda: misses(cluster, []))
    yield cluster
    await cluster.close()


def elsewhere(manifests: Sequence[Document], namespace: str) -> list[dict[str, Any]]:
    """Move a control plane into another namespace: no controller ends one here."""
    return [
        {**m, "metadata": {**m["metadata"], "name": namespace}}
        if m["kind"] == "Namespace"
        else {**m, "metadata": {**m["metadata"], "namespace": namespace}}
        for m in manifests
    ]


def leaves(body: Document) -> bool:
    return "deletionTimestamp" in body["metadata"]


async def lacks_nothing(cluster: ContinentalCluster) -> bool:
    return not await cluster.missing_rights(TEARDOWN_RIGHTS)


async def grant(connection: HubConnection, rights: Sequence[Right]) -> None:
    """Let the account do just *rights*, written as one who does so by hand may write them."""
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in rights
    ]
    await connection.demand("PATCH", ROLE, body={"rules": rules}, **MERGE)


async def misses(cluster: ContinentalCluster, wanted: list[Right]) -> bool:
    """Tell whether just those rights are missing; the server learns of a change in its own time."""
    return list(await cluster.missing_rights(RIGHTS)) == wanted


async def test_the_printed_role_is_all_that_a_control_plane_needs(
    cluster: ContinentalCluster, connection: HubConnection
) -> None:
    (role,) = [document for document in printed() if document["kind"] == "ClusterRole"]
    await connection.demand("PATCH", ROLE, body={"rules": role["rules"]}, **MERGE)
    await until(lambda: misses(cluster, []))
    manifests, memory = a_control_plane(), AppliedMemory()

    assert await cluster.version()
    made = await enforce(cluster, manifests, previous=memory)
    fields = {"data": {"server.json": "other"}}
    place = "/api/v1/namespaces/orrery-fra/configmaps/fra-configmap"
    await connection.demand("PATCH", place, body=fields, **MERGE)
    mended = await enforce(cluster, manifests, previous=memory)
    secret = a_manifest("Secret", data={"token": base64.b64encode(b"t").decode()})
    assert await cluster.create(secret)
    assert await cluster.apply({**secret, "data": {"token": "Mg=="}})
    wanted = [ObjectRef.of(manifest) for manifest in manifests]
    labels = region_labels("orrery", "fra")
    for gone in wanted[1:]:
        left = [ref for ref in wanted if ref != gone]
        pruned = await prune_region(cluster, "orrery-fra", labels, left)
        assert list(pruned.going) == [gone]
        await enforce(cluster, manifests, previous=memory)

    assert len(made.created) == len(manifests)
    assert mended.repaired == ["ConfigMap fra-configmap in namespace orrery-fra: data.server.json"]


async def test_the_printed_role_tears_down_what_it_made_when_that_is_asked_for(
    cluster: ContinentalCluster, connection: HubConnection
) -> None:
    home = ObjectRef("v1", "Namespace", "", "orrery-torn")
    labels = region_labels("orrery", "fra")
    for manifest in elsewhere(a_control_plane(), home.name):
        await cluster.apply(manifest)
    with pytest.raises(NotYet, match="does not let Orrery delete namespaces"):
        await tear_down(cluster, home.name, labels, "")

    (role,) = [body for body in printed("--teardown") if body["kind"] == "ClusterRole"]
    await connection.demand("PATCH", ROLE, body={"rules": role["rules"]}, **MERGE)
    await until(lambda: lacks_nothing(cluster))
    with pytest.raises(NotYet, match="Namespace orrery-torn is being deleted"):
        await tear_down(cluster, home.name, labels, "")

    assert all(leaves(body) for body in await list_region(cluster, home.name, labels))
    namespace = await cluster.read(home)
    assert namespace is not None
    assert leaves(namespace)


async def test_a_right_that_is_taken_away_is_missed(
    cluster: ContinentalCluster, connection: HubConnection
) -> None:
    for right in RIGHTS:
        await grant(connection, [other for other in RIGHTS if other != right])

        await until(lambda: misses(cluster, [right]))  # noqa: B023 - awaited at once


async def test_rights_with_wildcards_are_rights_and_those_to_single_objects_are_not(
    cluster: ContinentalCluster, connection: HubConnection
) -> None:
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    single = {**everything, "resourceNames": ["fra"]}

    await connection.demand("PATCH", ROLE, body={"rules": [single]}, **MERGE)
    await until(lambda: misses(cluster, list(RIGHTS)))
    await connection.demand("PATCH", ROLE, body={"rules": [everything]}, **MERGE)
    await until(lambda: misses(cluster, []))


async def test_what_is_not_granted_is_refused_in_the_words_of_the_cluster(
    cluster: ContinentalCluster, connection: HubConnection
) -> None:
    left = Right("create", "", "configmaps")
    await grant(connection, [right for right in RIGHTS if right != left])
    await until(lambda: misses(cluster, [left]))
    stray = a_config_map()
    stray["metadata"] |= {"name": "stray", "namespace": "default"}

    with pytest.raises(Refused, match=r'cannot create resource "configmaps"'):
        await cluster.create(stray)


async def test_a_token_that_the_cluster_does_not_know_is_told(kubeconfig: Path) -> None:
    cluster = KubeClusterFactory(HubSource()).connect(as_account(kubeconfig, "wrong"))

    with pytest.raises(Refused, match="does not know the credentials of the kubeconfig") as refusal:
        await cluster.version()

    assert refusal.value.reason == "ClusterUnauthorized"
    await cluster.close()


async def test_the_hub_itself_is_reached_as_the_operator_reaches_it(kubeconfig: Path) -> None:
    cluster = KubeClusterFactory(HubSource(str(kubeconfig))).connect(ClusterAccess())

    assert await cluster.missing_rights(RIGHTS) == []
    await cluster.close()
