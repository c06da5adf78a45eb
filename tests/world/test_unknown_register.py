"""A register whose outcome is not known is not taken for one that arrived."""

from dataclasses import replace

import pytest
from tests.builders import a_deployment
from tests.fakes.world import INSTALL, TENANT, a_world

from orrery.planning.protocol import Owner
from orrery.planning.rollup import RegionalState
from orrery.reconcile.regional import Pass, converge

pytestmark = pytest.mark.looptime(noop_cycles=0)


async def asked_in_vain(_generation: int) -> bool:
    raise AssertionError("nothing is to be overwritten")


async def test_a_look_at_the_job_does_not_claim_what_was_only_tried() -> None:
    async with a_world(["fra"]) as world:
        key = world.apply(a_deployment())
        await world.until(lambda: world.is_ready(key))
        member = world.controller._fleet.member("fra")
        state = world.controller._fleet.state("fra", key)
        assert member
        assert member.actor
        assert state

        tried = replace(state, phase="Updating", digest="0123456789abcdef", index=0)
        looked = await converge(
            Pass(
                key=key,
                region="fra",
                nomad=world.regions["fra"],
                view=member.actor.view,
                state=tried,
                assignment=None,
                owner=Owner(INSTALL, key.namespace, key.name),
                namespace=TENANT,
                may_stop=lambda: True,
                is_current=asked_in_vain,
                was_held=False,
                had_secrets=False,
            )
        )

        assert isinstance(looked, RegionalState)
        assert (looked.phase, looked.index) == ("Updating", 0)
