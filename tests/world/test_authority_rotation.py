"""A region's authority is replaced while everybody goes on trusting everybody, and so it ends.

The cluster itself verifies every leaf against what every other Secret trusts, after each write.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest
from tests.fakes.regionsecrets import LEAVES, Killed, SecretsOfRegion, ref

from orrery.adapters.pki import CryptographyPki
from orrery.names import ANNOTATION_ROTATE_AUTHORITY
from orrery.reconcile.secretfacts import read_facts

PKI: Final = CryptographyPki()
HOUR: Final = timedelta(hours=1)
SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)

SCHEDULE: Final[Sequence[tuple[timedelta, str]]] = [
    (timedelta(), ""),
    (HOUR, "first"),
    (HOUR, "first"),
    (HOUR, "first"),
    (21 * DAY, "first"),
]
"""How long before each pass, and what the Region asks for: a new region, a new authority in three
stages, a renewal."""

STEPS: Final = (6, 5, 4, 4, 3)
"""Writes of each pass of `SCHEDULE`."""


async def follow_schedule(region: SecretsOfRegion) -> list[int]:
    """Follow `SCHEDULE`, starting again after a crash; return the writes of each pass."""
    writes = []
    for wait, asked in SCHEDULE:
        region.clock.moment += wait
        region.annotations[ANNOTATION_ROTATE_AUTHORITY] = asked
        before = region.cluster.writes.total()
        try:
            await region.run()
        except Killed:
            await region.run()
        writes.append(region.cluster.writes.total() - before)
        assert await region.writes_of_a_pass() == 0
    return writes


def shape(region: SecretsOfRegion) -> Any:
    """Describe all that the certificates' Secrets hold, but for what is random."""
    facts = read_facts(PKI, region.texts("fra-ca"), {name: region.texts(name) for name in LEAVES})
    authority = facts.authority
    assert authority is not None
    numbers = {authority.previous: "previous", authority.current.fingerprint: "current"}
    leaves = {
        name: (
            numbers[leaf.issuer],
            sorted(numbers[trusted] for trusted in leaf.trusts),
            leaf.certificate and (leaf.certificate.not_before, leaf.certificate.hosts),
        )
        for name, leaf in facts.leaves.items()
    }
    trusts = sorted(numbers[trusted] for trusted in authority.trusts)
    return authority.current.not_before, authority.successor, authority.rotation, trusts, leaves


async def test_every_write_of_a_region_s_life_is_known() -> None:
    region = SecretsOfRegion()

    assert await follow_schedule(region) == list(STEPS)


async def test_a_crash_after_any_write_changes_nothing_in_the_end() -> None:
    whole = SecretsOfRegion()
    await follow_schedule(whole)

    for fatal in range(1, sum(STEPS) + 1):
        broken = SecretsOfRegion()
        broken.cluster.fatal = fatal
        writes = await follow_schedule(broken)

        assert broken.cluster.fatal is None
        assert shape(broken) == shape(whole)
        assert writes == list(STEPS)


async def test_an_authority_is_replaced_on_request_in_three_stages() -> None:
    region = SecretsOfRegion()
    old = (await region.run()).authority
    region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "2030-01"
    told = []

    for _ in count():
        told.append(await region.run())
        if told[-1].authority != old:
            break
        assert await region.writes_of_a_pass() == 0
        region.clock.moment += HOUR

    assert len(told) == 3
    assert [outcome.operator.ca.count("BEGIN") for outcome in told] == [2, 2, 1]
    assert len({outcome.nomad_tls_digest for outcome in told}) == 3
    assert shape(region)[-1]["fra-nomad-tls"][:2] == ("current", ["current"])


@pytest.mark.parametrize("stage", [1, 2])
async def test_a_stage_lasts_an_hour(stage: int) -> None:
    region = SecretsOfRegion()
    await region.run()
    region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"
    for _ in range(stage):
        await region.run()
        region.clock.moment += HOUR

    region.clock.moment -= SECOND
    early = await region.writes_of_a_pass()
    region.clock.moment += SECOND

    assert early == 0
    assert await region.writes_of_a_pass() == 4


@pytest.mark.parametrize("stage", [1, 2])
async def test_a_stage_lasts_until_the_servers_have_caught_up(stage: int) -> None:
    region = SecretsOfRegion()
    await region.run()
    region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"
    for _ in range(stage):
        await region.run()
        region.clock.moment += HOUR

    region.clock.moment += 5 * HOUR

    assert await region.writes_of_a_pass(settled=False) == 0
    assert await region.writes_of_a_pass() == 4


async def test_an_authority_is_replaced_when_two_thirds_of_its_life_are_over() -> None:
    region = SecretsOfRegion(lifetime="87600h")
    await region.run()
    life = timedelta(days=3650, minutes=5)
    due = region.clock.moment - timedelta(minutes=5) + life * 2 / 3

    region.clock.moment = due - SECOND
    assert await region.writes_of_a_pass() == 0
    region.clock.moment = due
    assert await region.writes_of_a_pass() > 0

    assert region.texts("fra-ca")["next.crt"]


async def test_a_request_that_a_new_region_comes_with_is_no_request() -> None:
    region = SecretsOfRegion(annotations={ANNOTATION_ROTATE_AUTHORITY: "from-git"})

    await region.run()

    assert await region.writes_of_a_pass() == 0


async def test_a_status_that_is_one_authority_behind_is_no_loss() -> None:
    region = SecretsOfRegion()
    old = (await region.run()).authority
    for request in ("one", "two"):
        region.annotations[ANNOTATION_ROTATE_AUTHORITY] = request
        for _ in range(4):
            latest = await region.attempt(region.cluster)
            region.clock.moment += HOUR

    assert region.remembered == old != latest.authority
    assert region.texts("fra-ca")["rotation"] == "one"
    await region.run()
    assert await region.writes_of_a_pass() == 5


async def test_a_leaf_from_a_backup_starts_the_overlap_again() -> None:
    region = SecretsOfRegion()
    await region.run()
    backup = region.texts("fra-nomad-tls")
    region.annotations[ANNOTATION_ROTATE_AUTHORITY] = "now"
    for _ in range(2):
        await region.run()
        region.clock.moment += HOUR

    region.cluster.strict = False  # What somebody else wrote is trusted by nobody at first.
    region.edit("fra-nomad-tls", **{key.replace(".", "_"): text for key, text in backup.items()})
    await region.run()

    region.cluster.strict = True
    assert region.texts("fra-ca")["next.crt"]
    for _ in range(3):
        region.clock.moment += HOUR
        await region.run()
    assert {leaf[:1] for leaf in shape(region)[-1].values()} == {("current",)}
    assert not region.texts("fra-ca")["next.crt"]


async def test_a_lost_leaf_is_issued_at_every_stage() -> None:
    region = SecretsOfRegion()
    for wait, asked in SCHEDULE[:4]:
        region.clock.moment += wait
        region.annotations[ANNOTATION_ROTATE_AUTHORITY] = asked
        await region.run()
        region.lose("fra-front-door-tls")

        assert await region.writes_of_a_pass() == 1
        assert ref("fra-front-door-tls") in region.cluster.objects
