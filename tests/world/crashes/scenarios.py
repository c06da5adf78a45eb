"""What users do while the operator dies."""

from typing import Any

from tests.builders import a_deployment, a_secret
from tests.fakes.world import World
from tests.world.crashes.runner import MortalWorld, Scenario

from orrery.config import Config

OVERRIDE = {"name": "big", "regions": ["was"], "scaling": {"count": 3}}


def shop(**spec: Any) -> dict[str, Any]:
    """Make the deployment that all scenarios are about: overridden in one region, with a secret."""
    whole = {
        "placement": {"regions": ["fra", "was"]},
        "overrides": [OVERRIDE],
        "env": [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}],
    }
    return a_deployment(**{**whole, **spec})


def with_secret(world: World, value: str = "s3cret") -> None:
    world.hub.secrets["team-a", "keys"] = a_secret("keys", key=value)


async def nothing(world: World) -> None:
    with_secret(world)


async def running(world: World) -> None:
    with_secret(world)
    world.apply(shop())


async def create(world: World) -> None:
    world.apply(shop())


async def change_image(world: World) -> None:
    world.apply(shop(docker={"image": "registry.example/shop:2"}))


async def change_to_a_bad_image(world: World) -> None:
    world.apply(shop(docker={"image": "registry.example/shop:bad"}))


async def change_override(world: World) -> None:
    world.apply(shop(overrides=[{**OVERRIDE, "scaling": {"count": 5}}]))


async def scale(world: World) -> None:
    world.apply(shop(scaling={"count": 4}))


async def rotate_secret(world: World) -> None:
    with_secret(world, "an0ther")
    world.apply(shop(env=[{"name": "KEY2", "secretRef": {"name": "keys", "key": "key"}}]))


async def leave_a_region(world: World) -> None:
    world.apply(shop(placement={"regions": ["fra"]}, overrides=[]))


async def delete(world: World) -> None:
    world.hub.delete(world.key(shop()))


async def dark_and_back(world: World) -> None:
    world.regions["was"].dark = True
    await world.settle(60)
    world.apply(shop(docker={"image": "registry.example/shop:2"}))
    await world.settle(60)
    world.regions["was"].dark = False


async def delete_while_dark(world: World) -> None:
    world.regions["was"].dark = True
    await world.settle(60)
    world.hub.delete(world.key(shop()))
    await world.settle(60)
    world.regions["was"].dark = False


async def delete_and_remember(world: World) -> None:
    world.regions["was"].dark = True
    await world.settle(60)
    world.hub.delete(world.key(shop()))
    await world.settle(400)
    world.regions["was"].dark = False


async def rebuild_the_hub(world: World) -> None:
    assert isinstance(world, MortalWorld)
    await world.wipe_hub()
    await world.settle(30)
    world.apply(shop())


async def edited_by_hand(world: World) -> None:
    job = world.job("fra")
    assert job is not None
    groups = [{**job["TaskGroups"][0], "Count": 7}]
    world.regions["fra"].edit("orrery-team-a", "shop", TaskGroups=groups)


SCENARIOS = (
    Scenario("create", nothing, create),
    Scenario("change-image", running, change_image),
    Scenario("change-to-bad-image", running, change_to_a_bad_image),
    Scenario("change-override", running, change_override),
    Scenario("scale", running, scale),
    Scenario("rotate-secret", running, rotate_secret),
    Scenario("leave-a-region", running, leave_a_region),
    Scenario("delete", running, delete),
    Scenario("region-dark-and-back", running, dark_and_back),
    Scenario("delete-while-dark", running, delete_while_dark),
    Scenario(
        "delete-and-remember",
        running,
        delete_and_remember,
        config=Config(deletion_wait_seconds=120),
    ),
    Scenario("hub-rebuilt", running, rebuild_the_hub),
    Scenario("edited-by-hand", running, edited_by_hand),
)
