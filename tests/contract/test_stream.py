"""The event stream: order, topics, resume, what is evicted, who sees what."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.contract.api import Document, Nomad
from tests.contract.jobs import a_job
from tests.lab.polling import PATIENCE, until

SILENCE = 0.7
"""Seconds after which a stream is taken to show nothing: only for what shows nothing at all."""

Events = list[Document]


class Stream:
    """An open event stream."""

    def __init__(self, content: aiohttp.StreamReader, headers: dict[str, str]) -> None:
        self._content = content
        self.headers = headers

    async def line(self, seconds: float = PATIENCE) -> Document | None:
        """Read one line; None when there is none in time, or the stream has ended."""
        try:
            async with asyncio.timeout(seconds):
                line = await self._content.readline()
        except TimeoutError:
            return None
        document: Document | None = json.loads(line) if line else None
        return document

    async def batches(self, enough: Callable[[Events], bool]) -> list[Document]:
        """Read until there are events *enough*; heartbeats are left out."""
        batches: list[Document] = []
        while not enough(events_of(batches)):
            batch = await self.line()
            assert batch is not None, f"the stream has shown no more than {batches}"
            if batch:
                batches.append(batch)
        return batches

    async def events(self, enough: Callable[[Events], bool] = bool) -> Events:
        return events_of(await self.batches(enough))


def events_of(batches: list[Document]) -> Events:
    return [event for batch in batches for event in batch["Events"]]


def tell(topic: str, key: str) -> Callable[[Events], bool]:
    """Be content when an event about *key* has come: what happened before it has come, too."""
    return lambda events: any(
        e["Topic"] == topic and key in {e["Key"], *(e["FilterKeys"] or ())} for e in events
    )


@asynccontextmanager
async def opened(nomad: Nomad, query: str, *, token: str | None = "") -> AsyncIterator[Stream]:
    secret = nomad.token if token == "" else token
    headers = {} if secret is None else {"X-Nomad-Token": secret}
    url = f"{nomad.address}/v1/event/stream?{query}"
    async with nomad.session.get(url, headers=headers) as reply:
        assert reply.status == 200
        yield Stream(reply.content, dict(reply.headers))


async def next_index(nomad: Nomad) -> int:
    """Return an index at which nothing has happened yet."""
    lists = ("jobs", "allocations", "evaluations", "deployments")
    return max([(await nomad.get(f"/v1/{name}?namespace=*")).index for name in lists]) + 1


async def evaluated(nomad: Nomad, job_id: str) -> bool:
    """Tell whether all evaluations of a job have ended: what follows a register is over.

    Some are canceled, where a later one does their work too.
    """
    rows = await nomad.rows(job_id, "evaluations")
    return bool(rows) and all(row["Status"] in {"complete", "canceled"} for row in rows)


async def test_stream_begins_with_a_heartbeat(nomad: Nomad) -> None:
    async with opened(nomad, "namespace=*&index=1000000") as stream:
        first = await stream.line()

    assert first == {}
    assert stream.headers["Content-Type"] == "application/json"
    assert stream.headers["Cache-Control"] == "no-cache"


async def test_a_job_tells_its_life(nomad: Nomad) -> None:
    job_id = nomad.name()
    expected = {
        ("Job", "JobRegistered"),
        ("Evaluation", "JobRegistered"),
        ("Job", "PlanResult"),
        ("Deployment", "PlanResult"),
        ("Allocation", "PlanResult"),
        ("Evaluation", "EvaluationUpdated"),
        ("Allocation", "AllocationUpdated"),
        ("Deployment", "AllocationUpdated"),
    }

    def kinds(events: Events) -> set[tuple[str, str]]:
        return {(e["Topic"], e["Type"]) for e in events if job_id in {e["Key"], *_keys(e)}}

    async with opened(nomad, f"namespace=*&index={await next_index(nomad)}") as stream:
        await stream.line()
        await nomad.register(a_job(job_id))
        batches = await stream.batches(lambda events: expected <= kinds(events))

    assert [batch["Index"] for batch in batches] == sorted(batch["Index"] for batch in batches)
    assert all(e["Index"] == batch["Index"] for batch in batches for e in batch["Events"])


def _keys(event: Document) -> list[str]:
    return event["FilterKeys"] or []


async def test_events_have_these_keys(nomad: Nomad) -> None:
    job_id = nomad.name()
    async with opened(nomad, f"namespace=*&index={await next_index(nomad)}") as stream:
        await stream.line()
        written = await nomad.register(a_job(job_id))
        events = await stream.events(tell("Allocation", job_id))

    deployment = (await nomad.rows(job_id, "deployments"))[0]
    allocation = (await nomad.rows(job_id, "allocations"))[0]
    mine = [e for e in events if job_id in {e["Key"], *_keys(e)}]
    by_topic = {event["Topic"]: event for event in mine}
    registered = next(event for event in mine if event["Type"] == "JobRegistered")
    assert all(
        event.keys() == {"FilterKeys", "Index", "Key", "Namespace", "Payload", "Topic", "Type"}
        for event in events
    )
    assert by_topic["Job"]["Key"] == job_id
    assert by_topic["Job"]["FilterKeys"] is None
    assert by_topic["Job"]["Payload"].keys() == {"Job"}
    assert by_topic["Allocation"]["Key"] == allocation["ID"]
    assert by_topic["Allocation"]["FilterKeys"] == [job_id, deployment["ID"]]
    assert by_topic["Allocation"]["Payload"]["Allocation"]["JobID"] == job_id
    assert by_topic["Deployment"]["FilterKeys"] == [job_id]
    assert by_topic["Deployment"]["Payload"]["Deployment"]["ID"] == deployment["ID"]
    assert by_topic["Evaluation"]["Payload"]["Evaluation"]["JobID"] == job_id
    assert by_topic["Evaluation"]["FilterKeys"][0] == job_id
    assert registered["Index"] == written["Index"]


async def test_job_payload_is_the_job(nomad: Nomad) -> None:
    job_id = nomad.name()
    async with opened(nomad, f"topic=Job&index={await next_index(nomad)}") as stream:
        await stream.line()
        written = await nomad.register(a_job(job_id, count=0, Meta={"k": "v"}))
        event = (await stream.events())[0]

    payload = event["Payload"]["Job"]
    assert (event["Type"], event["Key"]) == ("JobRegistered", job_id)
    assert payload["JobModifyIndex"] == written["JobModifyIndex"]
    assert payload["Meta"] == {"k": "v"}
    assert payload.keys() == (await nomad.job(job_id)).keys()


async def test_purge_is_told(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id, count=0))
    async with opened(nomad, f"topic=Job&index={await next_index(nomad)}") as stream:
        await stream.line()
        await nomad.delete(f"/v1/job/{job_id}?purge=true")
        events = await stream.events(lambda es: any(e["Type"] == "JobDeregistered" for e in es))

    gone = events[-1]
    assert gone["Key"] == job_id
    assert gone["Payload"].keys() == {"Deleted", "Job"}


@pytest.mark.parametrize("topics", [("Job",), ("Job", "Deployment")])
async def test_topics_choose(nomad: Nomad, topics: tuple[str, ...]) -> None:
    query = f"namespace=*&index={await next_index(nomad)}&topic={'&topic='.join(topics)}"
    async with opened(nomad, query) as stream:
        await nomad.register(a_job(nomad.name()))
        await nomad.running(nomad.name(), 0, 1)
        await nomad.register(a_job(nomad.name("last"), count=0))
        events = await stream.events(tell("Job", nomad.name("last")))

    assert {event["Topic"] for event in events} == set(topics)


async def test_topic_that_there_is_not_shows_nothing(nomad: Nomad) -> None:
    query = f"namespace=*&index={await next_index(nomad)}&topic=Nope"
    async with opened(nomad, query) as stream:
        await stream.line()
        await nomad.register(a_job(nomad.name(), count=0))
        line = await stream.line(SILENCE)

    assert not line


async def test_key_of_a_topic_chooses(nomad: Nomad) -> None:
    one, other = nomad.name("one"), nomad.name("two")
    query = f"topic=Job:{one}&topic=Evaluation:{one}&index={await next_index(nomad)}"
    async with opened(nomad, query) as stream:
        await nomad.register(a_job(other, count=0))
        await nomad.register(a_job(one, count=0))
        events = await stream.events(tell("Evaluation", one))

    assert {e["Key"] for e in events if e["Topic"] == "Job"} == {one}
    assert {e["FilterKeys"][0] for e in events if e["Topic"] == "Evaluation"} == {one}


async def test_namespace_chooses(nomad: Nomad) -> None:
    namespace = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": namespace})
    query = f"namespace={namespace}&topic=Job&index={await next_index(nomad)}"
    async with opened(nomad, query) as stream:
        await nomad.register(a_job("x", count=0))
        await nomad.register(a_job("x", count=0, Namespace=namespace))
        events = await stream.events()

    assert {event["Namespace"] for event in events} == {namespace}


async def test_namespace_created_later_is_not_seen(nomad: Nomad) -> None:
    namespace = nomad.name("late")
    query = f"namespace=*&topic=Job&index={await next_index(nomad)}"
    async with opened(nomad, query) as stream:
        await stream.line()
        await nomad.put("/v1/namespace", {"Name": namespace})
        await nomad.register(a_job("x", count=0, Namespace=namespace))
        await nomad.register(a_job(nomad.name(), count=0))
        events = await stream.events(tell("Job", nomad.name()))

    assert namespace not in {event["Namespace"] for event in events}


async def test_resume_begins_at_the_index_that_is_asked_for(nomad: Nomad) -> None:
    job_id = nomad.name()
    index = await next_index(nomad)
    for number in range(3):
        last = (await nomad.register(a_job(job_id, count=0, Meta={"n": str(number)})))["Index"]

    def complete(events: Events) -> bool:
        return any(event["Index"] == last for event in events)

    async with opened(nomad, f"topic=Job:{job_id}&index={index}") as stream:
        everything = [batch["Index"] for batch in await stream.batches(complete)]

    middle = everything[1]
    async with opened(nomad, f"topic=Job:{job_id}&index={middle}") as stream:
        resumed = [batch["Index"] for batch in await stream.batches(complete)]

    assert resumed == [one for one in everything if one >= middle]


async def test_index_zero_begins_with_the_oldest_that_is_left(nomad: Nomad) -> None:
    job_id = nomad.name()
    await nomad.register(a_job(job_id, count=0))

    async with opened(nomad, f"topic=Job:{job_id}") as stream:
        events = await stream.events()

    assert events[0]["Type"] == "JobRegistered"


async def test_index_of_the_future_begins_now(nomad: Nomad) -> None:
    job_id = nomad.name()
    async with opened(nomad, f"topic=Job:{job_id}&index=1000000") as stream:
        await stream.line()
        await nomad.register(a_job(job_id, count=0))
        events = await stream.events()

    assert events[0]["Type"] == "JobRegistered"


async def test_evicted_events_are_skipped_in_silence(nomad: Nomad) -> None:
    """The buffer holds some 100 batches: an old index begins later, and nothing tells."""
    job_id = nomad.name()
    index = await next_index(nomad)
    for number in range(60):
        await nomad.register(a_job(job_id, count=0, Meta={"n": str(number)}))
    await until(lambda: evaluated(nomad, job_id))

    last = nomad.name("last")
    await nomad.register(a_job(last, count=0))
    async with opened(nomad, f"namespace=*&index={index}") as stream:
        batches = await stream.batches(tell("Job", last))

    assert batches[0]["Index"] > index
    assert len(batches) <= 110


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("index=x", 'Unable to parse index: strconv.Atoi: parsing "x": invalid syntax'),
        (
            "topic=Job:a:b",
            (
                "Invalid topic query: error parsing topics:"
                " Invalid key value pair for topic, topic: Job:a:b"
            ),
        ),
    ],
)
async def test_bad_questions_are_worded(nomad: Nomad, query: str, words: str) -> None:
    assert (await nomad.get(f"/v1/event/stream?{query}")).said == (400, words)


@pytest.mark.parametrize("token", [None, "e0000000-0000-0000-0000-000000000000"])
async def test_denied_stream_is_a_200_that_says_nothing(nomad: Nomad, token: str | None) -> None:
    async with opened(nomad, "topic=Job", token=token) as stream:
        await nomad.register(a_job(nomad.name(), count=0))
        line = await stream.line(SILENCE)

    assert line is None
