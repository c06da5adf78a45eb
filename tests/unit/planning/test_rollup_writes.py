"""A status is written when something changed for people, not for each step on the way."""

from dataclasses import replace

import pytest
from tests.unit.planning.rollups import HEALTHY, status_of

from orrery.api.globaldeployment import GlobalDeploymentStatus, RegionalPhase
from orrery.planning.rollup import RegionalState, differs_for_people


@pytest.mark.parametrize("phase", ["Pending", "Updating", "Stopping"])
def test_progress_inside_a_phase_is_not_worth_a_write(phase: RegionalPhase) -> None:
    before = status_of({"fra": RegionalState(phase, 1, 3, "d1", 11)})
    after = status_of({"fra": RegionalState(phase, 2, 3, "d2", 14)})

    assert before != after
    assert not differs_for_people(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(HEALTHY, replace(HEALTHY, index=14), id="a-settled-region-was-written-to"),
        pytest.param(RegionalState("Pending"), RegionalState("Updating"), id="from-phase-to-phase"),
    ],
)
def test_what_stays_for_a_while_is_worth_a_write(
    before: RegionalState, after: RegionalState
) -> None:
    assert differs_for_people(status_of({"fra": before}), status_of({"fra": after}))


def test_the_first_status_of_all_is_worth_a_write() -> None:
    assert differs_for_people(GlobalDeploymentStatus(), status_of({"fra": HEALTHY}))


def test_a_region_that_takes_the_current_spec_is_worth_a_write_with_its_next_phase() -> None:
    before = status_of({"fra": RegionalState("Updating", 1, 3, "d1", 11)})
    after = status_of({"fra": RegionalState("Updating", 1, 3, "d1", 11, current=True)})

    assert before != after
    assert not differs_for_people(before, after)


def test_lost_instance_of_a_settled_region_is_worth_a_write() -> None:
    before = status_of({"fra": RegionalState("Degraded", 2, 3, "d1", 11)})
    after = status_of({"fra": RegionalState("Degraded", 1, 3, "d1", 11)})

    assert differs_for_people(before, after)
