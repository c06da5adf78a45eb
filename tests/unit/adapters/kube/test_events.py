"""Events: what was just said is not said again, and one object cannot flood the hub."""

import pytest

from orrery.adapters.kube.events import BURST, REFILL, REPEAT_AFTER, EventFilter, render_event
from orrery.ports import HubEvent, Key, Kind


def an_event(message: str = "fra is open", uid: str = "1", name: str = "fra") -> HubEvent:
    return HubEvent(Key(Kind.REGION, "", name), uid, "Normal", "Opened", message)


def test_the_same_sentence_is_said_once_in_a_while() -> None:
    events = EventFilter()

    said = [events.admits(an_event(), now) for now in (0, 1, REPEAT_AFTER - 1, REPEAT_AFTER)]

    assert said == [True, False, False, True]


def test_the_same_sentence_about_another_object_is_news() -> None:
    events = EventFilter()
    events.admits(an_event(uid="1"), 0)

    assert events.admits(an_event(uid="2"), 0)


def test_one_object_cannot_flood_the_hub() -> None:
    events = EventFilter()

    said = [events.admits(an_event(f"message {n}"), 0) for n in range(BURST + 10)]

    assert said == [True] * BURST + [False] * 10
    assert events.admits(an_event("another object", uid="2"), 0)
    assert events.admits(an_event("later"), REFILL)
    assert not events.admits(an_event("later still"), REFILL)


def test_memory_is_bounded() -> None:
    events = EventFilter()

    for number in range(10_000):
        events.admits(an_event(uid=str(number)), number)

    assert len(events._said) <= 4096
    assert len(events._buckets) <= 4096


@pytest.mark.parametrize(("namespace", "stored_in"), [("team-a", "team-a"), ("", "default")])
def test_an_event_is_kept_where_its_object_is(namespace: str, stored_in: str) -> None:
    key = Key(Kind.GLOBAL_DEPLOYMENT, namespace, "shop")

    document = render_event(HubEvent(key, "1", "Normal", "Done", "x" * 5000), instance="i", now=0)

    assert document["metadata"]["namespace"] == stored_in
    assert document["regarding"]["namespace"] == namespace
    assert len(document["note"]) == 1024
