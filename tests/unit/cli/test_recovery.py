"""What is recovered is what was applied: the regions' jobs are adopted as they are."""

from typing import Any

import pytest
import yaml
from tests.builders import a_deployment
from tests.fakes.world import World, a_world

from orrery.cli.recover import write
from orrery.cli.recovery import recover, search
from orrery.names import META_INSTALL
from orrery.ports import Submission

pytestmark = pytest.mark.looptime(noop_cycles=0)

SPEC: dict[str, Any] = {
    "placement": {"regions": ["fra", "was"]},
    "overrides": [{"name": "big", "regions": ["was"], "scaling": {"count": 3}}],
}


async def found(world: World) -> list[Any]:
    jobs = []
    for name, nomad in world.regions.items():
        jobs += await search(nomad, name, install="orrery")
    return jobs


async def test_a_lost_hub_is_recovered_without_a_new_version_of_any_job() -> None:
    async with a_world(["fra", "was"]) as world:
        manifest = a_deployment(**SPEC)
        key = world.apply(manifest)
        await world.until(lambda: world.is_ready(key))
        world.hub.objects.pop(key)
        await world.restart_operator()
        await world.settle(30)
        world.forget_counts()

        (recovered,) = recover(await found(world)).manifests
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

        result = recover(await found(world))

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

        result = recover(await found(world))

        assert [m["metadata"]["name"] for m in result.manifests] == ["shop"]
        assert result.remarks == [
            "team-a/mute: its job in fra carries no spec, that region tells nothing"
        ]


async def test_a_file_for_each_deployment(tmp_path: Any) -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))

        write(recover(await found(world)), tmp_path / "out")

        text = (tmp_path / "out" / "team-a.shop.yaml").read_text()
        assert yaml.safe_load(text) == a_deployment()
