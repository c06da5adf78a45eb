"""One pass over one job: what is read before a write, what is written, what is remembered."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.reconcile.passes import (
    BAD,
    KEY,
    TENANT,
    a_document,
    a_note,
    a_pass,
    an_assignment,
    index_of,
    leave,
    settled,
)

from orrery.adapters.memory import MemoryNomad
from orrery.api.conditions import Reason
from orrery.errors import Conflict, OutcomeUnknown
from orrery.planning.rollup import RegionalState
from orrery.ports import Submission
from orrery.reconcile.regional import Pass, converge

SECOND = a_document("demo:2")


async def test_the_first_register_creates_the_namespace_and_remembers_where_it_left_the_job() -> (
    None
):
    class Named(MemoryNomad):
        """Keeps what a namespace is said to be for."""

        async def create_namespace(self, name: str, description: str) -> None:
            await super().create_namespace(name, description)
            described.append((name, description))

    described: list[tuple[str, str]] = []
    nomad = Named()
    this = a_pass(nomad, an_assignment("new"))

    state = await converge(this)

    assert nomad.writes == {"namespace": 1, "register": 1}
    assert described == [(TENANT, "Namespace team-a of Orrery installation orrery")]
    assert await nomad.read_submission(TENANT, "shop", 0) == a_note("new")
    assert state == RegionalState("Updating", 0, 2, "new", await index_of(nomad))
    assert this.view.namespaces == {TENANT, "default"}
    assert this.view.namespaces_unsure is False
    assert this.view.tried == set()


async def test_a_namespace_whose_creation_has_no_known_outcome_is_looked_for() -> None:
    nomad = MemoryNomad()
    nomad.lose_replies = 1
    this = a_pass(nomad, an_assignment("new"))
    with pytest.raises(OutcomeUnknown):
        await converge(this)

    again = a_pass(nomad, an_assignment("new"), view=this.view)
    await converge(again)
    await converge(again)

    assert nomad.writes == {"namespace": 1, "register": 1}
    assert nomad.reads["list_namespaces"] == 1
    assert this.view.namespaces_unsure is False


async def test_a_register_without_known_outcome_is_remembered_as_an_attempt_only() -> None:
    nomad = MemoryNomad()
    before = replace(await settled(nomad), digest="old")
    nomad.lose_replies = 1
    this = a_pass(nomad, an_assignment("new", SECOND), before)

    with pytest.raises(OutcomeUnknown):
        await converge(this)

    assert (this.state.phase, this.state.digest, this.state.index) == ("Updating", "new", 0)
    assert this.view.tried == {KEY}
    assert not this.registered


async def test_a_job_that_is_already_as_it_is_wanted_is_taken_over_without_a_write() -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "new")
    this = a_pass(nomad, an_assignment("new"))
    this.view.tried.add(KEY)

    state = await converge(this)

    assert nomad.writes == {}
    assert state == RegionalState("Healthy", 2, 2, "new", index)
    assert this.view.tried == set()


async def test_what_ran_to_its_end_stays_finished_when_nomad_has_forgotten_it() -> None:
    nomad = MemoryNomad()
    nomad.namespaces.add(TENANT)
    finished = RegionalState("Healthy", 2, 2, "new", 11, batch=True)
    wanted = an_assignment("new", job_type="batch")

    state = await converge(a_pass(nomad, wanted, finished))
    again = await converge(a_pass(nomad, wanted, state))

    assert state == again == finished
    assert nomad.writes == {}


async def test_a_repair_is_told_and_keeps_the_number_of_running_instances_in_view() -> None:
    nomad = MemoryNomad()
    before = await settled(nomad)
    nomad.edit(TENANT, "shop", Priority=70, TaskGroups=a_document(count=5)["TaskGroups"])
    this = a_pass(nomad, an_assignment("new"), before)
    this.view.note(KEY, await nomad.read_job(TENANT, "shop"), running=5)

    state = await converge(this)

    seen = this.view.seen(KEY)
    assert seen is not None
    assert (seen.index, seen.running) == (await index_of(nomad), 5)
    assert this.repaired == ("TaskGroups[instances].Count: 2 -> 5",)
    assert state is not None
    assert (state.phase, state.index) == ("Updating", seen.index)


async def test_a_job_that_is_another_one_just_after_its_register_is_a_conflict() -> None:
    class Crowded(MemoryNomad):
        """Somebody else is quick."""

        async def register_job(self, document: Any, **keywords: Any) -> None:
            await super().register_job(document, **keywords)
            self.edit(TENANT, "shop", TaskGroups=a_document(count=9)["TaskGroups"])

    nomad = Crowded()
    nomad.namespaces.add(TENANT)
    this = a_pass(nomad, an_assignment("new"))

    with pytest.raises(Conflict) as caught:
        await converge(this)

    assert caught.value.reason == "JobChanged"
    assert caught.value.message == "the job is another one just after its register"
    assert (this.state.index, this.view.tried) == (0, {KEY})


async def test_a_job_that_is_gone_just_after_its_register_is_a_conflict() -> None:
    class Sweeping(MemoryNomad):
        """Somebody else tidies up."""

        async def register_job(self, document: Any, **keywords: Any) -> None:
            await super().register_job(document, **keywords)
            self.forget(TENANT, "shop")

    this = a_pass(Sweeping(), an_assignment("new"))

    with pytest.raises(Conflict):
        await converge(this)

    assert (this.state.index, this.registered) == (0, False)


async def ahead(nomad: MemoryNomad) -> tuple[int, Pass]:
    """Leave the job of a later generation, and begin a pass that speaks of an earlier one."""
    index = await leave(nomad, "newer", SECOND, generation=3)
    return index, a_pass(nomad, an_assignment("new", generation=2))


async def test_a_job_of_a_later_generation_is_not_overwritten_by_one_who_is_behind() -> None:
    async def outdated(_generation: int) -> bool:
        return False

    nomad = MemoryNomad()
    index, this = await ahead(nomad)
    this.is_current = outdated

    with pytest.raises(Conflict) as caught:
        await converge(this)

    assert caught.value.reason == "ObjectChanged"
    assert caught.value.message == "the object changed after the watch told of it"
    assert nomad.writes == {}
    assert await index_of(nomad) == index


async def test_a_job_of_a_later_generation_is_overwritten_when_the_hub_itself_went_back() -> None:
    async def current(generation: int) -> bool:
        asked.append(generation)
        return True

    asked: list[int] = []
    nomad = MemoryNomad()
    _, this = await ahead(nomad)
    this.is_current = current

    state = await converge(this)

    assert asked == [2]
    assert nomad.writes == {"register": 1}
    assert state is not None
    assert (state.digest, state.index) == ("new", await index_of(nomad))


async def test_what_nomad_went_back_from_fails_and_says_why() -> None:
    nomad = MemoryNomad()
    await leave(nomad, "old")
    await leave(nomad, "new", a_document(BAD))
    this = a_pass(nomad, an_assignment("new", a_document(BAD)))

    state = await converge(this)

    assert nomad.writes == {}
    assert state == RegionalState(
        "Failed",
        2,
        2,
        "new",
        await index_of(nomad),
        Reason.REVERTED,
        "Nomad went back to the version before: version 1 failed: "
        "Failed due to unhealthy allocations - rolling back to job version 0",
    )


@pytest.mark.parametrize(
    "document", [pytest.param(SECOND, id="another-one"), pytest.param(a_document(), id="the-same")]
)
async def test_what_was_wrong_with_the_version_before_is_forgotten_with_it(
    document: dict[str, Any],
) -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "new")
    before = RegionalState("Failed", 2, 2, "bad", index, Reason.REVERTED, "Nomad went back")

    state = await converge(a_pass(nomad, an_assignment("new", document), before))

    assert state is not None
    assert (state.digest, state.reason, state.message) == ("new", None, None)
    assert state.phase in {"Updating", "Healthy"}


async def test_a_job_of_somebody_else_is_left_alone_and_whose_it_is_is_told() -> None:
    nomad = MemoryNomad()
    nomad.namespaces.add(TENANT)
    nomad.edit(TENANT, "shop", Type="service", Meta={"owner": "x"})
    nomad.reads.clear()

    state = await converge(a_pass(nomad, an_assignment("new", secrets={"env_KEY": "s3cret"})))

    assert nomad.writes == {}
    assert nomad.variables == {}
    assert state == RegionalState(
        "Failed",
        reason=Reason.FOREIGN_JOB,
        message='a job "shop" exists in Nomad namespace "orrery-team-a" and is not managed by '
        "Orrery; it is left alone",
    )
    assert nomad.reads == {"read_job": 1}


async def test_a_job_without_a_note_is_registered_with_an_empty_one() -> None:
    nomad = MemoryNomad()
    nomad.namespaces.add(TENANT)

    await converge(a_pass(nomad, replace(an_assignment("new"), submission=None)))

    assert await nomad.read_submission(TENANT, "shop", 0) == Submission("{}")
