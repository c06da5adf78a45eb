"""Schedule: no key is lost, none is held twice, urgent ones go first, none waits for ever."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orrery.engine.schedule import PATIENT_SHARE, Priority, Schedule

KEYS = st.sampled_from("abcdefgh")
PRIORITIES = st.sampled_from(list(Priority))
DELAYS = st.sampled_from([0.0, 0.5, 1.0, 5.0])


class NoKeyIsLost(RuleBasedStateMachine):
    """Compares the schedule with the plainest model: who must still be handed out, and by when."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: Schedule[str] = Schedule()
        self.now = 0.0
        self.owed: dict[str, float] = {}
        self.working: set[str] = set()

    @rule(key=KEYS, priority=PRIORITIES, delay=DELAYS)
    def add(self, key: str, priority: Priority, delay: float) -> None:
        self.schedule.add(key, now=self.now, priority=priority, delay=delay)
        self.owe(key, self.now + delay)

    @rule()
    def take(self) -> None:
        ready = {k for k, due in self.owed.items() if due <= self.now} - self.working
        key = self.schedule.take(self.now)
        if key is None:
            assert not ready
            return
        assert key not in self.working
        assert self.owed.pop(key) <= self.now
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), again=st.none() | DELAYS)
    def done(self, data: st.DataObject, again: float | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        added_meanwhile = self.owed.get(key, self.now + 1) <= self.now
        self.schedule.done(key, now=self.now, again=again)
        self.working.remove(key)
        if again is not None and not added_meanwhile:
            self.owe(key, self.now + again)

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def owe(self, key: str, due: float) -> None:
        self.owed[key] = min(due, self.owed.get(key, due))

    @invariant()
    def it_counts_right(self) -> None:
        assert len(self.schedule) == len(self.owed)
        assert self.schedule.working == self.working

    def teardown(self) -> None:
        """Everything that was ever owed can be had."""
        for key in self.working:
            self.schedule.done(key, now=self.now)
        left = set()
        while (owed := self.schedule.take(self.now + 100)) is not None:
            assert owed not in left
            left.add(owed)
        assert left == set(self.owed)


NoKeyIsLost.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNoKeyIsLost = NoKeyIsLost.TestCase


def taken(schedule: Schedule[str], now: float = 0.0) -> list[str]:
    """Take and give back everything that is ready."""
    keys = []
    while (key := schedule.take(now)) is not None:
        keys.append(key)
        schedule.done(key, now=now)
    return keys


def test_keys_of_one_priority_come_in_the_order_they_were_added() -> None:
    schedule: Schedule[str] = Schedule()

    for key in "cabac":
        schedule.add(key, now=0, priority=Priority.USER)

    assert taken(schedule) == ["c", "a", "b"]


def test_a_user_change_overtakes_a_sweep() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("swept", now=0, priority=Priority.RESYNC)

    schedule.add("changed", now=0, priority=Priority.USER)

    assert taken(schedule) == ["changed", "swept"]


def test_a_swept_key_that_a_user_changes_goes_first() -> None:
    schedule: Schedule[str] = Schedule()
    for key in "abc":
        schedule.add(key, now=0, priority=Priority.RESYNC)

    schedule.add("c", now=0, priority=Priority.USER)

    assert taken(schedule) == ["c", "a", "b"]


def test_news_of_the_world_come_between_users_and_sweeps() -> None:
    schedule: Schedule[str] = Schedule()
    for priority in reversed(Priority):
        schedule.add(priority.name, now=0, priority=priority)

    assert taken(schedule) == ["USER", "NEWS", "RESYNC"]


def test_a_sweep_gets_its_share_while_users_keep_changing_things() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("swept", now=0, priority=Priority.RESYNC)
    changes = (f"change-{n}" for n in itertools.count())

    order = []
    for _ in range(PATIENT_SHARE):
        schedule.add(next(changes), now=0, priority=Priority.USER)
        schedule.add(next(changes), now=0, priority=Priority.USER)
        order.append(schedule.take(0))

    assert order.count("swept") == 1


def test_an_immediate_add_ends_a_delay() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("shop", now=0, priority=Priority.USER, delay=300)

    schedule.add("shop", now=0, priority=Priority.RESYNC)

    assert taken(schedule) == ["shop"]
    assert schedule.next_due() is None


@pytest.mark.parametrize(("first", "second"), [(5, 60), (60, 5)])
def test_of_two_delays_the_earlier_wins(first: float, second: float) -> None:
    schedule: Schedule[str] = Schedule()

    schedule.add("shop", now=0, priority=Priority.USER, delay=first)
    schedule.add("shop", now=0, priority=Priority.USER, delay=second)

    assert schedule.next_due() == 5
    assert taken(schedule, now=5) == ["shop"]
    assert taken(schedule, now=100) == []


def test_a_key_that_changes_during_its_pass_is_handed_out_once_more() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("shop", now=0, priority=Priority.USER)
    schedule.take(0)

    for _ in range(3):
        schedule.add("shop", now=0, priority=Priority.USER)

    assert schedule.take(0) is None
    schedule.done("shop", now=0, again=300)
    assert taken(schedule) == ["shop"]


def test_another_look_is_less_urgent_than_the_change_before_it() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("changed", now=0, priority=Priority.USER)
    schedule.add("swept", now=0, priority=Priority.RESYNC)
    for _ in range(2):
        key = schedule.take(0)
        assert key is not None
        schedule.done(key, now=0, again=1, at_most=Priority.NEWS)
    schedule.add("waited for", now=1, priority=Priority.USER)

    assert taken(schedule, now=1) == ["waited for", "changed", "swept"]


def test_a_retry_is_as_urgent_as_what_it_repeats() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("changed", now=0, priority=Priority.USER)
    schedule.take(0)
    schedule.done("changed", now=0, again=1)
    schedule.add("swept", now=0, priority=Priority.RESYNC)

    assert taken(schedule, now=1) == ["changed", "swept"]
