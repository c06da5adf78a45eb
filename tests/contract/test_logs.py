"""What a task printed: read from its machine, by whoever may."""

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import a_job, group_of

NOBODY = "e0000000-0000-0000-0000-000000000000"
SAYS = {"run_for": "10ms", "stdout_string": "it took 3 ms\n"}


async def ended(nomad: Nomad, config: dict[str, str]) -> str:
    """Run a batch job to its end; return the id of its one allocation."""
    job = a_job(nomad.name(), config=config, Type="batch")
    del group_of(job)["Update"]
    await nomad.register(job)
    await nomad.dead(job["ID"])
    (row,) = await nomad.rows(job["ID"], "allocations")
    return str(row["ID"])


async def test_what_a_task_printed_can_be_read_after_its_end(nomad: Nomad) -> None:
    one = await ended(nomad, SAYS)

    reply = await nomad.get(f"/v1/client/fs/logs/{one}?task=app&type=stdout&plain=true")

    assert reply.said == (200, "it took 3 ms\n")


async def test_silence_is_an_empty_text(nomad: Nomad) -> None:
    one = await ended(nomad, SAYS)

    reply = await nomad.get(f"/v1/client/fs/logs/{one}?task=app&type=stderr&plain=true")

    assert reply.said == (200, "")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("type=stdout", (400, "must provide task name")),
        ("task=app", (400, "must provide log type (stdout/stderr)")),
        ("task=web&type=stdout&plain=true", (400, 'unknown task name "web"')),
    ],
)
async def test_a_bad_question_about_a_log_is_named(
    nomad: Nomad, query: str, said: tuple[int, str]
) -> None:
    one = await ended(nomad, SAYS)

    assert (await nomad.get(f"/v1/client/fs/logs/{one}?{query}")).said == said


async def test_the_log_of_nobody_is_a_404(nomad: Nomad) -> None:
    path = f"/v1/client/fs/logs/{NOBODY}?task=app&type=stdout&plain=true"

    assert (await nomad.get(path)).said == (404, f'Unknown allocation "{NOBODY}"')


async def test_a_task_that_never_ran_has_no_log(nomad: Nomad) -> None:
    one = await ended(nomad, {"start_error": "no such image"})

    reply = await nomad.get(f"/v1/client/fs/logs/{one}?task=app&type=stdout&plain=true")

    assert reply.said == (404, 'task "app" not started yet. No logs available')


async def test_a_log_is_for_those_who_may_read_it(nomad: Nomad) -> None:
    one = await ended(nomad, SAYS)

    reply = await nomad.get(f"/v1/client/fs/logs/{one}?task=app&type=stdout&plain=true", token=None)

    assert reply.said == (403, "Permission denied")
