"""The variable of a job: written before the job, and no version loses an item that it reads."""

from contextlib import suppress
from typing import Any

import pytest
from tests.unit.reconcile.passes import BAD, TENANT, a_document, a_pass, an_assignment, leave

from orrery import names
from orrery.adapters.memory import MemoryNomad
from orrery.api.conditions import Reason
from orrery.errors import Conflict
from orrery.planning.rollup import RegionalState
from orrery.reconcile.regional import Pass, converge

PATH = names.variable_path("shop")
READS = a_document(Templates=[{"DestPath": "secrets/orrery.env"}])
NEXT = a_document("demo:2", Templates=[{"DestPath": "secrets/orrery.env"}])
BOTH = {"env_A": "1", "env_B": "2"}


def items(nomad: MemoryNomad) -> dict[str, str] | None:
    variable = nomad.variables.get((TENANT, PATH))
    return None if variable is None else dict(variable.items)


async def running(nomad: MemoryNomad, document: dict[str, Any] = READS) -> RegionalState:
    """Leave a healthy job that reads two secrets."""
    index = await leave(nomad, "old", document)
    await nomad.write_variable(TENANT, PATH, BOTH, expected_index=0)
    nomad.writes.clear()
    return RegionalState("Healthy", 2, 2, "old", index)


async def converged(
    nomad: MemoryNomad,
    digest: str,
    document: dict[str, Any],
    state: RegionalState,
    *,
    secrets: dict[str, str],
    **facts: Any,
) -> Pass:
    this = a_pass(nomad, an_assignment(digest, document, secrets=secrets), state, **facts)
    await converge(this)
    return this


async def test_secrets_are_there_before_the_job_that_reads_them() -> None:
    class Strict(MemoryNomad):
        """An instance would wait for its template here, for ever."""

        async def register_job(self, document: Any, **keywords: Any) -> None:
            assert items(self) == BOTH
            await super().register_job(document, **keywords)

    nomad = Strict()

    this = await converged(nomad, "new", READS, RegionalState(), secrets=BOTH)

    assert nomad.writes == {"namespace": 1, "variable": 1, "register": 1}
    assert not this.leftovers


async def test_a_job_without_secrets_has_no_variable_and_none_is_read() -> None:
    nomad = MemoryNomad()
    index = await leave(nomad, "old")
    before = RegionalState("Healthy", 2, 2, "old", index)

    this = await converged(nomad, "new", a_document("demo:2"), before, secrets={})

    assert nomad.reads["read_variable"] == 0
    assert nomad.writes == {"register": 1}
    assert (this.leftovers, this.corrected) == (False, False)


async def test_secrets_that_are_as_wanted_are_not_written() -> None:
    nomad = MemoryNomad()
    before = await running(nomad)

    this = await converged(nomad, "old", READS, before, secrets=BOTH)

    assert nomad.writes == {}
    assert not this.leftovers
    assert not this.corrected


@pytest.mark.parametrize("phase", ["Healthy", "Degraded", "Updating"])
async def test_an_item_that_only_the_running_version_reads_outlives_the_register_of_the_next(
    phase: Any,
) -> None:
    nomad = MemoryNomad()
    index = (await running(nomad)).index

    state = RegionalState(phase, 2, 2, "old", index)
    this = await converged(nomad, "new", NEXT, state, secrets={"env_A": "1"})

    assert items(nomad) == BOTH
    assert this.leftovers


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        pytest.param("Healthy", {"env_A": "1"}, id="dropped-once-it-is-healthy"),
        pytest.param("Updating", BOTH, id="kept-while-it-may-be-reverted"),
        pytest.param("Degraded", BOTH, id="kept-while-it-is-ill"),
    ],
)
async def test_an_item_that_nobody_reads_goes_when_the_version_without_it_is_healthy(
    phase: Any, expected: dict[str, str]
) -> None:
    nomad = MemoryNomad()
    index = (await running(nomad, NEXT)).index

    state = RegionalState(phase, 2, 2, "old", index)
    this = await converged(nomad, "old", NEXT, state, secrets={"env_A": "1"})

    assert items(nomad) == expected
    assert this.leftovers == (expected == BOTH)
    assert nomad.writes["register"] == 0


