"""A look at one job: it writes nothing, claims nothing that is not ours, and tells what runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from tests.unit.reconcile.passes import (
    BAD,
    KEY,
    TENANT,
    a_document,
    a_pass,
    index_of,
    leave,
    settled,
)

from orrery.adapters.memory import MemoryNomad
from orrery.api.conditions import Reason
from orrery.planning.protocol import Seen
from orrery.planning.rollup import RegionalState
from orrery.ports import Allocation, JobDeployment, PlacementFailure
from orrery.reconcile.regional import converge
from orrery.reconcile.view import RegionView

ONE_OF_TWO = "1 of 2 instances are healthy, one fails with:"


class Told(MemoryNomad):
    """A region that says of instances what it is told to say."""

    def __init__(self, *statuses: str, message: str = "") -> None:
        super().__init__()
        self.statuses, self.message = statuses, message
        self.failures: dict[str, PlacementFailure] = {}

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        await super().list_allocations(namespace, job_id)
        version = self.versions_of(namespace, job_id) - 1
        return [
            Allocation(f"a{n}", version, status, "run", None, "n1", self.message)
            for n, status in enumerate(self.statuses)
        ]

    async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
        await super().list_deployments(namespace, job_id)
        return ()

    async def placement_failures(
        self, namespace: str, job_id: str
    ) -> Mapping[str, PlacementFailure]:
        await super().placement_failures(namespace, job_id)
        return self.failures if (namespace, job_id) == (TENANT, "shop") else {}


async def look(
    nomad: MemoryNomad, state: RegionalState, view: RegionView | None = None
) -> RegionalState:
    this = a_pass(nomad, None, state)
    this.view = this.view if view is None else view
    seen = await converge(this)
    assert nomad.writes == {}
    assert seen is not None
    return seen


async def test_a_job_that_has_been_taken_away_is_awaited_and_its_index_kept() -> None:
    nomad = MemoryNomad()
    before = replace(await settled(nomad), reason=Reason.UNHEALTHY, message="it was broken")
    view = RegionView("orrery")
    view.note(KEY, await nomad.read_job(TENANT, "shop"))
    nomad.forget(TENANT, "shop")

    assert await look(nomad, before, view) == RegionalState("Pending", 2, 2, "new", before.index)
    assert view.seen(KEY) is None


async def test_a_batch_job_that_ran_to_its_end_may_be_gone() -> None:
    finished = RegionalState("Healthy", 2, 2, "new", 11, batch=True)

    assert await look(MemoryNomad(), finished) == finished


async def test_a_job_that_is_not_ours_any_more_is_nothing_that_we_left() -> None:
    nomad = MemoryNomad()
    before = await settled(nomad)
    nomad.edit(TENANT, "shop", Meta={"owner": "x"})
    view = RegionView("orrery")

    assert await look(nomad, before, view) == replace(before, phase="Pending", index=0)
    assert view.seen(KEY) == Seen(await index_of(nomad), stop=False, ours=False, running=0)


async def test_a_foreign_job_stays_one_when_it_is_looked_at() -> None:
    nomad = MemoryNomad()
    nomad.edit(TENANT, "shop", Meta={"owner": "x"})
    before = RegionalState("Failed", reason=Reason.FOREIGN_JOB, message="not ours")

    assert await look(nomad, before) == before


async def test_a_job_that_somebody_changed_is_judged_after_its_repair() -> None:
    nomad = MemoryNomad()
    before = replace(await settled(nomad), reason=Reason.UNHEALTHY, message="it was broken")
    view = RegionView("orrery")
    view.note(KEY, await nomad.read_job(TENANT, "shop"), running=2)
    nomad.edit(TENANT, "shop", Priority=70)

    assert await look(nomad, before, view) == RegionalState("Updating", 2, 2, "new", before.index)
    assert view.seen(KEY) == Seen(await index_of(nomad), stop=False, ours=True, running=2)


@pytest.mark.parametrize(
    ("digest", "index"),
    [
        pytest.param("new", 0, id="a-register-without-known-outcome"),
        pytest.param("", 5, id="a-digest-that-was-never-known"),
    ],
)
async def test_a_look_does_not_claim_a_job_that_may_be_another_one(digest: str, index: int) -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    view = RegionView("orrery")
    before = RegionalState("Updating", 0, 2, digest, index)

    assert await look(nomad, before, view) == before
    assert view.seen(KEY) == Seen(await index_of(nomad), stop=False, ours=True, running=0)


@pytest.mark.parametrize(
    ("statuses", "said", "expected"),
    [
        pytest.param(["running", "running"], "", ("Healthy", 2, None, None), id="all-run"),
        pytest.param(["pending", "running"], "", ("Updating", 1, None, None), id="one-starts"),
        pytest.param(["running"], "", ("Degraded", 1, Reason.UNHEALTHY, None), id="one-missing"),
        pytest.param(
            ["running", "failed"],
            "exit code 1",
            ("Degraded", 1, Reason.UNHEALTHY, f"{ONE_OF_TWO} exit code 1"),
            id="one-failed",
        ),
        pytest.param(
            ["pending", "running"],
            "pull failed",
            ("Updating", 1, Reason.UNHEALTHY, f"{ONE_OF_TWO} pull failed"),
            id="one-does-not-start",
        ),
    ],
)
async def test_what_instances_do_is_told(
    statuses: list[str], said: str, expected: tuple[object, ...]
) -> None:
    nomad = Told(*statuses, message=said)
    before = await settled(nomad)
    view = RegionView("orrery")

    state = await look(nomad, before, view)

    assert (state.phase, state.ready, state.reason, state.message) == expected
    assert (state.desired, state.index) == (2, before.index)
    alive = len(statuses) - statuses.count("failed")
    assert view.seen(KEY) == Seen(before.index, stop=False, ours=True, running=alive)


async def test_a_batch_job_is_healthy_when_its_instances_are_complete() -> None:
    nomad = Told("complete", "complete")
    document = a_document() | {"Type": "batch"}

    state = await look(nomad, await settled(nomad, document))

    assert (state.phase, state.ready, state.reason) == ("Healthy", 2, None)


@pytest.mark.parametrize(
    ("statuses", "asked"),
    [
        pytest.param([], 1, id="none-there"),
        pytest.param(["running"], 1, id="too-few"),
        pytest.param(["running", "failed"], 1, id="the-ended-do-not-count"),
        pytest.param(["running", "running"], 0, id="enough"),
    ],
)
async def test_only_a_job_with_too_few_instances_is_asked_what_place_they_lack(
    statuses: list[str], asked: int
) -> None:
    nomad = Told(*statuses)
    full = PlacementFailure(evaluated=3, exhausted=3, dimensions={"memory": 3}, constraints={})
    nomad.failures = {"instances": full, "others": full}

    state = await look(nomad, await settled(nomad))

    assert nomad.reads["placement_failures"] == asked
    assert (state.reason is Reason.NO_ROOM) == bool(asked)
    expected = "instances find no place: 3 machines looked at, 3 full (3 out of memory)"
    assert state.message == (expected if asked else None)


async def test_each_lack_is_told_once_and_in_a_stable_order() -> None:
    nomad = Told()
    nomad.failures = {group: PlacementFailure(int(group), int(group), {}, {}) for group in "52436"}

    state = await look(nomad, await settled(nomad))

    lacks = [f"{n} machines looked at, {n} full" for n in range(2, 7)]
    assert state.message == f"instances find no place: {'; '.join(lacks)}"


async def test_instances_that_say_themselves_what_they_lack_are_not_asked_about() -> None:
    nomad = Told("running", "failed", message="exit code 1")

    state = await look(nomad, await settled(nomad))

    assert nomad.reads["placement_failures"] == 0
    assert state.message == f"{ONE_OF_TWO} exit code 1"


async def test_a_rollout_that_failed_is_told_in_the_words_of_nomad() -> None:
    nomad = MemoryNomad()

    state = await look(nomad, await settled(nomad, a_document(BAD)))

    assert (state.phase, state.reason) == ("Failed", Reason.UNHEALTHY)
    assert state.message == "Failed due to unhealthy allocations"


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(a_document(count=0)["TaskGroups"], id="a-count-of-none"),
        pytest.param([{"Name": "instances", "Count": None}], id="no-count"),
        pytest.param(None, id="no-groups"),
    ],
)
async def test_a_job_without_instances_is_healthy_with_none(groups: list[object] | None) -> None:
    nomad = MemoryNomad()

    state = await look(nomad, await settled(nomad, {**a_document(), "TaskGroups": groups}))

    assert (state.phase, state.ready, state.desired) == ("Healthy", 0, 0)


async def test_a_job_that_was_there_before_us_is_judged_and_not_claimed() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")

    assert await look(nomad, RegionalState()) == RegionalState("Healthy", 2, 2)


async def test_a_reverted_job_keeps_its_verdict_and_shows_the_instances_that_run() -> None:
    nomad = Told("running")
    before = await settled(nomad)
    held = replace(before, phase="Failed", reason=Reason.REVERTED, message="Nomad went back")

    assert await look(nomad, held) == replace(held, ready=1, desired=2)
