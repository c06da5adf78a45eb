"""A continent's cluster: one suite for the cluster in memory and for a real API server."""

import copy
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.manifests import (
    a_config_map,
    a_control_plane,
    a_manifest,
    a_namespace,
    a_network_policy,
    a_service,
    a_stateful_set,
)
from tests.integration.clusters import InMemory, Lab, OnServer
from tests.unit.render.region.blueprints import a_blueprint

from orrery.adapters.kube import HubConnection, HubSource, KubeClusterFactory
from orrery.adapters.memory import MemoryCluster
from orrery.errors import Conflict, Refused
from orrery.names import region_labels
from orrery.planning.manifests import differs, is_foreign, left_over
from orrery.ports import ClusterAccess, ObjectRef
from orrery.reconcile.manifests import AppliedMemory, enforce, prune_region
from orrery.render.region import render_region

LABELS = region_labels("orrery", "fra")


@pytest.fixture
def access(kubeconfig: Path) -> ClusterAccess:
    """The way of an administrator, as a Secret holds it."""
    return ClusterAccess(kubeconfig.read_text())


@pytest_asyncio.fixture(params=["memory", "real"])
async def lab(
    request: pytest.FixtureRequest, access: ClusterAccess, connection: HubConnection
) -> AsyncIterator[Lab]:
    """A cluster with an empty namespace of our own."""
    name = f"orrery-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]}"
    if request.param == "memory":
        memory = MemoryCluster()
        found = Lab(memory, InMemory(memory), name)
    else:
        cluster = KubeClusterFactory(HubSource()).connect(access)
        found = Lab(cluster, OnServer(connection), name)
    await found.cluster.apply(found.our(a_namespace()))
    yield found
    await found.cluster.close()


async def test_the_version_is_told(lab: Lab) -> None:
    assert (await lab.cluster.version()).startswith("v1.")


@pytest.mark.parametrize("manifest", a_control_plane(), ids=lambda manifest: manifest["kind"])
async def test_what_is_applied_is_there_and_differs_in_nothing(
    lab: Lab, manifest: dict[str, Any]
) -> None:
    ours = lab.our(manifest)

    applied = await lab.cluster.apply(ours)

    assert (differs(ours, applied), left_over(ours, applied)) == ([], [])
    assert not is_foreign(ours, applied)
    assert await lab.cluster.read(ObjectRef.of(ours)) == applied


async def test_applying_the_same_again_changes_nothing(lab: Lab) -> None:
    for ours in lab.ours(a_control_plane()):
        if ours["kind"] == "NetworkPolicy":
            del ours["spec"]["egress"]  # Each apply of an empty list is a write (Kubernetes 1.34).
        first = await lab.cluster.apply(ours)

        assert await lab.cluster.apply(ours) == first


async def test_a_changed_spec_has_another_generation_and_a_changed_label_has_not(lab: Lab) -> None:
    ours = lab.our(a_stateful_set())
    first = await lab.cluster.apply(ours)

    labelled = copy.deepcopy(ours)
    labelled["metadata"]["labels"]["more"] = "yes"
    second = await lab.cluster.apply(labelled)
    labelled["spec"]["replicas"] = 5
    third = await lab.cluster.apply(labelled)

    generations = [each["metadata"]["generation"] for each in (first, second, third)]
    versions = {each["metadata"]["resourceVersion"] for each in (first, second, third)}
    assert generations == [1, 1, 2]
    assert len(versions) == 3


async def test_a_status_is_no_drift_and_has_no_generation(lab: Lab) -> None:
    ours = lab.our(a_service())
    ref = ObjectRef.of(ours)
    await lab.cluster.apply(ours)

    await lab.others.set_status(ref, {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}})

    assert await lab.has(ref, lambda found: found["status"]["loadBalancer"]["ingress"][0]["ip"])
    assert await lab.has(ref, lambda found: differs(ours, found)) == []


async def test_what_does_not_exist_is_none(lab: Lab) -> None:
    assert await lab.cluster.read(ObjectRef("v1", "Secret", lab.namespace, "nothing")) is None
    assert await lab.cluster.read(ObjectRef("v1", "Secret", "nowhere", "nothing")) is None


