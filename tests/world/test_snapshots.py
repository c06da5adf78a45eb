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
        token = eu.world.regions["fra"].tokens["orrery-snapshot"]
        assert secret.keys() == {"accessor", "token"}
        assert token.rules == 'operator { capabilities = ["snapshot-save"] }'
        assert eu.caretaker.find("CronJob", "fra-snapshot")
        assert eu.caretaker.find("PersistentVolumeClaim", "fra-snapshot")


async def test_a_token_that_was_revoked_is_made_known_again() -> None:
    async with europe() as eu:
        await opened(eu)
        before = eu.world.regions["fra"].tokens.pop("orrery-snapshot")

        await eu.world.settle(400)

        assert eu.world.regions["fra"].tokens["orrery-snapshot"] == before


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
