"""A dry run decides by the operator's own write protocol, and writes nothing."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery import names
from orrery.adapters.memory import MemoryNomad
from orrery.cli.changes import Change
from orrery.cli.dryrun import Action, Outcome, Wanted, ask_region, ask_regions, grouped
from orrery.errors import Refused
from orrery.planning.protocol import Memory, Owner
from orrery.ports import Document, PlacementFailure, PlanResult, Submission
from orrery.render.digest import job_digest
from orrery.render.submission import SubmissionNote

OWNER = Owner("orrery", "team-a", "shop")
TENANT = "orrery-team-a"
NOTHING_KNOWN = Memory()


def a_job(count: int = 1, *, image: str = "shop:1", **fields: Any) -> dict[str, Any]:
    task = {"Name": "app", "Config": {"image": image}}
    return {
        "ID": "shop",
        "Namespace": TENANT,
        "Type": "service",
        "Meta": names.job_meta("orrery", "team-a", "shop"),
        "TaskGroups": [{"Name": "instances", "Count": count, "Tasks": [task]}],
        **fields,
    }


def wanting(job: Mapping[str, Any] | None, *, memory: Memory = NOTHING_KNOWN) -> Wanted:
    digest = job_digest(job) if job else ""
    return Wanted(OWNER, TENANT, job, digest, memory)


async def a_region(job: Mapping[str, Any] | None = None) -> MemoryNomad:
    nomad = MemoryNomad("fra")
    nomad.namespaces.add(TENANT)
    if job is not None:
        await nomad.register_job(job, expected_index=0, submission=Submission("{}"))
    nomad.writes.clear()
    return nomad


async def test_missing_job_is_created() -> None:
    outcome = await ask_region(await a_region(), wanting(a_job()))

    assert outcome.action is Action.CREATE


async def test_job_that_is_as_wanted_is_left_alone() -> None:
    outcome = await ask_region(await a_region(a_job()), wanting(a_job()))

    assert outcome == Outcome(Action.NOTHING)


async def test_job_that_differs_is_updated() -> None:
    outcome = await ask_region(await a_region(a_job(1)), wanting(a_job(3)))

    assert outcome.action is Action.UPDATE


async def test_job_of_somebody_else_is_left_alone() -> None:
    outcome = await ask_region(await a_region(a_job(Meta={})), wanting(a_job()))

    assert outcome.action is Action.BLOCKED
    assert outcome.notes == (
        'a job "shop" is there and is not managed by Orrery; it is left alone',
    )


async def test_job_that_is_no_longer_wanted_is_stopped() -> None:
    outcome = await ask_region(await a_region(a_job()), wanting(None))

    assert outcome.action is Action.STOP


@pytest.mark.parametrize("job", [None, a_job(Stop=True), a_job(Meta={})])
async def test_nothing_of_ours_is_nothing_to_stop(job: dict[str, Any] | None) -> None:
    outcome = await ask_region(await a_region(job), wanting(None))

    assert outcome.action is Action.NOTHING


async def test_content_that_failed_before_is_not_tried_again() -> None:
    bad = a_job(image="shop:bad")
    nomad = await a_region(a_job())
    index = (await nomad.list_jobs()).jobs[0].job_modify_index
    note = SubmissionNote(1, "orrery", "team-a", "shop", 1, "r", job_digest(bad), {})
    await nomad.register_job(bad, expected_index=index, submission=_submission(note))

    outcome = await ask_region(nomad, wanting(bad, memory=Memory(job_digest(bad), index)))

    assert outcome.action is Action.BLOCKED
    assert "failed, and Nomad went back" in outcome.notes[0]


async def test_first_job_of_a_tenant_is_planned_in_another_namespace() -> None:
    nomad = Answering(PlanResult(0, {"Type": "Added"}, {"place": 1}, {}, ""))

    outcome = await ask_region(nomad, wanting(a_job()))

    assert outcome == Outcome(Action.CREATE, instances=(("place", 1),))
    (asked,) = nomad.asked
    assert asked["Namespace"] == "default"
    assert asked["ID"].startswith("orrery-plan-")


async def test_refusal_of_the_stand_in_leaves_room_unknown() -> None:
    outcome = await ask_region(Answering(Refused("JobRefused", "no")), wanting(a_job()))

    assert outcome.action is Action.CREATE
    assert outcome.notes == ("whether there is room is not known: no",)


async def test_refusal_is_shown_in_nomads_words() -> None:
    nomad = Answering(Refused("JobRefused", "Nomad refuses: missing driver"))
    nomad.namespaces.add(TENANT)

    outcome = await ask_region(nomad, wanting(a_job()))

    assert outcome == Outcome(Action.BLOCKED, notes=("Nomad refuses: missing driver",))


async def test_full_region_says_what_is_full() -> None:
    failure = PlacementFailure(
        evaluated=5, exhausted=3, dimensions={"memory": 2, "cpu": 1}, constraints={"driver": 2}
    )
    plan = PlanResult(0, {"Type": "Added"}, {"place": 1, "ignore": 4}, {"instances": failure}, "")

    outcome = await ask_region(Answering(plan), wanting(a_job()))

    assert outcome.no_room == (
        "5 machines looked at, 3 full (1 out of cpu, 2 out of memory), 2 unfit (2 by driver)",
    )


async def test_dark_region_is_named_and_delays_no_other() -> None:
    light, dark = await a_region(), await a_region()
    dark.dark = True

    outcomes = await ask_regions(
        {"fra": light, "par": dark}, {"fra": wanting(a_job()), "par": wanting(a_job())}
    )

    assert outcomes["fra"].action is Action.CREATE
    assert outcomes["par"].action is Action.LATER


@pytest.mark.parametrize(
    ("job", "memory", "expected", "note"),
    [
        pytest.param(
            a_job(),
            Memory(),
            Action.LATER,
            "will be brought to this spec when it answers",
            id="nothing-is-remembered",
        ),
        pytest.param(
            a_job(),
            Memory("another", 7),
            Action.LATER,
            "will be brought to this spec when it answers",
            id="something-else-was-left-there",
        ),
        pytest.param(
            a_job(),
            Memory(job_digest(a_job()), 7),
            Action.UNREACHABLE,
            "this spec was the last that it was asked to run",
            id="just-this-was-left-there",
        ),
        pytest.param(
            None,
            Memory("another", 7),
            Action.LATER,
            "its job will be stopped when it answers",
            id="a-job-to-be-stopped",
        ),
        pytest.param(
            None,
            Memory(),
            Action.UNREACHABLE,
            "whether a job of ours is there is not known",
            id="perhaps-a-job-to-be-stopped",
        ),
    ],
)
async def test_what_becomes_of_a_dark_region_is_judged_by_what_was_left_there(
    job: dict[str, Any] | None, memory: Memory, expected: Action, note: str
) -> None:
    dark = await a_region()
    dark.dark = True

    outcome = await ask_region(dark, wanting(job, memory=memory))

    assert outcome == Outcome(expected, notes=(note, "the region's Nomad does not answer"))


async def test_replaced_instances_are_counted_in_all() -> None:
    job = a_job(3)
    job["TaskGroups"][0]["Update"] = {"MaxParallel": 1}
    nomad = Answering(PlanResult(7, {"Type": "Edited"}, {"destructive": 1, "ignore": 2}, {}, ""))
    nomad.namespaces.add(TENANT)

    outcome = await ask_region(nomad, wanting(job))

    assert (outcome.instances, outcome.at_a_time) == ((("destructive", 3),), 1)


async def test_all_regions_are_asked_at_once() -> None:
    together = asyncio.Barrier(3)
    regions = {name: Waiting(together) for name in ("fra", "par", "was")}

    async with asyncio.timeout(5):
        outcomes = await ask_regions(regions, dict.fromkeys(regions, wanting(a_job())))

    assert outcomes.keys() == regions.keys()


@pytest.mark.parametrize("wanted", [None, a_job(), a_job(5, image="shop:2")])
async def test_nothing_is_written(wanted: dict[str, Any] | None) -> None:
    nomad = await a_region(a_job())

    await ask_region(nomad, wanting(wanted))

    assert not nomad.writes


OUTCOMES = st.builds(
    Outcome,
    action=st.sampled_from(Action),
    changes=st.sampled_from([(), (Change("scaling.count", "1", "2"),)]),
    instances=st.sampled_from([(), (("place", 1),)]),
)


@given(st.dictionaries(st.text(min_size=1, max_size=4), OUTCOMES, max_size=30))
def test_groups_hold_every_region_once_and_equals_only(outcomes: dict[str, Outcome]) -> None:
    groups = grouped(outcomes)

    assert sorted(r for _, regions in groups for r in regions) == sorted(outcomes)
    assert len({outcome for outcome, _ in groups}) == len(groups)
    assert all(outcomes[region] == outcome for outcome, regions in groups for region in regions)


def test_changes_stand_before_what_stays() -> None:
    groups = grouped(
        {
            "a": Outcome(Action.NOTHING),
            "b": Outcome(Action.UPDATE),
            "c": Outcome(Action.UPDATE),
            "d": Outcome(Action.UPDATE, instances=(("stop", 1),)),
        }
    )

    assert [regions for _, regions in groups] == [("b", "c"), ("d",), ("a",)]


class Answering(MemoryNomad):
    """A region that answers every plan alike."""

    def __init__(self, answer: PlanResult | Refused) -> None:
        super().__init__("fra")
        self.asked: list[Document] = []
        self._answer = answer

    async def plan_job(self, document: Document) -> PlanResult:
        self.asked.append(document)
        if isinstance(self._answer, Refused):
            raise self._answer
        return self._answer


class Waiting(MemoryNomad):
    """A region that answers once all others have been asked, too."""

    def __init__(self, together: asyncio.Barrier) -> None:
        super().__init__()
        self._together = together

    async def list_namespaces(self) -> frozenset[str]:
        await self._together.wait()
        return await super().list_namespaces()


def _submission(note: SubmissionNote) -> Submission:
    fields = {"orrery": note.template, "install": note.install, "namespace": note.namespace}
    fields |= {"name": note.name, "generation": note.generation, "revision": note.revision}
    return Submission(orjson.dumps({**fields, "digest": note.digest, "spec": {}}).decode())
