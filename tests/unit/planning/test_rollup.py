"""The status of the whole: honest, stable, and silent when nothing changed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.planning.rollups import CONTINENTS, DARK, HEALTHY, NOW, conditions, status_of

from orrery.api.conditions import Reason
from orrery.api.globaldeployment import GlobalDeploymentStatus, Summary
from orrery.planning.conditions import ready
from orrery.planning.rollup import Findings, RegionalState, differs_for_people, summarize


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        pytest.param(
            {"fra": HEALTHY, "was": HEALTHY}, {"Ready": ("True", "Succeeded")}, id="all-healthy"
        ),
        pytest.param(
            {"fra": HEALTHY, "was": DARK},
            {"Ready": ("True", "Succeeded"), "Degraded": ("True", "RegionUnreachable")},
            id="one-dark-stays-ready-beside-degraded",
        ),
        pytest.param(
            {"fra": DARK, "was": DARK},
            {"Ready": ("Unknown", "RegionUnreachable"), "Degraded": ("True", "RegionUnreachable")},
            id="all-dark-is-unknown-not-failed",
        ),
        pytest.param(
            {"fra": HEALTHY, "was": RegionalState("Updating", 1, 3)},
            {"Ready": ("False", "Progressing"), "Reconciling": ("True", "Progressing")},
            id="one-under-way",
        ),
        pytest.param(
            {"fra": HEALTHY, "was": RegionalState("Failed", 0, 3, reason=Reason.REVERTED)},
            {"Ready": ("False", "Reverted"), "Degraded": ("True", "Reverted")},
            id="one-failed",
        ),
    ],
)
def test_conditions(
    regions: dict[str, RegionalState], expected: dict[str, tuple[str, str]]
) -> None:
    assert conditions(status_of(regions)) == expected


def test_kubectl_line_reads_like_a_sentence() -> None:
    display = status_of({"fra": HEALTHY, "par": HEALTHY, "was": DARK}).display

    assert display is not None
    assert display.regions == "2/3"
    assert display.status == "was does not answer, the jobs there are left as they are"


def test_regions_are_grouped_by_continent() -> None:
    status = status_of({"was": HEALTHY, "fra": HEALTHY, "par": HEALTHY})

    assert [(c.name, sorted(c.regions)) for c in status.continents] == [
        ("eu", ["fra", "par"]),
        ("na", ["was"]),
    ]


def test_stalled_names_the_remedy_and_is_not_reconciling() -> None:
    blocked = ready("False", Reason.INVALID_SPEC, "spec.ports[0].port: 0 is not in 1..65535")
    findings = Findings(generation=2, blocked=blocked, stalled=True)

    status = status_of({"fra": HEALTHY}, findings)

    assert conditions(status) == {
        "Ready": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }


def test_progress_inside_a_phase_is_not_worth_a_write() -> None:
    before = status_of({"fra": RegionalState("Updating", 1, 3, "d1", 11)})
    after = status_of({"fra": RegionalState("Updating", 2, 3, "d2", 14)})

    assert not differs_for_people(before, after)


def test_lost_instance_of_a_settled_region_is_worth_a_write() -> None:
    before = status_of({"fra": RegionalState("Degraded", 2, 3, "d1", 11)})
    after = status_of({"fra": RegionalState("Degraded", 1, 3, "d1", 11)})

    assert differs_for_people(before, after)


MOVING = RegionalState("Updating", 1, 3, "d2", 14)
DARK_BEHIND = replace(DARK, current=False)
LEFT_OVER = replace(DARK, wanted=False)


def line(
    regions: dict[str, RegionalState], findings: Findings | None = None
) -> tuple[str, str | None]:
    status = status_of(regions, findings)
    assert status.display is not None
    degraded = next((c.message for c in status.conditions if c.type == "Degraded"), None)
    return status.display.status, degraded


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        pytest.param(
            {"fra": MOVING, "par": MOVING, "was": DARK_BEHIND},
            "bringing fra, par to the current spec; was does not answer and will get it on return",
            id="behind",
        ),
        pytest.param(
            {"fra": MOVING, "par": DARK, "was": DARK_BEHIND},
            "bringing fra to the current spec; par, was do not answer; was will get it on return",
            id="one-of-two-behind",
        ),
        pytest.param(
            {"fra": MOVING, "was": DARK},
            "bringing fra to the current spec; was does not answer",
            id="up-to-date",
        ),
        pytest.param(
            {"fra": MOVING, "was": LEFT_OVER},
            "bringing fra to the current spec; "
            "was does not answer, the job there will be stopped on return",
            id="to-be-stopped",
        ),
    ],
)
def test_a_dark_region_does_not_hide_what_the_others_do(
    regions: dict[str, RegionalState], expected: str
) -> None:
    assert line(regions)[0] == expected


def test_what_is_broken_still_goes_before_what_moves() -> None:
    broken = RegionalState("Failed", 0, 3, reason=Reason.REVERTED, message="exit 1")

    shown, degraded = line({"fra": broken, "par": MOVING, "was": DARK})

    assert shown == degraded
    assert shown.startswith("fra: exit 1; was does not answer")


def test_a_job_that_waits_to_be_stopped_in_a_dark_region_is_told_and_ready_stays() -> None:
    regions = {"fra": HEALTHY, "par": LEFT_OVER, "was": LEFT_OVER}
    said = "par, was do not answer, the jobs there will be stopped on return"

    status = status_of(regions)

    assert line(regions) == (said, said)
    assert conditions(status) == {
        "Ready": ("True", "Succeeded"),
        "Degraded": ("True", "RegionUnreachable"),
    }
    assert status.continents[1].regions["was"].message == "will be stopped on return"


def test_a_paused_deployment_promises_no_stop() -> None:
    regions = {"fra": HEALTHY, "was": LEFT_OVER}

    assert line(regions, Findings(generation=1, paused=True))[1] is None


BLOCKED = Findings(
    generation=2,
    blocked=ready("False", Reason.SECRET_NOT_FOUND, 'Secret "x" does not exist'),
    left=True,
    selected=("fra", "par"),
)


def test_a_blocked_spec_counts_the_regions_it_selects_and_says_what_runs_there() -> None:
    regions = {"fra": replace(HEALTHY, current=False), "was": replace(HEALTHY, wanted=False)}

    status = status_of(regions, BLOCKED)

    assert status.summary == Summary(desired=2)
    rows = {name: row for c in status.continents for name, row in c.regions.items()}
    assert {name: (row.phase, row.message) for name, row in rows.items()} == {
        "fra": ("Healthy", "runs an older spec"),
        "was": (
            "Healthy",
            "runs an older spec, the current one does not select this region",
        ),
    }


def test_a_blocked_spec_that_runs_already_is_counted_as_such() -> None:
    status = status_of({"fra": HEALTHY, "par": HEALTHY}, BLOCKED)

    assert status.summary == Summary(desired=2, updated=2, ready=2)
    assert {row.message for row in status.continents[0].regions.values()} == {None}


phases = st.sampled_from(
    ["Pending", "Updating", "Healthy", "Degraded", "Failed", "Unreachable", "Stopping"]
)
states = st.builds(
    RegionalState,
    phase=phases,
    ready=st.integers(0, 3),
    desired=st.just(3),
    message=st.none() | st.just("it is broken"),
    current=st.booleans(),
    wanted=st.booleans(),
)
worlds = st.dictionaries(st.sampled_from(sorted(CONTINENTS)), states)


@given(regions=worlds, generation=st.integers(1, 5))
def test_summing_up_again_changes_nothing_not_even_times(
    regions: dict[str, RegionalState], generation: int
) -> None:
    findings = Findings(generation=generation)
    once = summarize(findings, regions, CONTINENTS, before=GlobalDeploymentStatus(), now=NOW)
    later = "2026-01-02T00:00:00Z"

    twice = summarize(findings, regions, CONTINENTS, before=once, now=later)

    assert twice == once
    assert not differs_for_people(once, twice)


@given(regions=worlds)
def test_every_condition_speaks_of_the_generation_and_ready_is_always_there(
    regions: dict[str, RegionalState],
) -> None:
    status = status_of(regions, Findings(generation=7))

    assert "Ready" in conditions(status)
    assert {c.observed_generation for c in status.conditions} == {7}
    assert not {"Reconciling", "Stalled"} <= conditions(status).keys()


@given(regions=worlds)
def test_never_ready_for_a_spec_that_no_visible_region_has(
    regions: dict[str, RegionalState],
) -> None:
    status = status_of(regions)

    if conditions(status)["Ready"][0] == "True":
        assert any(s.phase == "Healthy" and s.current and s.wanted for s in regions.values())
