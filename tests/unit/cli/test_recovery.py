"""What is recovered is what was applied: the regions' jobs are adopted as they are."""

from typing import Any

import pytest
from tests.builders import a_deployment
from tests.fakes.world import World, a_world

from orrery.cli.recovery import Found, Told, recover, search
from orrery.names import META_INSTALL
from orrery.planning.placement import RegionCandidate
from orrery.ports import Submission
from orrery.render.submission import SubmissionNote

pytestmark = pytest.mark.looptime(noop_cycles=0)

SPEC: dict[str, Any] = {
    "placement": {"regions": ["fra", "was"]},
    "overrides": [{"name": "big", "regions": ["was"], "scaling": {"count": 3}}],
}
WHICH = "which were asked and"
MARCH = 1_772_323_200 * 10**9
"""2026-03-01, in Nomad's nanoseconds."""


async def told(world: World, install: str = "orrery") -> list[Told]:
    return [
        await search(nomad, RegionCandidate(name, "eu"), install=install)
        for name, nomad in world.regions.items()
    ]


def a_job(
    region: str,
    *,
    generation: int = 1,
    uid: str = "a",
    submitted: int = 0,
    name: str = "shop",
    **spec: Any,
) -> Found:
    whole = a_deployment(name, **spec)["spec"]
    note = SubmissionNote(1, "orrery", "team-a", name, generation, "r", "d", whole, uid)
    return Found(region, "team-a", name, note, submitted)


def a_region_that_says(region: str, *jobs: Found, continent: str = "eu", **others: int) -> Told:
    return Told(RegionCandidate(region, continent), jobs, others)


async def test_a_lost_hub_is_recovered_without_a_new_version_of_any_job() -> None:
    async with a_world(["fra", "was"]) as world:
        manifest = a_deployment(**SPEC)
        key = world.apply(manifest)
        await world.until(lambda: world.is_ready(key))
        world.hub.objects.pop(key)
        await world.restart_operator()
        await world.settle(30)
        world.forget_counts()

        (recovered,) = recover(await told(world)).manifests
        assert recovered == manifest
        again = world.apply(recovered)
        await world.until(lambda: world.is_ready(again))

        assert world.registers() == {"fra": 0, "was": 0}


async def test_the_newest_generation_wins_and_the_difference_is_told() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment(**SPEC))
        await world.until(lambda: world.is_ready(key))
        world.regions["was"].dark = True
        await world.settle(60)
        newer = a_deployment(**SPEC, docker={"image": "registry.example/shop:2"})
        world.apply(newer)
        await world.settle(60)
        world.regions["was"].dark = False

        result = recover(await told(world))

        assert result.manifests == [newer]
        assert result.remarks == [
            "team-a/shop: generation 2 in fra, 1 in was; the newest is written"
        ]


async def test_what_is_not_ours_is_left_out_and_what_tells_nothing_is_told() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        fra = world.regions["fra"]
        job = world.job("fra")
        assert job is not None
        fra.edit("orrery-team-b", "theirs", Meta={META_INSTALL: "other"})
        meta = {**job["Meta"], "orrery_name": "mute"}
        await fra.register_job(
            {**job, "ID": "mute", "Meta": meta},
            expected_index=0,
            submission=Submission("{}"),
        )

        result = recover(await told(world))

        assert [m["metadata"]["name"] for m in result.manifests] == ["shop"]
        assert result.remarks == [
            "team-a/mute: its job in fra carries no spec, that region tells nothing"
        ]


async def test_a_placement_that_shrank_comes_back_whole_and_that_is_told() -> None:
    async with a_world(["fra", "par", "sfo"]) as world:
        wide = a_deployment("dk", placement={"regions": ["fra", "par", "sfo"]})
        key = world.apply(wide)
        await world.until(lambda: world.is_ready(key))
        world.apply(a_deployment("dk", placement={"regions": ["fra"]}))
        await world.until(lambda: world.job("sfo", "dk") is None and world.is_ready(key))
        await world.settle(30)

        result = recover(await told(world))

        assert result.manifests == [wide]
        assert result.remarks == [
            "team-a/dk: its placement names par and sfo, which were asked and run nothing of it"
        ]


