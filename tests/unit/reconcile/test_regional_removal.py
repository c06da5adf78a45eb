"""Removing a job: stop, wait for its instances, purge; never somebody else's, never too many."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.reconcile.passes import KEY, OWNER, TENANT, a_note, a_pass, index_of, leave

from orrery import names
from orrery.adapters.memory import MemoryNomad
from orrery.api.conditions import Reason
from orrery.api.region import Tombstone
from orrery.errors import Conflict, NotYet
from orrery.planning.rollup import RegionalState
from orrery.ports import Allocation, Submission
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.regional import Pass, converge

PATH = names.variable_path("shop")
ILL = RegionalState("Degraded", 1, 2, "old", 11, Reason.UNHEALTHY, "exit code 1")


class Lingering(MemoryNomad):
    """A region whose instances take their time to end."""

    def __init__(self, *statuses: str) -> None:
        super().__init__()
        self.statuses = statuses

    async def list_allocations(self, namespace: str, job_id: str) -> Sequence[Allocation]:
        if self.job(namespace, job_id) is None:
            return ()
        return [
            Allocation(f"a{n}", 0, status, "stop", None, "n1")
            for n, status in enumerate(self.statuses)
        ]


def a_tombstone(*, uid: str = "gone", revision: str = "", index: int = 0) -> Tombstone:
    return Tombstone(
        namespace="team-a",
        name="shop",
        uid=uid,
        revision=revision,
        index=index,
        time="2026-01-01T00:00:00Z",
    )


def a_removal(nomad: MemoryNomad, *tombstones: Tombstone, **facts: Any) -> Pass:
    return a_pass(nomad, Assignment(OWNER, tombstones=tombstones), ILL, **facts)


async def wait(this: Pass) -> NotYet:
    """Remove, as far as that goes now."""
    with pytest.raises(NotYet) as caught:
        await converge(this)
    return caught.value


async def test_a_running_job_is_stopped_with_its_note_and_no_word_of_what_was_wrong() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    this = a_removal(nomad)

    told = await wait(this)

    job = nomad.job(TENANT, "shop")
    assert job is not None
    assert job["Stop"] is True
    assert nomad.writes == {"register": 1}
    assert await nomad.read_submission(TENANT, "shop", 1) == a_note("old")
    assert this.state == RegionalState("Stopping", digest="old")
    assert (told.reason, told.retry_after) == (Reason.DELETING, 1)
    assert told.message == "fra: waiting for the instances to end"


async def test_a_job_without_a_note_is_stopped_with_an_empty_one() -> None:
    nomad = MemoryNomad()
    nomad.edit(TENANT, "shop", Namespace=TENANT, Meta=names.job_meta("orrery", "team-a", "shop"))
    nomad.namespaces.add(TENANT)

    await wait(a_removal(nomad))

    assert await nomad.read_submission(TENANT, "shop", 1) == Submission("{}")


@pytest.mark.parametrize(
    ("statuses", "running"),
    [
        pytest.param(["running", "pending", "complete"], 2, id="some-run"),
        pytest.param(["unknown"], 1, id="one-is-on-a-lost-machine"),
        pytest.param(["complete", "failed", "lost"], 0, id="all-have-ended"),
    ],
)
async def test_a_stopped_job_is_purged_when_its_instances_have_ended_and_not_before(
    statuses: list[str], running: int
) -> None:
    nomad = Lingering(*statuses)
    await leave(nomad, "old")
    nomad.edit(TENANT, "shop", Stop=True)
    this = a_removal(nomad)

    told = await wait(this)

    assert (nomad.job(TENANT, "shop") is not None) == bool(running)
    assert nomad.writes == ({} if running else {"purge": 1})
    assert this.state == RegionalState("Stopping", running, 0, "old")
    assert told.reason == Reason.DELETING


async def test_the_secrets_go_after_the_job_and_then_nothing_is_left() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    await nomad.write_variable(TENANT, PATH, {"env_A": "1"}, expected_index=0)
    this = a_removal(nomad)
    this.view.note(KEY, await nomad.read_job(TENANT, "shop"))

    await wait(this)
    await wait(this)
    assert nomad.variables
    assert await converge(this) is None

    assert not nomad.variables
    assert this.view.seen(KEY) is None
    assert await converge(this) is None


async def test_secrets_that_somebody_writes_meanwhile_are_not_deleted_unseen() -> None:
    class Crowded(MemoryNomad):
        """Somebody else writes right after each look."""

        async def read_variable(self, namespace: str, path: str) -> Any:
            seen = await super().read_variable(namespace, path)
            index = seen.modify_index if seen else 0
            await super().write_variable(namespace, path, {"env_A": "2"}, expected_index=index)
            return seen

    nomad = Crowded()
    nomad.namespaces.add(TENANT)
    await nomad.write_variable(TENANT, PATH, {"env_A": "1"}, expected_index=0)

    with pytest.raises(Conflict):
        await converge(a_removal(nomad))


async def test_nothing_is_asked_for_in_a_namespace_that_is_not_there() -> None:
    nomad = MemoryNomad()

    assert await converge(a_removal(nomad)) is None
    assert nomad.reads["read_variable"] == 0


async def test_a_job_of_somebody_else_and_its_secrets_are_left_alone() -> None:
    nomad = MemoryNomad()
    nomad.namespaces.add(TENANT)
    nomad.edit(TENANT, "shop", Meta={"owner": "x"})
    await nomad.write_variable(TENANT, PATH, {"theirs": "1"}, expected_index=0)
    nomad.writes.clear()
    this = a_removal(nomad)

    assert await converge(this) is None

    assert nomad.writes == {}
    seen = this.view.seen(KEY)
    assert seen is not None
    assert not seen.ours


async def test_a_stop_that_is_one_of_too_many_is_held_and_says_so() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    this = a_removal(nomad, may_stop=lambda: False)

    told = await wait(this)

    text = "more jobs than usual are to be stopped, none is until it is allowed"
    assert nomad.writes == {}
    assert (told.reason, told.message) == (Reason.STOPS_HELD, f"fra: {text}")
    assert told.retry_after == 60
    assert (this.state.reason, this.state.message) == (Reason.STOPS_HELD, text)


@pytest.mark.parametrize(
    ("tombstone", "stops"),
    [
        pytest.param({"uid": "u1"}, True, id="the-very-object-left-it"),
        pytest.param({"revision": "old"}, True, id="as-it-was-left"),
        pytest.param({"uid": "u0", "revision": "older", "index": 1}, False, id="of-another-one"),
    ],
)
async def test_a_tombstone_stops_the_job_that_its_object_left_and_no_other(
    tombstone: dict[str, Any],
    stops: bool,  # noqa: FBT001 - a table
) -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old", uid="u1")
    this = a_removal(nomad, a_tombstone(**tombstone))

    if stops:
        await wait(this)
    else:
        assert await converge(this) is None

    assert nomad.writes["register"] == stops


@pytest.mark.parametrize("moved", [False, True], ids=["as-it-was-left", "changed-since"])
async def test_a_tombstone_knows_a_job_without_a_note_by_its_index(
    moved: bool,  # noqa: FBT001 - a table
) -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    nomad.edit(TENANT, "shop", Priority=70)
    index = await index_of(nomad)
    if moved:
        nomad.edit(TENANT, "shop", Priority=80)
    this = a_removal(nomad, a_tombstone(index=index))

    if moved:
        assert await converge(this) is None
    else:
        await wait(this)

    assert nomad.writes["register"] == (not moved)
