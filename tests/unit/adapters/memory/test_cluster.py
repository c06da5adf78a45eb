"""The cluster in memory: what it has beyond the suite that it shares with a real one."""

from typing import Any

import pytest
from tests.fakes.manifests import a_config_map, a_manifest, a_namespace, a_service, a_stateful_set

from orrery.adapters.memory import MemoryCluster, MemoryClusterFactory
from orrery.errors import InvalidSpec, Unreachable
from orrery.ports import ClusterAccess, ObjectRef, Right


async def a_cluster() -> MemoryCluster:
    cluster = MemoryCluster()
    await cluster.apply(a_namespace())
    cluster.writes.clear()
    return cluster


async def test_a_dark_cluster_answers_nothing_and_keeps_everything() -> None:
    cluster = await a_cluster()
    cluster.dark = True
    ref = ObjectRef.of(a_config_map())

    for call in (
        cluster.version(),
        cluster.missing_rights([]),
        cluster.read(ref),
        cluster.list_labelled("v1", "ConfigMap", "orrery-fra", {}),
        cluster.apply(a_config_map()),
        cluster.create(a_config_map()),
        cluster.delete(ref, ""),
    ):
        with pytest.raises(Unreachable):
            await call

    assert not cluster.writes
    assert list(cluster.objects) == [ObjectRef.of(a_namespace())]


async def test_writes_are_counted_by_their_verbs() -> None:
    cluster = await a_cluster()

    uid = (await cluster.apply(a_config_map()))["metadata"]["uid"]
    await cluster.apply(a_config_map())
    await cluster.create(a_manifest("Secret"))
    await cluster.delete(ObjectRef.of(a_config_map()), uid)

    assert cluster.writes == {"apply": 2, "create": 1, "delete": 1}


async def test_what_is_read_is_a_copy() -> None:
    cluster = await a_cluster()
    ref = ObjectRef.of(a_service())
    await cluster.apply(a_service())

    found: Any = await cluster.read(ref)
    found["spec"]["ports"].clear()

    again = await cluster.read(ref)
    assert again is not None
    assert len(again["spec"]["ports"]) == 2


async def test_a_namespace_takes_its_content_along_and_an_owner_what_it_owns() -> None:
    cluster = await a_cluster()
    owner = await cluster.apply(a_stateful_set())
    pod = {**a_config_map(), "kind": "Pod"}
    reference = {"uid": owner["metadata"]["uid"]}
    pod["metadata"] |= {"ownerReferences": [reference]}
    held = cluster.put(pod)
    await cluster.apply(a_service())

    cluster.remove(ObjectRef.of(a_stateful_set()))
    assert held not in cluster.objects
    cluster.remove(ObjectRef.of(a_namespace()))

    assert not cluster.objects


async def test_a_webhook_changes_what_is_written() -> None:
    cluster = await a_cluster()
    cluster.mutate = lambda body: body["spec"].update(replicas=1)

    assert (await cluster.apply(a_stateful_set()))["spec"]["replicas"] == 1


async def test_rights_can_be_denied() -> None:
    cluster = await a_cluster()
    rights = [Right("get", "", "secrets"), Right("create", "", "secrets")]
    cluster.denied.add(rights[1])

    assert await cluster.missing_rights(rights) == [rights[1]]


async def test_a_factory_hands_out_clusters_by_their_kubeconfigs() -> None:
    hub, eu = MemoryCluster("hub"), MemoryCluster("eu")
    factory = MemoryClusterFactory({"": hub, "kubeconfig of eu": eu})

    assert factory.connect(ClusterAccess()) is hub
    assert factory.connect(ClusterAccess("kubeconfig of eu")) is eu
    with pytest.raises(InvalidSpec):
        factory.connect(ClusterAccess("another"))
    await eu.close()
    assert eu.closed