async def test_a_placement_that_was_made_smaller_once_more_writes_nothing() -> None:
    async with a_world(["fra", "par"]) as world:
        narrow = a_deployment("dk", placement={"regions": ["fra"]})
        key = world.apply(a_deployment("dk", placement={"regions": ["fra", "par"]}))
        await world.until(lambda: world.is_ready(key))
        world.apply(narrow)
        await world.until(lambda: world.job("par", "dk") is None and world.is_ready(key))
        world.hub.objects.pop(key)
        await world.restart_operator()
        await world.settle(30)
        world.forget_counts()

        (recovered,) = recover(await told(world)).manifests
        recovered["spec"]["placement"]["regions"].remove("par")
        assert recovered == narrow
        again = world.apply(recovered)
        await world.until(lambda: world.is_ready(again))

        assert world.registers() == {"fra": 0, "par": 0}


@pytest.mark.parametrize(
    ("placement", "remark"),
    [
        pytest.param(
            {"regions": ["fra", "par"]},
            ["team-a/shop: its placement names par, which was asked and runs nothing of it"],
            id="one",
        ),
        pytest.param({"regions": ["fra", "tyo"]}, [], id="one-that-was-not-asked"),
        pytest.param(
            {"continents": ["eu"]},
            ["team-a/shop: its placement selects par, which was asked and runs nothing of it"],
            id="by-continent",
        ),
        pytest.param(
            {},
            [f"team-a/shop: its placement selects par, sfo and was, {WHICH} run nothing of it"],
            id="everywhere",
        ),
        pytest.param(
            {"regions": ["was"]},
            [
                "team-a/shop: its placement names was, which was asked and runs nothing of it",
                "team-a/shop: its placement leaves out fra, which was asked and runs it",
            ],
            id="elsewhere",
        ),
        pytest.param({"nonsense": True}, [], id="of-another-orrery"),
    ],
)
def test_where_a_placement_and_the_regions_differ(
    placement: dict[str, Any], remark: list[str]
) -> None:
    asked = [
        a_region_that_says("fra", a_job("fra", placement=placement)),
        a_region_that_says("par"),
        a_region_that_says("sfo", continent="na"),
        a_region_that_says("was", continent="na"),
    ]

    assert recover(asked).remarks == remark


def test_of_two_objects_the_one_whose_job_was_registered_last_wins() -> None:
    old = a_job("sfo", uid="old", generation=7, submitted=MARCH, scaling={"count": 7})
    new = a_job("fra", uid="new", generation=2, submitted=MARCH + 60 * 10**9, scaling={"count": 2})

    result = recover([a_region_that_says("sfo", old), a_region_that_says("fra", new)])

    (manifest,) = result.manifests
    assert manifest["spec"]["scaling"] == {"count": 2}
    (remark,) = result.remarks
    assert remark == (
        "team-a/shop: the regions tell of 2 objects of that name: generation 2, last registered at"
        " 2026-03-01 00:01:00 UTC, in fra; generation 7, last registered at 2026-03-01 00:00:00"
        " UTC, in sfo. The one of fra is written, its job was registered last"
    )


def test_of_one_object_the_newest_generation_wins_whatever_was_registered_last() -> None:
    repaired = a_job("sfo", generation=1, submitted=MARCH + 1, scaling={"count": 1})
    newer = a_job("fra", generation=2, submitted=MARCH, scaling={"count": 2})

    result = recover([a_region_that_says("sfo", repaired), a_region_that_says("fra", newer)])

    assert result.manifests[0]["spec"]["scaling"] == {"count": 2}


def test_of_two_objects_without_a_time_the_choice_is_called_a_guess() -> None:
    one = a_job("sfo", uid="old", generation=7, scaling={"count": 7})
    other = a_job("fra", uid="new", generation=2, submitted=MARCH, scaling={"count": 2})

    result = recover([a_region_that_says("sfo", one), a_region_that_says("fra", other)])

    assert result.manifests[0]["spec"]["scaling"] == {"count": 7}
    (remark,) = result.remarks
    assert remark.endswith(
        "generation 2, last registered at 2026-03-01 00:00:00 UTC, in fra. The one of sfo is"
        " written for its generation, which may be wrong: when all were registered is not known,"
        " so compare them"
    )


async def test_jobs_of_other_installations_are_counted_by_their_id() -> None:
    async with a_world(["fra", "was"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["fra"].edit("other-team-b", "forged", Meta={META_INSTALL: "other"})

        result = recover(await told(world, install="wrong"))

        assert result.manifests == []
        (remark,) = result.remarks
        assert remark == (
            'installation "orrery" has 2 jobs in fra, was, left out here: --install orrery recovers'
            " them"
        )


async def test_the_time_of_a_registration_is_read_where_nomad_tells_it() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        world.regions["fra"].edit("orrery-team-a", "shop", SubmitTime=MARCH)

        (fra,) = await told(world)

        assert [job.submitted for job in fra.jobs] == [MARCH]