async def test_a_field_that_is_not_wanted_any_more_is_taken_away_and_those_of_others_stay(
    lab: Lab,
) -> None:
    ours = lab.our(a_stateful_set())
    ref = ObjectRef.of(ours)
    await lab.cluster.apply(ours)
    await lab.others.edit(ref, {"metadata": {"annotations": {"theirs": "stays"}}})
    fewer = copy.deepcopy(ours)
    container = fewer["spec"]["template"]["spec"]["containers"][0]
    del container["readinessProbe"]
    del container["env"][0]
    place = "spec.template.spec.containers[nomad]"

    gone = [f"{place}.env[AMOUNT]", f"{place}.readinessProbe"]
    assert await lab.has(ref, lambda live: left_over(fewer, live)) == gone
    assert await lab.has(ref, lambda live: differs(fewer, live)) == []

    after = await lab.cluster.apply(fewer)

    assert left_over(fewer, after) == []
    live = after["spec"]["template"]["spec"]["containers"][0]
    assert "readinessProbe" not in live
    assert [each["name"] for each in live["env"]] == ["NOTHING", "POD_IP"]
    assert after["metadata"]["annotations"]["theirs"] == "stays"


async def test_fields_that_others_took_over_are_taken_back(lab: Lab) -> None:
    ours = lab.our(a_stateful_set())
    ref = ObjectRef.of(ours)
    await lab.cluster.apply(ours)

    await lab.others.edit(ref, {"spec": {"replicas": 1}, "metadata": {"labels": {"more": "x"}}})

    assert await lab.has(ref, lambda live: differs(ours, live)) == ["spec.replicas"]
    after = await lab.cluster.apply(ours)
    assert after["spec"]["replicas"] == 3
    assert after["metadata"]["labels"]["more"] == "x"


async def test_a_rule_that_somebody_adds_to_a_policy_is_drift_and_goes(lab: Lab) -> None:
    ours = lab.our(a_network_policy())
    ref = ObjectRef.of(ours)
    await lab.cluster.apply(ours)

    await lab.others.edit(ref, {"spec": {"ingress": [*ours["spec"]["ingress"], {}]}})

    assert await lab.has(ref, lambda live: differs(ours, live)) == ["spec.ingress[2]"]
    assert differs(ours, await lab.cluster.apply(ours)) == []


async def test_an_object_is_created_once_and_left_as_it_is(lab: Lab) -> None:
    secret = lab.our(a_manifest("Secret", data={"token": "MQ=="}))

    assert await lab.cluster.create(secret)
    assert not await lab.cluster.create({**secret, "data": {"token": "Mg=="}})

    ref = ObjectRef.of(secret)
    assert await lab.has(ref, lambda found: found["data"]) == {"token": "MQ=="}


async def test_the_very_object_is_deleted_and_no_other(lab: Lab) -> None:
    ours = lab.our(a_config_map())
    ref = ObjectRef.of(ours)
    uid = (await lab.cluster.apply(ours))["metadata"]["uid"]

    with pytest.raises(Conflict):
        await lab.cluster.delete(ref, "00000000-0000-0000-0000-000000000000")
    assert await lab.cluster.read(ref) is not None
    await lab.cluster.delete(ref, uid)
    await lab.cluster.delete(ref, uid)

    assert await lab.cluster.read(ref) is None


