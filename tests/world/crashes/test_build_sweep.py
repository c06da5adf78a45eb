"""The operator dies at any write while it builds a region: the same region is there in the end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import looptime
import pytest
from tests.builders import a_managed_region
from tests.fakes.europe import FRA
from tests.fakes.mortal import Fate, Ledger
from tests.world.crashes.plans import FULL
from tests.world.crashes.test_teardown_sweep import MortalEurope

from orrery.ports import Kind

STRIDE = 1 if FULL else 9
"""Every so many writes of a build is tried, unless all of them are."""


@dataclass(frozen=True)
class Built:
    """What is there once a region is open and nothing is written any more."""

    objects: Mapping[str, Any]
    """By name: the spec of each object of the cluster; of a Secret or ConfigMap its keys."""
    created: Mapping[str, int]
    """How often each object was created that is made only once."""
    hub: set[str]
    writes: int
    deaths: int


def built(number: int, fate: Fate | None) -> Built:
    """Build a region; the process dies at write *number*."""

    async def run() -> Built:
        world = MortalEurope(Ledger({number: fate} if fate else {}))
        world.hub.objects.pop(FRA)
        await world.controller.start()
        await world.quiet()
        world.ledger.counting = True
        world.hub.apply(Kind.REGION, a_managed_region("fra", deletionPolicy="Teardown"))
        await world.until(lambda: world.status(FRA).get("phase") == "Open", within=900)
        await world.quiet()
        done = Built(
            objects={str(ref): _held(body) for ref, body in world.cluster.objects.items()},
            created={
                write: count for write, count in world.ledger.applied.items() if " create " in write
            },
            hub={str(key) for key in world.hub.objects} | {name for _, name in world.hub.secrets},
            writes=len(world.ledger.sent),
            deaths=world.deaths,
        )
        await world.end()
        return done

    with asyncio.Runner(loop_factory=partial(looptime.new_event_loop, noop_cycles=0)) as runner:
        return runner.run(run())


def _held(body: Mapping[str, Any]) -> Any:
    """Tell what must be the same in each run; keys and what depends on them are not."""
    if body["kind"] in {"Secret", "ConfigMap"}:
        return sorted(body.get("data", ()))
    spec = dict(body.get("spec", ()))
    spec.pop("template", None)  # It holds digests of the certificates.
    return spec


@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("fate", [Fate.KILLED_BEFORE, Fate.KILLED_UNTOLD, Fate.KILLED_AFTER])
def test_any_write_of_a_build_may_be_the_last_one(fate: Fate) -> None:
    undisturbed = built(0, None)
    assert undisturbed.created

    for number in range(1, undisturbed.writes + 1, STRIDE):
        found = built(number, fate)

        told = f"write {number} of {undisturbed.writes}"
        assert found.deaths == 1, told
        assert found.objects == undisturbed.objects, told
        assert found.hub == undisturbed.hub, told
        assert found.created == undisturbed.created, told