@pytest.mark.parametrize("job", ["gone", "stopped"])
async def test_no_version_is_spared_where_none_runs(job: str) -> None:
    nomad = MemoryNomad()
    state = await running(nomad)
    if job == "gone":
        nomad.forget(TENANT, "shop")
    else:
        nomad.edit(TENANT, "shop", Stop=True)

    this = await converged(nomad, "new", NEXT, state, secrets={"env_A": "1"})

    assert items(nomad) == {"env_A": "1"}
    assert not this.leftovers


@pytest.mark.parametrize(
    ("document", "known"),
    [
        pytest.param(READS, False, id="the-job-reads-it"),
        pytest.param(a_document(), True, id="it-is-remembered"),
    ],
)
async def test_the_variable_goes_with_the_last_secret(
    document: dict[str, Any],
    known: bool,  # noqa: FBT001 - a table
) -> None:
    nomad = MemoryNomad()
    state = await running(nomad, document)

    await converged(nomad, "old", document, state, secrets={}, had_secrets=known)

    assert items(nomad) is None
    assert nomad.writes["variable"] == 1


async def test_a_variable_that_is_gone_already_is_not_deleted() -> None:
    nomad = MemoryNomad()
    state = await running(nomad)
    nomad.variables.clear()

    await converged(nomad, "old", READS, state, secrets={})

    assert nomad.writes == {}


@pytest.mark.parametrize("tasks", [None, []], ids=["null", "empty"])
async def test_a_job_without_tasks_reads_no_secrets(tasks: list[Any] | None) -> None:
    nomad = MemoryNomad()
    state = await running(nomad)
    nomad.edit(TENANT, "shop", TaskGroups=[{"Name": names.TASK_GROUP, "Tasks": tasks}])
    nomad.reads.clear()

    await converged(nomad, "old", a_document(), state, secrets={})

    assert nomad.reads["read_variable"] == 0


@pytest.mark.parametrize("secrets", [{}, {"env_A": "other"}], ids=["delete", "write"])
async def test_a_variable_that_changes_between_look_and_write_is_a_conflict(
    secrets: dict[str, str],
) -> None:
    class Crowded(MemoryNomad):
        """Somebody else writes right after each look."""

        async def read_variable(self, namespace: str, path: str) -> Any:
            seen = await super().read_variable(namespace, path)
            index = seen.modify_index if seen else 0
            await super().write_variable(namespace, path, {"env_A": "theirs"}, expected_index=index)
            return seen

    nomad = Crowded()
    state = await running(nomad)

    with pytest.raises(Conflict):
        await converged(nomad, "old", READS, state, secrets=secrets)

    assert items(nomad) == {"env_A": "theirs"}


@pytest.mark.parametrize(
    ("secrets", "again"),
    [
        pytest.param({**BOTH, "env_A": "right"}, True, id="another-value"),
        pytest.param({**BOTH, "env_C": "3"}, False, id="one-more"),
        pytest.param({"env_A": "1"}, False, id="one-less"),
    ],
)
async def test_only_a_secret_with_another_value_gives_a_failed_version_another_try(
    secrets: dict[str, str],
    again: bool,  # noqa: FBT001 - a table
) -> None:
    nomad = MemoryNomad()
    await running(nomad)
    bad = a_document(BAD, Templates=READS["TaskGroups"][0]["Tasks"][0]["Templates"])
    await leave(nomad, "new", bad)
    state = RegionalState("Failed", 2, 2, "new", 0, Reason.REVERTED, "Nomad went back")

    this = a_pass(nomad, an_assignment("new", bad, secrets=secrets), state)
    with suppress(Conflict):  # The image is as bad as it was.
        await converge(this)

    assert this.corrected == again
    assert nomad.writes["register"] == again
