"""What is said before a region is forgotten, and for how long stops may be allowed."""

from datetime import timedelta

import click
import pytest
from tests.unit.cli.hubs import a_deployment_seen, a_region_seen

from orrery.cli.region import consequences, parse, unheld


def test_what_goes_with_a_region_is_said() -> None:
    tombstone = {"namespace": "team-b", "name": "old", "uid": "1", "time": "2026-03-01T10:00:00Z"}
    region = a_region_seen(
        "was", "Unreachable", lastSeenTime="2026-03-01T11:00:00Z", tombstones=[tombstone]
    )
    leaving = a_deployment_seen("cart")
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T11:30:00Z"
    elsewhere = a_deployment_seen("docs", continents=[])

    assert consequences(region, [a_deployment_seen(), leaving, elsewhere]) == [
        "region was: Unreachable, last seen 2026-03-01T11:00:00Z",
        "deployments with a job there: team-a/cart, team-a/shop",
        "of these are being deleted and wait for it: team-a/cart",
        "deleted before, their jobs are not stopped any more: team-b/old",
    ]


def test_a_region_that_is_forgotten_is_not_torn_down() -> None:
    region = a_region_seen("was", "Unreachable")
    region["metadata"] |= {
        "resourceVersion": "7",
        "finalizers": ["example.com/other", "orrery.dev/control-plane"],
    }

    assert unheld(region) == {
        "metadata": {"finalizers": ["example.com/other"], "resourceVersion": "7"},
        "spec": {"deletionPolicy": "Orphan"},
    }
    assert (
        "its control plane is not torn down: what its continent holds of it stays"
        in consequences(region, [])
    )


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("1m", timedelta(minutes=1)), ("90m", timedelta(minutes=90)), ("24h", timedelta(hours=24))],
)
def test_durations(duration: str, expected: timedelta) -> None:
    assert parse(duration) == expected


@pytest.mark.parametrize("duration", ["", "0m", "25h", "1441m", "1", "1d", "-1h", "1h30m"])
def test_a_duration_that_is_not_allowed_is_explained(duration: str) -> None:
    with pytest.raises(
        click.UsageError, match=r'--for: ".*" is not allowed, must be from 1m to 24h'
    ):
        parse(duration)
