"""Orrery's own token in a Managed region: it does all, and the management token next to nothing."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.builders import a_deployment, a_managed_region
from tests.fakes.europe import FRA, Europe, europe

from orrery.adapters.memory.acl import Acl
from orrery.planning.nomadrights import as_json, run_time_rules
from orrery.ports import AclToken

pytestmark = pytest.mark.looptime(noop_cycles=0)

NAME = "orrery-run-time"
FOR_MANAGERS = {
    "create_namespace",
    "create_token",
    "list_tokens",
    "read_policy",
    "read_token",
    "revoke_token",
    "write_policy",
}


def bootstrapped(eu: Europe) -> bool:
    return any(ref.name == "fra-bootstrap-token" for ref in eu.cluster.objects)


@asynccontextmanager
async def guarded_europe() -> AsyncIterator[tuple[Europe, Acl]]:
    """Run a region whose Nomad asks everybody for a token, until it is open."""
    async with europe() as eu:
        acl = eu.world.regions["fra"].acl
        acl.enforced = True
        eu.world.apply(a_managed_region("fra"))
        await eu.world.until(lambda: bootstrapped(eu))
        held = eu.cluster.objects[eu.caretaker.find("Secret", "fra-bootstrap-token")]["data"]
        acl.management = base64.b64decode(held["token"]).decode()
        await eu.opened()
        await eu.world.settle(20)
        yield eu, acl


def run_time(acl: Acl) -> list[AclToken]:
    return [token for token in acl.tokens.values() if token.name == NAME]


def rotated(value: str) -> dict[str, object]:
    region = a_managed_region("fra")
    region["metadata"]["annotations"] = {"orrery.dev/rotate-token": value}
    return region


async def test_the_management_token_does_what_takes_one_and_nothing_else() -> None:
    async with guarded_europe() as (eu, acl):
        key = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(key))
        (token,) = run_time(acl)

        managed = {call for secret, call in acl.used if secret == acl.management}
        own = {call for secret, call in acl.used if secret == token.secret}
        assert managed - FOR_MANAGERS <= {"agent"}, "asked once, before there is another token"
        assert acl.used[acl.management, "agent"] <= 1
        assert {"register_job", "list_jobs", "list_nodes"} <= own
        assert not own & FOR_MANAGERS
        assert acl.policies[NAME] == as_json(run_time_rules("orrery", joins=True))


async def test_a_policy_that_somebody_widened_is_as_it_was_soon() -> None:
    async with guarded_europe() as (eu, acl):
        acl.policies[NAME] = 'namespace "*" { policy = "write" }'

        await eu.world.settle(400)

        assert acl.policies[NAME] == as_json(run_time_rules("orrery", joins=True))


async def test_another_token_is_made_when_asked_for_and_the_old_one_lets_nobody_in() -> None:
    async with guarded_europe() as (eu, acl):
        (before,) = run_time(acl)
        eu.world.apply(rotated("2026-11-29"))
        await eu.world.settle(800)

        (after,) = run_time(acl)
        assert after.secret != before.secret
        key = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(key))

        eu.world.forget_counts()
        eu.cluster.writes.clear()
        await eu.world.settle(1000)
        assert run_time(acl) == [after], "an answered request makes no further token"
        assert not eu.settled()


async def test_a_refused_management_token_is_told_and_costs_the_region_nothing() -> None:
    async with guarded_europe() as (eu, acl):
        acl.management = "somebody else's"
        await eu.world.settle(800)

        said = [str(c.get("message")) for c in eu.world.status(FRA)["conditions"]]
        assert any("Orrery's own token cannot be looked after" in message for message in said)
        (token,) = run_time(acl)
        acl.used.clear()
        eu.world.apply(a_deployment(namespace="default"))
        await eu.world.settle(60)
        assert any(secret == token.secret for secret, _ in acl.used)


async def test_a_moment_without_a_leader_is_no_matter_of_tokens() -> None:
    async with guarded_europe() as (eu, acl):
        before = run_time(acl)
        eu.world.regions["fra"].leaderless = True
        await eu.world.settle(800)

        said = [str(c.get("message")) for c in eu.world.status(FRA)["conditions"]]
        assert not any("cannot be looked after" in message for message in said), said
        assert eu.phase == "Open"

        eu.world.regions["fra"].leaderless = False
        acl.policies.clear()
        await eu.world.settle(400)
        assert acl.policies
        assert run_time(acl) == before


async def test_a_lost_management_token_is_told_and_costs_the_region_nothing() -> None:
    async with guarded_europe() as (eu, acl):
        key = eu.world.apply(a_deployment())
        await eu.world.until(lambda: eu.world.is_ready(key))
        eu.cluster.remove(eu.caretaker.find("Secret", "fra-bootstrap-token"))
        await eu.world.settle(800)

        said = [str(c.get("message")) for c in eu.world.status(FRA)["conditions"]]
        assert any("fra-bootstrap-token" in message for message in said), said
        assert not bootstrapped(eu), "it is never made anew in silence"
        other = eu.world.apply(a_deployment("other"))
        await eu.world.until(lambda: eu.world.is_ready(other))
        assert len(run_time(acl)) == 1


@pytest.mark.parametrize("lost", range(1, 6))
async def test_a_lost_reply_leaves_one_token(lost: int) -> None:
    async with europe() as eu:
        region = eu.world.regions["fra"]
        region.lose_replies = lost
        eu.world.apply(a_managed_region("fra"))
        await eu.opened()
        await eu.world.settle(800)

        assert len(run_time(region.acl)) == 1
        held = eu.world.hub.secrets["orrery-system", "fra-region-credentials"].data
        assert held["token"].decode() == run_time(region.acl)[0].secret
