"""Snapshots of a Managed region: wanted by its class, taken by an account of their own."""

import pytest
from tests.builders import a_class, a_managed_region
from tests.fakes.europe import FRA, IMAGE, Europe, europe

from orrery.ports import Document

pytestmark = pytest.mark.looptime(noop_cycles=0)

ORRERY = "registry.example/orrery:0.1.0"


def a_class_with_snapshots(**snapshots: object) -> Document:
    return a_class(image=IMAGE, snapshots={"image": ORRERY, **snapshots})


async def opened(eu: Europe) -> None:
    eu.world.apply(a_class_with_snapshots())
    eu.world.apply(a_managed_region("fra"))
    await eu.opened()
    await eu.world.settle(20)


async def test_snapshots_are_taken_by_a_token_that_can_do_nothing_else() -> None:
    async with europe() as eu:
        await opened(eu)

        secret = eu.cluster.objects[eu.caretaker.find("Secret", "fra-snapshot-token")]["data"]
        acl = eu.world.regions["fra"].acl
        (token,) = [t for t in acl.tokens.values() if t.name == "orrery-snapshot"]
        assert secret.keys() == {"accessor", "token"}
        assert acl.policies[token.name] == 'operator { capabilities = ["snapshot-save"] }'
        assert eu.caretaker.find("CronJob", "fra-snapshot")
        assert eu.caretaker.find("PersistentVolumeClaim", "fra-snapshot")


async def test_a_token_that_was_revoked_is_made_known_again() -> None:
    async with europe() as eu:
        await opened(eu)
        acl = eu.world.regions["fra"].acl
        before = dict(acl.tokens)
        acl.tokens.clear()

        await eu.world.settle(400)

        again = [t for t in acl.tokens.values() if t.name == "orrery-snapshot"]
        assert again == [t for t in before.values() if t.name == "orrery-snapshot"]


async def test_a_token_that_is_made_anew_leaves_no_other_valid() -> None:
    async with europe() as eu:
        await opened(eu)
        acl = eu.world.regions["fra"].acl
        before = dict(acl.tokens)
        for name in ("fra-snapshot-token", "fra-run-time-token"):
            eu.cluster.remove(eu.caretaker.find("Secret", name))

        await eu.world.settle(800)

        assert sorted(t.name for t in acl.tokens.values()) == ["orrery-run-time", "orrery-snapshot"]
        assert not before.keys() & acl.tokens.keys()


async def test_the_hub_holds_the_run_time_token_and_a_revoked_one_is_replaced() -> None:
    async with europe() as eu:
        await opened(eu)
        acl = eu.world.regions["fra"].acl
        (token,) = [t for t in acl.tokens.values() if t.name == "orrery-run-time"]
        held = eu.world.hub.secrets["orrery-system", "fra-region-credentials"].data
        assert held["token"].decode() == token.secret != held["management-token"].decode()
        del acl.tokens[token.accessor]

        await eu.world.settle(800)

        (other,) = [t for t in acl.tokens.values() if t.name == "orrery-run-time"]
        held = eu.world.hub.secrets["orrery-system", "fra-region-credentials"].data
        assert held["token"].decode() == other.secret != token.secret


async def test_the_region_tells_when_a_snapshot_was_last_taken() -> None:
    async with europe() as eu:
        await opened(eu)
        ref = eu.caretaker.find("CronJob", "fra-snapshot")
        assert "lastSnapshot" not in eu.world.status(FRA)["controlPlane"]

        eu.cluster.set_status(ref, {"lastSuccessfulTime": "2026-11-28T12:00:00Z"})
        await eu.world.settle(400)

        assert eu.world.status(FRA)["controlPlane"]["lastSnapshot"] == "2026-11-28T12:00:00Z"


async def test_snapshots_cost_no_write_at_rest() -> None:
    async with europe() as eu:
        await opened(eu)
        await eu.world.settle(400)
        before = eu.settled(), eu.world.regions["fra"].writes.copy()

        await eu.world.settle(900)

        assert (eu.settled(), eu.world.regions["fra"].writes) == before


async def test_what_was_taken_outlives_the_wish_for_more() -> None:
    async with europe() as eu:
        await opened(eu)

        eu.world.apply(a_class(image=IMAGE))
        await eu.world.settle(60)

        assert eu.caretaker.find("PersistentVolumeClaim", "fra-snapshot")
        assert not [ref for ref in eu.cluster.objects if ref.kind == "CronJob"]
