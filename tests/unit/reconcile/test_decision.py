"""The decision: what a region says about a job, its note and its rollouts, leads to one step."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.reconcile.passes import BAD, OWNER, TENANT, a_document, index_of, leave

from orrery.adapters.memory import MemoryNomad
from orrery.planning.protocol import Behind, Memory, Register, Reverted, Settled, Step
from orrery.ports import JobDeployment
from orrery.reconcile.decision import decide

DRIFTED = a_document(count=5)


async def next_step(nomad: MemoryNomad, **facts: Any) -> Step:
    """Decide about the job that is there: generation 2 of ``u1`` asks for digest ``new``."""
    asked = {
        "owner": OWNER,
        "document": a_document(),
        "digest": "new",
        "generation": 2,
        "memory": Memory(),
        "uid": "u1",
    }
    return await decide(nomad, await nomad.read_job(TENANT, "shop"), **{**asked, **facts})


async def test_a_job_that_is_gone_is_registered_again_unless_it_had_finished() -> None:
    nomad, left = MemoryNomad(), Memory("new", 5)

    assert await next_step(nomad, memory=left) == Register(0, ("the job was purged",))
    assert await next_step(nomad, memory=left, finished=True) == Settled(5)


async def test_a_job_that_is_equal_and_whose_note_is_older_gets_the_new_note() -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "old")

    assert await next_step(nomad) == Register(index)


@pytest.mark.parametrize(
    "document",
    [pytest.param(a_document(), id="equal"), pytest.param(DRIFTED, id="different")],
)
async def test_a_job_of_a_later_generation_of_the_very_object_is_not_gone_back_on(
    document: dict[str, Any],
) -> None:
    nomad = MemoryNomad()
    await leave(nomad, "newer", generation=3)

    assert await next_step(nomad, document=document) == Behind(3)


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        pytest.param({"generation": 2}, {}, id="the-same-generation"),
        pytest.param({"generation": 3, "uid": "u0"}, {}, id="an-object-of-that-name-before"),
        pytest.param({"generation": 3}, {"uid": ""}, id="not-asked"),
        pytest.param({"generation": 3, "uid": ""}, {"uid": ""}, id="neither-is-known"),
    ],
)
async def test_only_a_later_generation_of_the_very_object_is_ahead(
    left: dict[str, Any], asked: dict[str, Any]
) -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "other", **left)

    assert await next_step(nomad, document=DRIFTED, **asked) == Register(index)


async def reverted(nomad: MemoryNomad, *, generation: int = 2) -> int:
    """Let Nomad go back from what *generation* asked for; return the index it went back to."""
    await leave(nomad, "old")
    await leave(nomad, "new", a_document(BAD), generation=generation)
    return await index_of(nomad)


@pytest.mark.parametrize(
    "document",
    [pytest.param(a_document(BAD), id="different"), pytest.param(a_document(), id="equal")],
)
async def test_what_nomad_went_back_from_is_not_tried_again(document: dict[str, Any]) -> None:
    nomad = MemoryNomad()
    index = await reverted(nomad)

    step = await next_step(nomad, document=document)

    assert isinstance(step, Reverted)
    assert (step.index, step.failed_version) == (index, 1)


@pytest.mark.parametrize(
    "document",
    [pytest.param(a_document(BAD), id="different"), pytest.param(a_document(), id="equal")],
)
@pytest.mark.parametrize(
    ("failed_at", "memory", "again"),
    [
        pytest.param(2, Memory("old", 11), False, id="the-operator-died-after-that-attempt"),
        pytest.param(1, Memory("new", 11), False, id="nothing-else-was-left-there-since"),
        pytest.param(1, Memory("old", 11), True, id="something-else-was-asked-for-in-between"),
    ],
)
async def test_the_same_wish_is_tried_again_only_after_something_else_was_asked_for(
    document: dict[str, Any],
    failed_at: int,
    memory: Memory,
    again: bool,  # noqa: FBT001 - a table
) -> None:
    nomad = MemoryNomad()
    await reverted(nomad, generation=failed_at)

    step = await next_step(nomad, document=document, memory=memory)

    assert isinstance(step, Register if again else Reverted)


async def test_what_failed_before_with_another_wish_is_no_reason_not_to_try() -> None:
    nomad = MemoryNomad()
    index = await reverted(nomad)

    assert await next_step(nomad, document=a_document("demo:3"), digest="third") == Register(index)


async def test_a_failed_version_without_a_note_is_nothing_that_was_asked_for() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    nomad.edit(TENANT, "shop", TaskGroups=a_document(BAD)["TaskGroups"])
    index = await index_of(nomad)

    assert await next_step(nomad, document=a_document(BAD)) == Register(index)


@pytest.mark.parametrize(
    "document",
    [pytest.param(a_document(BAD), id="different"), pytest.param(a_document(), id="equal")],
)
async def test_a_corrected_secret_gives_another_try_and_asks_for_no_rollouts(
    document: dict[str, Any],
) -> None:
    nomad = MemoryNomad()
    index = await reverted(nomad)
    nomad.reads.clear()

    assert await next_step(nomad, document=document, asked_again=True) == Register(index)
    assert nomad.reads["list_deployments"] == 0


async def test_a_failure_of_the_version_that_is_there_now_hides_no_earlier_one() -> None:
    class Unlucky(MemoryNomad):
        """What it went back to fails as well, for a reason of its own."""

        async def list_deployments(self, namespace: str, job_id: str) -> Sequence[JobDeployment]:
            told = await super().list_deployments(namespace, job_id)
            return [JobDeployment("late", 2, "failed", "lost machines", 2, 0, 2), *told]

    nomad = Unlucky()
    index = await reverted(nomad)

    step = await next_step(nomad, document=a_document(BAD))

    assert isinstance(step, Reverted)
    assert (step.index, step.failed_version) == (index, 1)


@pytest.mark.parametrize(
    ("left", "document", "stop", "reads"),
    [
        pytest.param("new", a_document(), False, {"read_submission": 1}, id="as-it-is-wanted"),
        pytest.param(
            "old",
            a_document(),
            False,
            {"read_submission": 1, "list_deployments": 1},
            id="an-older-note",
        ),
        pytest.param(
            "new", DRIFTED, False, {"read_submission": 1, "list_deployments": 1}, id="different"
        ),
        pytest.param(
            "old",
            DRIFTED,
            False,
            {"read_submission": 1, "list_deployments": 1},
            id="different-with-an-older-note",
        ),
        pytest.param("new", DRIFTED, True, {"read_submission": 1}, id="different-and-stopped"),
        pytest.param("old", a_document(), True, {"read_submission": 1}, id="stopped"),
    ],
)
async def test_a_region_is_asked_no_more_than_the_decision_needs(
    left: str,
    document: dict[str, Any],
    stop: bool,  # noqa: FBT001 - a table
    reads: dict[str, int],
) -> None:
    nomad = MemoryNomad()
    await leave(nomad, left)
    if stop:
        nomad.edit(TENANT, "shop", Stop=True)
    nomad.reads.clear()

    await next_step(nomad, document=document)

    assert nomad.reads == {"read_job": 1, **reads}


async def test_a_job_of_somebody_else_is_not_asked_about() -> None:
    nomad = MemoryNomad()
    nomad.edit(TENANT, "shop", Type="service", Meta={"owner": "x"})
    nomad.reads.clear()

    await next_step(nomad)

    assert nomad.reads == {"read_job": 1}