async def test_a_list_has_what_carries_all_labels_in_one_namespace(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orrery.adapters.kube.cluster.PAGE", "2")
    for number in range(5):
        await lab.cluster.apply(lab.our(a_manifest("ConfigMap", f"ours-{number}")))
    other = lab.our(a_manifest("ConfigMap", "theirs"))
    other["metadata"]["labels"] = {**LABELS, "orrery.dev/region": "par"}
    await lab.cluster.apply(other)

    found = await lab.cluster.list_labelled("v1", "ConfigMap", lab.namespace, LABELS)

    assert [ObjectRef.of(body).name for body in found] == [f"ours-{number}" for number in range(5)]
    assert await lab.cluster.list_labelled("v1", "ConfigMap", "nowhere", LABELS) == []


async def test_an_apply_that_names_another_state_of_the_object_is_a_conflict(lab: Lab) -> None:
    ours = lab.our(a_config_map())

    async def apply(**identity: str) -> Any:
        metadata = {**ours["metadata"], **identity}
        return await lab.cluster.apply({**ours, "metadata": metadata})

    with pytest.raises(Conflict):
        await apply(uid="uid-of-another")
    made = (await lab.cluster.apply(ours))["metadata"]
    changed = await lab.cluster.apply({**ours, "data": {"server.json": "2"}})
    with pytest.raises(Conflict):
        await apply(uid=made["uid"], resourceVersion=made["resourceVersion"])
    with pytest.raises(Conflict):
        await apply(uid="uid-of-another", resourceVersion=made["resourceVersion"])
    with pytest.raises(Refused, match="field is immutable"):
        await apply(uid="uid-of-another")
    assert await lab.cluster.read(ObjectRef.of(ours)) == changed

    version = changed["metadata"]["resourceVersion"]
    written = await apply(uid=made["uid"], resourceVersion=version)

    assert written["metadata"]["uid"] == made["uid"]
    assert written["data"] == ours["data"]
    assert not left_over(ours, await lab.cluster.apply(ours))


@pytest.mark.parametrize(
    ("manifest", "field"),
    [(a_stateful_set(), "podManagementPolicy"), (a_control_plane()[9], "template")],
    ids=["StatefulSet", "Job"],
)
async def test_what_can_never_change_is_refused(
    lab: Lab, manifest: dict[str, Any], field: str
) -> None:
    ours = lab.our(manifest)
    await lab.cluster.apply(ours)
    changed = copy.deepcopy(ours)
    if field == "template":
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    else:
        changed["spec"][field] = "OrderedReady"

    with pytest.raises(Refused, match=ours["metadata"]["name"]):
        await lab.cluster.apply(changed)

    assert await lab.has(ObjectRef.of(ours), lambda live: differs(ours, live)) == []


async def test_nothing_is_made_in_a_namespace_that_is_not_there(lab: Lab) -> None:
    stray = a_config_map()
    stray["metadata"]["namespace"] = "nowhere"

    with pytest.raises(Refused, match=r'namespaces "nowhere" not found'):
        await lab.cluster.apply(stray)
    with pytest.raises(Refused, match=r'namespaces "nowhere" not found'):
        await lab.cluster.create(stray)


async def test_whose_an_object_is_shows_in_its_labels_and_in_who_applied_it(lab: Lab) -> None:
    ours, theirs = lab.our(a_config_map()), lab.our(a_manifest("ConfigMap", "theirs"))
    await lab.cluster.apply(ours)
    await lab.others.edit(ObjectRef.of(ours), {"metadata": {"labels": None}})
    await lab.others.put({**theirs, "metadata": {"name": "theirs", "namespace": lab.namespace}})

    assert not await lab.has(ObjectRef.of(ours), lambda live: is_foreign(ours, live))
    assert await lab.has(ObjectRef.of(theirs), lambda live: is_foreign(theirs, live))


async def test_a_control_plane_is_made_kept_and_cleared_away(lab: Lab) -> None:
    manifests, memory = lab.ours(a_control_plane()), AppliedMemory()

    made = await enforce(lab.cluster, manifests, previous=memory)
    again = await enforce(lab.cluster, manifests, previous=memory)

    assert made.created == [ObjectRef.of(manifest) for manifest in manifests[1:]]
    assert (made.updated, made.repaired, made.contested) == ([], [], [])
    assert (again.created, again.updated, again.repaired, again.contested) == ([], [], [], [])
    assert again.live | made.live == again.live

    fewer = [ObjectRef.of(manifest) for manifest in manifests[:-1]]
    pruned = await prune_region(lab.cluster, lab.namespace, LABELS, fewer)

    assert list(pruned.going) == [ObjectRef.of(manifests[-1])]
    assert await lab.cluster.read(ObjectRef.of(manifests[-1])) is None
    assert await lab.cluster.read(fewer[-1]) is not None


async def test_what_is_rendered_for_a_region_stays_as_it_was_applied(lab: Lab) -> None:
    rendered = [manifest for layer in render_region(a_blueprint()) for manifest in layer.manifests]
    manifests, memory = lab.ours(rendered), AppliedMemory()

    made = await enforce(lab.cluster, manifests, previous=memory)
    again = await enforce(lab.cluster, manifests, previous=AppliedMemory())

    assert (made.repaired, made.contested) == ([], [])
    assert (again.created, again.updated, again.contested) == ([], [], [])
