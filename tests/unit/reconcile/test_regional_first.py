"""The first register of all: nothing is read before it, and nothing is overwritten unseen."""

import pytest
from tests.unit.reconcile.passes import (
    KEY,
    TENANT,
    a_document,
    a_pass,
    an_assignment,
    index_of,
    leave,
)

from orrery.adapters.memory import MemoryNomad
from orrery.errors import Conflict
from orrery.planning.rollup import RegionalState
from orrery.ports import Key
from orrery.reconcile.regional import converge
from orrery.reconcile.view import RegionView


@pytest.mark.parametrize(
    ("listed", "tried", "secrets", "reads"),
    [
        pytest.param(True, (), {}, 1, id="never-heard-of"),
        pytest.param(True, (), {"env_A": "1"}, 2, id="with-secrets-which-are-for-no-stranger"),
        pytest.param(False, (), {}, 2, id="before-the-first-list"),
        pytest.param(True, (KEY,), {}, 2, id="after-an-attempt"),
    ],
)
async def test_only_a_job_that_was_never_heard_of_is_registered_without_a_look(
    listed: bool,  # noqa: FBT001 - a table
    tried: tuple[Key, ...],
    secrets: dict[str, str],
    reads: int,
) -> None:
    nomad = MemoryNomad()
    view = RegionView("orrery", listed=listed, tried=set(tried))

    await converge(a_pass(nomad, an_assignment("new", secrets=secrets), view=view))

    assert nomad.reads["read_job"] == reads, "one is that after the register"


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(RegionalState(digest="old"), id="a-digest"),
        pytest.param(RegionalState(index=5), id="an-index"),
    ],
)
async def test_a_job_of_which_anything_is_remembered_is_looked_at(state: RegionalState) -> None:
    nomad = MemoryNomad()
    view = RegionView("orrery", listed=True)

    await converge(a_pass(nomad, an_assignment("new"), state, view=view))

    assert nomad.reads["read_job"] == 2


async def test_a_job_that_may_have_had_secrets_or_is_listed_is_looked_at() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    view = RegionView("orrery", listed=True)
    assert not a_pass(nomad, view=view, had_secrets=True).is_first

    view.note(KEY, await nomad.read_job(TENANT, "shop"))

    assert not a_pass(nomad, view=view).is_first


async def test_a_job_that_is_there_all_the_same_is_not_overwritten_unseen() -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "old")
    this = a_pass(
        nomad, an_assignment("new", a_document("demo:2")), view=RegionView("orrery", listed=True)
    )

    with pytest.raises(Conflict):
        await converge(this)

    assert await index_of(nomad) == index
    assert this.view.tried == {KEY}
    await converge(this)
    assert nomad.writes["register"] == 1
