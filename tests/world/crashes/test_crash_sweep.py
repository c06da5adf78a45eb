"""The operator dies at any write, or loses any request or reply: the end is the same.

The oracle is a run without faults: the same state of the hub and of every region, and the same
number of updates of each object. A job that is restarted twice and then right is wrong.
"""

import pytest
from tests.fakes.mortal import Fate
from tests.world.crashes.plans import FULL, differences, pairs, sample, singles
from tests.world.crashes.runner import Scenario, trace
from tests.world.crashes.scenarios import SCENARIOS

PAIRS = 60
"""Pairs tried per scenario, unless all of them are."""

pytestmark = [
    pytest.mark.timeout(3600 if FULL else 300),
    pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name),
]


def test_a_run_without_faults_ends_as_the_same_run_does(scenario: Scenario) -> None:
    assert trace(scenario).compare(trace(scenario)) == []


def test_any_write_may_be_the_last_one(scenario: Scenario) -> None:
    writes = len(trace(scenario).writes)

    found = differences(scenario, list(singles(writes)))

    assert not found, "\n".join(map(str, found))


def test_two_writes_may_go_wrong_in_one_run(scenario: Scenario) -> None:
    plans = list(pairs(len(trace(scenario).writes)))
    plans = plans if FULL else list(sample(plans, PAIRS, scenario.name))

    found = differences(scenario, plans)

    assert not found, "\n".join(map(str, found))


def test_the_sweep_kills_for_real(scenario: Scenario) -> None:
    """A sweep whose faults do not happen would be green for ever."""
    before = trace(scenario, {1: Fate.KILLED_BEFORE})

    assert before.deaths == 1
    assert before.writes[0] in before.writes[1:]
