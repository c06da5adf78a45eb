"""What people are told of a region's checks, and of what its opening waits for."""

from typing import Any

import click
import pytest
from tests.unit.cli.hubs import NOW, a_region_seen

from orrery.cli.output import rendered
from orrery.cli.regionopening import approval_of, as_json, checklist, opening_words
from orrery.ports import Document

PASS = {"name": "NomadQuorum", "status": "Pass", "message": "3 vote"}
FAIL = {"name": "MachinesJoined", "status": "Fail", "message": "no machine has joined"}
SINCE = {"lastTransitionTime": "2026-03-01T11:55:00Z"}


def seen(phase: str = "Checking", **status: Any) -> Document:
    display = {"checks": "1/2", "machines": "0/0", "status": "waits for MachinesJoined"}
    return a_region_seen("fra", phase, **{"display": display, **status})


def test_the_checklist_names_every_check() -> None:
    body = seen(checks=[{**PASS, **SINCE}, {**FAIL, **SINCE}])

    assert rendered(*checklist(body, NOW)).splitlines() == [
        "region fra: Checking, checks 1/2, machines 0/0",
        "waits for MachinesJoined",
        "",
        "CHECK           STATUS  SINCE  MESSAGE",
        "NomadQuorum     Pass    5m     3 vote",
        "MachinesJoined  Fail    5m     no machine has joined",
    ]


def test_the_stage_is_told_with_its_age() -> None:
    body = seen("Opening", opening={"stage": "internal", "since": "2026-03-01T11:50:00Z"})

    assert "stage internal for 10m" in rendered(*checklist(body, NOW))


def test_a_region_that_nobody_checked_says_so() -> None:
    assert rendered(*checklist({**seen(), "status": None}, NOW)).splitlines() == [
        "region fra: Pending",
        "the operator has not looked at it yet",
        "the operator has not checked it yet",
    ]


def test_an_approval_is_for_the_step_that_waits() -> None:
    assert approval_of(seen(opening={"waitsForApproval": "half"})) == "half"


def test_nothing_is_approved_before_it_is_waited_for() -> None:
    with pytest.raises(click.ClickException, match="waits for no approval: waits for MachinesJ"):
        approval_of(seen(opening={"stage": "internal"}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (seen("Open", checks=[PASS]), "region fra is open to everyone"),
        (seen(checks=[PASS]), "region fra opens to everyone"),
        (
            seen(checks=[PASS, FAIL]),
            "region fra opens to everyone as soon as these checks pass: MachinesJoined",
        ),
        (seen(), "region fra opens to everyone as soon as its checks pass"),
    ],
)
def test_what_an_order_to_open_comes_to(body: Document, words: str) -> None:
    assert opening_words(body) == words


def test_programs_get_the_same() -> None:
    told = as_json(seen(checks=[PASS]))

    assert (told["phase"], told["status"], told["checks"]) == (
        "Checking",
        "waits for MachinesJoined",
        [PASS],
    )
