"""The status of the whole: each region is counted for what it is, and the worst decides."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.planning.rollups import (
    CONTINENTS,
    DARK,
    HEALTHY,
    NOW,
    STALE,
    conditions,
    status_of,
)

from orrery.api.conditions import Reason
from orrery.api.globaldeployment import (
    GlobalDeploymentStatus,
    RegionalPhase,
    RegionalStatus,
    Summary,
)
from orrery.planning.conditions import ready
from orrery.planning.rollup import Findings, RegionalState, summarize

FATAL = [
    Reason.FOREIGN_JOB,
    Reason.JOB_REFUSED,
    Reason.REVERTED,
    Reason.NO_ROOM,
    Reason.UNHEALTHY,
    Reason.REGION_NOT_AVAILABLE,
    Reason.UNKNOWN_DRIVER,
    Reason.NOMAD_REFUSED,
    Reason.INVALID_SPEC,
    Reason.INTERNAL_ERROR,
]


def test_regions_are_counted_by_what_they_are_and_unknown_ones_are_missed() -> None:
    findings = Findings(generation=3, revision="r2", unknown_regions=["region x is unknown"])
    regions = {
        "fra": HEALTHY,
        "par": RegionalState("Failed", 0, 3, reason=Reason.REVERTED, current=True),
        "was": DARK,
        "old": RegionalState("Stopping", 1, 0, wanted=False),
    }

    status = status_of(regions, findings)

    assert status.summary == Summary(desired=4, updated=3, ready=1, failed=1, unreachable=1)
    assert (status.observed_generation, status.updated_revision) == (3, "r2")
    assert status.display is not None
    assert status.display.regions == "1/4"


def test_the_revision_stays_while_no_newer_one_is_known() -> None:
    before = GlobalDeploymentStatus(updated_revision="r1")

    status = summarize(Findings(generation=1), {}, CONTINENTS, before=before, now=NOW)

    assert status.updated_revision == "r1"


def test_a_region_shows_all_that_is_known_of_it_also_in_an_unknown_continent() -> None:
    failed = RegionalState("Failed", 1, 3, "d1", 11, Reason.REVERTED, "Nomad went back")

    (continent,) = status_of({"moon": failed}).continents

    assert continent.name == "unknown"
    assert continent.regions == {
        "moon": RegionalStatus(
            phase="Failed",
            ready="1/3",
            revision="d1",
            index=11,
            reason=Reason.REVERTED,
            message="Nomad went back",
        )
    }


def test_a_region_of_which_nothing_is_known_claims_nothing() -> None:
    status = status_of({"fra": RegionalState()})

    assert status.continents[0].regions["fra"] == RegionalStatus(phase="Pending", ready="0/0")
    assert not RegionalState().batch


@pytest.mark.parametrize(
    ("phase", "batch", "finished"),
    [
        ("Healthy", True, True),
        ("Healthy", False, False),
        ("Degraded", True, False),
        ("Updating", True, False),
    ],
)
def test_only_a_healthy_batch_job_has_finished(
    phase: RegionalPhase,
    batch: bool,  # noqa: FBT001 - a table
    finished: bool,  # noqa: FBT001 - a table
) -> None:
    assert RegionalState(phase, batch=batch).finished is finished


@pytest.mark.parametrize("reason", FATAL)
def test_what_somebody_must_mend_is_told_before_what_moves(reason: Reason) -> None:
    failed = RegionalState("Failed", 0, 3, reason=reason, message="it is broken")

    told = conditions(status_of({"fra": failed, "was": RegionalState("Updating")}))

    assert told["Ready"] == ("False", reason)


def test_what_passes_by_itself_is_told_after_what_moves() -> None:
    told = conditions(status_of({"fra": DARK, "was": RegionalState("Updating")}))

    assert told["Ready"] == ("False", "Progressing")
    assert told["Degraded"] == ("True", "RegionUnreachable")


def test_a_region_that_is_being_left_holds_nothing_up() -> None:
    leaving = RegionalState("Stopping", 1, 0, wanted=False)

    told = conditions(status_of({"fra": STALE, "was": leaving}))

    assert told["Ready"] == ("False", "Paused")


@pytest.mark.parametrize(
    ("stalled", "kind"), [(True, "Stalled"), (False, "Reconciling")], ids=["stalled", "waits"]
)
def test_what_blocks_everything_stalls_only_when_waiting_does_not_cure_it(
    stalled: bool,  # noqa: FBT001 - a table
    kind: str,
) -> None:
    blocked = ready("False", Reason.SECRET_NOT_FOUND, "Secret db does not exist")

    findings = Findings(generation=1, blocked=blocked)
    status = status_of({"fra": HEALTHY}, replace(findings, stalled=True) if stalled else findings)

    assert conditions(status) == {
        "Ready": ("False", "SecretNotFound"),
        kind: ("True", "SecretNotFound"),
    }


@given(order=st.permutations(["ams", "fra", "par", "was"]))
def test_the_order_in_which_regions_are_told_of_does_not_matter(order: list[str]) -> None:
    regions = {
        name: RegionalState("Failed", message=f"{name} is broken", reason=Reason.REVERTED)
        for name in order
    }
    continents = {"ams": "na", "fra": "eu", "par": "na", "was": "eu"}

    before = GlobalDeploymentStatus()
    status = summarize(Findings(generation=1), regions, continents, before=before, now=NOW)

    assert [(c.name, list(c.regions)) for c in status.continents] == [
        ("eu", ["fra", "was"]),
        ("na", ["ams", "par"]),
    ]
    assert status.display is not None
    assert status.display.status == "; ".join(f"{name}: {name} is broken" for name in sorted(order))
