"""A control plane's objects are kept as they should be, and nothing is written without need."""

import asyncio
import copy
from typing import Any

import pytest
from tests.fakes.manifests import (
    a_config_map,
    a_control_plane,
    a_manifest,
    a_namespace,
    a_service,
    a_stateful_set,
)

from orrery.adapters.memory import MemoryCluster
from orrery.errors import NotYet, Refused, Unreachable
from orrery.names import region_labels
from orrery.ports import ObjectRef
from orrery.reconcile.manifests import AppliedMemory, Enforced, enforce, prune_region

pytestmark = pytest.mark.looptime(noop_cycles=0)

LABELS = region_labels("orrery", "fra")
SET = ObjectRef.of(a_stateful_set())
CONFIG = ObjectRef.of(a_config_map())


class Keeper:
    """Keeps one control plane in one cluster, pass by pass."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.manifests = a_control_plane()
        self.memory = AppliedMemory()

    async def keep(self) -> Enforced:
        """Count the writes of one pass."""
        self.cluster.writes.clear()
        return await enforce(self.cluster, self.manifests, previous=self.memory)

    def manifest(self, kind: str) -> dict[str, Any]:
        return next(manifest for manifest in self.manifests if manifest["kind"] == kind)


@pytest.fixture
async def keeper() -> Keeper:
    keeper = Keeper()
    await keeper.keep()
    keeper.cluster.latency = 0.1
    return keeper


def quiet(found: Enforced) -> bool:
    return not (found.created or found.updated or found.repaired or found.contested)


async def test_everything_is_made_in_order() -> None:
    keeper = Keeper()

    found = await keeper.keep()

    assert found.created == [ObjectRef.of(manifest) for manifest in keeper.manifests]
    assert list(keeper.cluster.objects) == found.created
    assert list(found.live) == found.created


async def test_an_idle_pass_writes_nothing_and_reads_at_the_same_time(keeper: Keeper) -> None:
    began = asyncio.get_running_loop().time()

    found = await keeper.keep()

    assert quiet(found)
    assert not keeper.cluster.writes
    assert asyncio.get_running_loop().time() - began <= 0.2 + 1e-6


async def test_an_operator_that_restarts_writes_nothing(keeper: Keeper) -> None:
    keeper.memory = AppliedMemory()

    assert quiet(await keeper.keep())
    assert not keeper.cluster.writes


async def test_a_status_that_changes_costs_nothing(keeper: Keeper) -> None:
    keeper.cluster.set_status(SET, {"readyReplicas": 3, "observedGeneration": 1})

    found = await keeper.keep()

    assert found.live[SET]["status"]["readyReplicas"] == 3
    assert not keeper.cluster.writes


async def test_what_somebody_changed_is_repaired_and_told(keeper: Keeper) -> None:
    keeper.cluster.edit(SET, {"spec": {"replicas": 1}})
    keeper.cluster.edit(CONFIG, {"data": {"server.json": "other"}})

    found = await keeper.keep()

    assert found.repaired == [
        "ConfigMap fra-configmap in namespace orrery-fra: data.server.json",
        "StatefulSet fra-statefulset in namespace orrery-fra: spec.replicas",
    ]
    assert keeper.cluster.writes == {"apply": 2}
    assert found.live[SET]["spec"]["replicas"] == 3
    assert quiet(await keeper.keep())


async def test_what_somebody_deleted_is_made_anew(keeper: Keeper) -> None:
    keeper.cluster.remove(CONFIG)

    found = await keeper.keep()

    assert found.created == [CONFIG]
    assert keeper.cluster.writes == {"apply": 1}


async def test_a_changed_manifest_is_an_update_and_no_repair(keeper: Keeper) -> None:
    keeper.manifest("StatefulSet")["spec"]["replicas"] = 5

    found = await keeper.keep()

    assert found.updated == ["StatefulSet fra-statefulset in namespace orrery-fra: spec.replicas"]
    assert not found.repaired
    assert keeper.cluster.writes == {"apply": 1}


async def test_a_field_that_is_not_rendered_any_more_goes(keeper: Keeper) -> None:
    del keeper.manifest("ConfigMap")["data"]["empty"]
    keeper.memory = AppliedMemory()

    found = await keeper.keep()

    assert found.updated == ["ConfigMap fra-configmap in namespace orrery-fra: data.empty"]
    assert "empty" not in keeper.cluster.objects[CONFIG]["data"]
    assert quiet(await keeper.keep())


async def test_what_a_webhook_insists_on_is_told_once_and_not_fought() -> None:
    keeper = Keeper()
    keeper.cluster.mutate = _fewer_replicas

    first = await keeper.keep()
    keeper.cluster.set_status(SET, {"readyReplicas": 1})
    second = await keeper.keep()
    keeper.cluster.set_status(SET, {"readyReplicas": 2})
    third = await keeper.keep()

    assert first.contested == ["StatefulSet fra-statefulset in namespace orrery-fra: spec.replicas"]
    assert quiet(second)
    assert quiet(third)
    assert not keeper.cluster.writes


async def test_what_is_contested_is_applied_again_when_there_is_news() -> None:
    keeper = Keeper()
    keeper.cluster.mutate = _fewer_replicas
    await keeper.keep()

    keeper.cluster.edit(SET, {"spec": {"podManagementPolicy": "OrderedReady"}})
    with pytest.raises(Refused, match="immutable"):
        await keeper.keep()
    keeper.cluster.edit(SET, {"spec": {"podManagementPolicy": "Parallel"}})
    assert quiet(await keeper.keep())
    keeper.cluster.mutate = None
    keeper.manifest("StatefulSet")["spec"]["minReadySeconds"] = 5
    found = await keeper.keep()

    assert keeper.cluster.objects[SET]["spec"]["replicas"] == 3
    assert len(found.updated) == 1
    assert quiet(await keeper.keep())


async def test_an_object_of_somebody_else_is_left_alone_and_the_rest_is_made() -> None:
    keeper = Keeper()
    keeper.cluster.put(a_namespace())
    theirs = a_service()
    theirs["metadata"]["labels"] = {}
    ref = keeper.cluster.put(theirs)
    before = copy.deepcopy(keeper.cluster.objects[ref])

    with pytest.raises(Refused, match=r"Service .* is not Orrery's: delete it, or label it"):
        await keeper.keep()

    assert keeper.cluster.objects[ref] == before
    assert len(keeper.cluster.objects) == len(keeper.manifests)


async def test_a_namespace_of_somebody_else_ends_the_pass() -> None:
    keeper = Keeper()
    keeper.cluster.put(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "orrery-fra"}}
    )

    with pytest.raises(Refused, match=r"Namespace orrery-fra exists and is not Orrery's"):
        await keeper.keep()

    assert not keeper.cluster.writes


async def test_what_is_refused_does_not_keep_the_rest_from_being_mended(keeper: Keeper) -> None:
    keeper.manifest("StatefulSet")["spec"]["podManagementPolicy"] = "OrderedReady"
    keeper.cluster.edit(ObjectRef.of(keeper.manifest("Deployment")), {"spec": {"replicas": 0}})

    with pytest.raises(Refused, match=r"StatefulSet .*podManagementPolicy"):
        await keeper.keep()

    held = keeper.cluster.objects[ObjectRef.of(keeper.manifest("Deployment"))]
    assert held["spec"]["replicas"] == 2


async def test_what_is_being_deleted_is_waited_for(keeper: Keeper) -> None:
    gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    keeper.cluster.edit(SET, gone | {"spec": {"replicas": 0}})

    with pytest.raises(NotYet, match="is being deleted and is made anew when it is gone"):
        await keeper.keep()

    assert not keeper.cluster.writes


async def test_a_dark_cluster_is_said_to_be_unreachable_and_keeps_what_is_known(
    keeper: Keeper,
) -> None:
    keeper.cluster.dark = True
    with pytest.raises(Unreachable):
        await keeper.keep()
    keeper.cluster.dark = False

    assert quiet(await keeper.keep())


async def test_what_is_not_rendered_any_more_is_deleted(keeper: Keeper) -> None:
    wanted = [ObjectRef.of(m) for m in keeper.manifests if m["kind"] != "ConfigMap"]
    foreign = a_manifest("ConfigMap", "theirs")
    foreign["metadata"]["labels"] = {"app": "other"}
    kept = [keeper.cluster.put(foreign), keeper.cluster.put(a_manifest("Secret", "fra-old"))]

    found = await prune_region(keeper.cluster, "orrery-fra", LABELS, wanted)

    assert list(found.going) == [CONFIG]
    assert CONFIG not in keeper.cluster.objects
    assert all(ref in keeper.cluster.objects for ref in kept)
    again = await prune_region(keeper.cluster, "orrery-fra", LABELS, wanted)
    assert not again.going


async def test_a_rendering_that_lost_everything_deletes_nothing(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    before = list(keeper.cluster.objects)

    found = await prune_region(keeper.cluster, "orrery-fra", LABELS, [])

    assert list(keeper.cluster.objects) == before
    assert len(found.held) == len(before) - 1
    assert "not deleted, since it is too much at once: Deployment fra-deployment" in caplog.text


def _fewer_replicas(body: dict[str, Any]) -> None:
    if body["kind"] == "StatefulSet":
        body["spec"] = {**body["spec"], "replicas": 1}
