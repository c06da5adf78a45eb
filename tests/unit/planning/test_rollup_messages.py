"""What people read of a deployment: plain sentences, sorted, short, with what to look at next."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.planning.rollups import DARK, HEALTHY, STALE, status_of

from orrery.api.conditions import Reason
from orrery.planning.conditions import ready
from orrery.planning.rollup import Findings, RegionalState

BROKEN = RegionalState("Failed", 0, 3, reason=Reason.REVERTED, message="it is broken")
HELD = RegionalState("Stopping", 3, 0, reason=Reason.STOPS_HELD, message="none is until it is")
LEFT_ALONE = "not answer, the jobs there are left as they are"
BLOCKED = ready("False", Reason.SECRET_NOT_FOUND, "Secret db does not exist")

Said = dict[str, tuple[str, str, str]]


def said(regions: Mapping[str, RegionalState], findings: Findings | None = None) -> Said:
    status = status_of(regions, findings)
    return {c.type: (c.status, c.reason, c.message) for c in status.conditions}


def in_regions(names: str, state: RegionalState) -> dict[str, RegionalState]:
    return dict.fromkeys(names, state)


@pytest.mark.parametrize(
    ("regions", "status", "reason", "message"),
    [
        pytest.param({"fra": HEALTHY}, "True", "Succeeded", "healthy in 1 region", id="one"),
        pytest.param(
            {"fra": HEALTHY, "was": HEALTHY}, "True", "Succeeded", "healthy in 2 regions", id="two"
        ),
        pytest.param(
            {"fra": HEALTHY, "was": DARK},
            "True",
            "Succeeded",
            f"healthy in 1 region; was does {LEFT_ALONE}",
            id="one-is-dark",
        ),
        pytest.param(
            {"fra": HEALTHY, "was": DARK, "par": replace(DARK, current=False)},
            "True",
            "Succeeded",
            f"healthy in 1 region; par, was do {LEFT_ALONE}; "
            "par will get the current spec on return",
            id="two-are-dark-and-one-of-them-is-behind",
        ),
        pytest.param(
            {"fra": DARK, "was": DARK},
            "Unknown",
            "RegionUnreachable",
            f"fra, was do {LEFT_ALONE}",
            id="all-are-dark",
        ),
        pytest.param(
            {"fra": DARK, "was": STALE},
            "False",
            "RegionUnreachable",
            f"fra does {LEFT_ALONE}",
            id="one-is-dark-and-none-has-the-spec",
        ),
        pytest.param(
            {"fra": HEALTHY, "was": STALE},
            "False",
            "Paused",
            "was has an older spec, nothing is written",
            id="one-is-behind",
        ),
        pytest.param(
            {"was": STALE, "fra": STALE, "par": HEALTHY},
            "False",
            "Paused",
            "fra, was have an older spec, nothing is written",
            id="two-are-behind",
        ),
        pytest.param(
            {"fra": RegionalState("Updating"), "was": RegionalState("Pending")},
            "False",
            "Progressing",
            "waiting for fra, was",
            id="under-way",
        ),
        pytest.param(
            in_regions("gfedcba", RegionalState("Updating")),
            "False",
            "Progressing",
            "waiting for a, b, c, d, e and 2 more",
            id="of-many-only-some-are-named",
        ),
        pytest.param(
            in_regions("edcba", RegionalState("Updating")),
            "False",
            "Progressing",
            "waiting for a, b, c, d, e",
            id="five-are-not-many",
        ),
    ],
)
def test_ready(regions: dict[str, RegionalState], status: str, reason: str, message: str) -> None:
    assert said(regions)["Ready"] == (status, reason, message)


@pytest.mark.parametrize(
    ("regions", "unknown", "reason", "message"),
    [
        pytest.param(
            {"fra": RegionalState("Degraded", 1, 3, current=True)},
            [],
            "Unhealthy",
            "fra: 1 of 3 instances are healthy",
            id="instances-are-missing",
        ),
        pytest.param(
            {"fra": BROKEN, "par": BROKEN, "was": replace(BROKEN, message="it is down")},
            [],
            "Reverted",
            "fra, par: it is broken; was: it is down",
            id="regions-with-the-same-trouble-are-named-together",
        ),
        pytest.param(
            {"fra": RegionalState("Updating", 1, 3, message="pull failed")},
            [],
            "Unhealthy",
            "fra: pull failed",
            id="trouble-on-the-way",
        ),
        pytest.param(
            {"fra": BROKEN},
            ["y is unknown", "x is unknown"],
            "RegionNotAvailable",
            "x is unknown; y is unknown; fra: it is broken",
            id="what-the-user-can-mend-first",
        ),
        pytest.param(
            {"fra": BROKEN, "was": DARK},
            [],
            "Reverted",
            f"fra: it is broken; was does {LEFT_ALONE}",
            id="what-passes-by-itself-last",
        ),
        pytest.param(
            {"fra": BROKEN, "was": replace(DARK, wanted=False)},
            [],
            "Reverted",
            "fra: it is broken; was does not answer, the job there will be stopped on return",
            id="what-is-left-behind-at-the-very-end",
        ),
        pytest.param(
            {},
            [f"{name} is unknown" for name in "gfedcba"],
            "RegionNotAvailable",
            "a is unknown; b is unknown; c is unknown; d is unknown; e is unknown; and 2 more",
            id="of-many-only-some-are-told",
        ),
        pytest.param(
            {},
            [f"{name} is unknown" for name in "edcba"],
            "RegionNotAvailable",
            "a is unknown; b is unknown; c is unknown; d is unknown; e is unknown",
            id="five-are-not-many",
        ),
    ],
)
def test_degraded(
    regions: dict[str, RegionalState], unknown: list[str], reason: str, message: str
) -> None:
    found = Findings(generation=1, unknown_regions=unknown)

    assert said(regions, found)["Degraded"] == ("True", reason, message)
    assert status_of(regions, found).display.status == message  # type: ignore[union-attr]  # always shown


def test_regions_that_do_not_exist_are_all_that_is_told_where_there_is_no_other() -> None:
    told = said({}, Findings(generation=1, unknown_regions=["x is unknown"]))

    assert told["Ready"] == ("False", "RegionNotAvailable", "x is unknown")


def test_a_word_about_a_healthy_region_degrades_nothing() -> None:
    assert said({"fra": replace(HEALTHY, message="of no concern")}).keys() == {"Ready"}


def test_a_region_that_is_no_longer_wanted_degrades_nothing() -> None:
    leaving = replace(BROKEN, wanted=False)

    assert said({"fra": HEALTHY, "was": leaving}).keys() == {"Ready"}


def test_paused_says_so_and_is_not_confused_with_progress() -> None:
    paused = Findings(generation=1, paused=True)

    told = said({"fra": RegionalState("Updating"), "was": HEALTHY}, paused)

    assert told["Reconciling"] == (
        "True",
        "Paused",
        "spec.paused is true: nothing is written to any region",
    )


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        pytest.param({}, "all jobs are stopped", id="done"),
        pytest.param(
            {"was": HEALTHY, "fra": HEALTHY}, "stopping the jobs in fra, was", id="under-way"
        ),
        pytest.param(
            {"was": DARK, "fra": DARK, "par": HEALTHY},
            "waiting for fra, was to answer, to stop the jobs there",
            id="some-are-dark",
        ),
        pytest.param(
            {"was": HELD, "fra": HELD, "par": DARK, "ams": HEALTHY},
            "fra, was: none is until it is",
            id="held",
        ),
        pytest.param({"fra": HELD}, "fra: none is until it is", id="held-in-one"),
    ],
)
def test_deleting(regions: dict[str, RegionalState], message: str) -> None:
    told = said(regions, Findings(generation=1, deleting=True))

    assert told == {
        "Ready": ("False", "Deleting", message),
        "Reconciling": ("True", "Deleting", message),
    }


@pytest.mark.parametrize(
    ("state", "findings", "expected"),
    [
        pytest.param(
            replace(DARK, wanted=False), {}, "will be stopped on return", id="waits-for-its-stop"
        ),
        pytest.param(replace(DARK, wanted=False), {"paused": True}, None, id="paused"),
        pytest.param(replace(DARK, wanted=False), {"blocked": BLOCKED}, None, id="blocked"),
        pytest.param(DARK, {}, None, id="wanted"),
        pytest.param(replace(HEALTHY, wanted=False), {}, None, id="answers"),
    ],
)
def test_a_region_promises_a_stop_only_when_one_will_come(
    state: RegionalState, findings: dict[str, Any], expected: str | None
) -> None:
    (continent,) = status_of({"fra": state}, Findings(generation=1, **findings)).continents

    assert continent.regions["fra"].message == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(512, "x" * 512, id="fits"),
        pytest.param(513, "x" * 511 + "…", id="is-cut"),
    ],
)
def test_a_message_of_a_region_fits_its_field(length: int, expected: str) -> None:
    (continent,) = status_of({"fra": replace(BROKEN, message="x" * length)}).continents

    assert continent.regions["fra"].message == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(1024, "x" * 1024, id="fits"),
        pytest.param(1025, "x" * 1023 + "…", id="is-cut"),
    ],
)
def test_the_sentence_of_the_whole_fits_its_field(length: int, expected: str) -> None:
    display = status_of({}, Findings(generation=1, unknown_regions=["x" * length])).display

    assert display is not None
    assert display.status == expected
