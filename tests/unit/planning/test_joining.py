"""Whether a machine may join a region, who signs its certificate, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_managed_region, a_region

from orrery.api.region import Region
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.certificates import OVERLAP, HeldAuthority
from orrery.planning.joining import SHORTEST, check_joinable, lifetime_within, signer
from orrery.ports import Certificate

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)

CONTROL_PLANE: Final = {
    "namespace": "orrery-fra",
    "address": "203.0.113.7",
    "authority": "ab" * 32,
    "bootstrapped": True,
}


def a_built_region(**control_plane: Any) -> Region:
    status = {"controlPlane": {**CONTROL_PLANE, **control_plane}}
    return Region.model_validate({**a_managed_region("fra"), "status": status})


def an_authority(name: str, *, start: datetime = NOW - DAY) -> Certificate:
    return Certificate(name, start, start + 3000 * DAY, is_authority=True)


def held(**rotation: Any) -> HeldAuthority:
    known = HeldAuthority(an_authority("one"), frozenset(), successor=an_authority("two"))
    return replace(known, **rotation)


def test_a_region_that_is_bootstrapped_takes_machines() -> None:
    check_joinable(a_built_region())


@pytest.mark.parametrize(
    "missing",
    [{"bootstrapped": False}, {"address": ""}, {"authority": ""}],
    ids=lambda missing: next(iter(missing)),
)
def test_a_region_that_is_not_there_yet_says_so(missing: dict[str, Any]) -> None:
    with pytest.raises(NotYet, match="has no control plane that machines could join yet"):
        check_joinable(a_built_region(**missing))


def test_what_a_region_waits_for_is_told() -> None:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "WaitingForQuorum",
        "message": "1 of 3 Nomad servers are ready, 2 needed",
        "observedGeneration": 1,
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    }
    body = {**a_managed_region("fra"), "status": {"conditions": [condition]}}

    with pytest.raises(NotYet, match=r"join yet: 1 of 3 Nomad servers are ready, 2 needed\Z"):
        check_joinable(Region.model_validate(body))


def test_an_external_region_has_no_bundles() -> None:
    with pytest.raises(InvalidSpec, match='Region "ams" is External'):
        check_joinable(Region.model_validate(a_region("ams")))


def test_a_region_that_is_being_deleted_takes_no_machines() -> None:
    region = a_built_region()
    leaving = region.metadata.model_copy(update={"deletion_timestamp": "2030-01-01T00:00:00Z"})

    with pytest.raises(InvalidSpec, match="is being deleted"):
        check_joinable(region.model_copy(update={"metadata": leaving}))


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        pytest.param({"successor": None}, "tls", id="none"),
        pytest.param({}, "tls", id="not-trusted-everywhere"),
        pytest.param({"trusted_since": NOW - OVERLAP / 2}, "tls", id="overlap"),
        pytest.param({"trusted_since": NOW - OVERLAP}, "next", id="overlap-is-over"),
        pytest.param({"used_since": NOW}, "next", id="in-use"),
        pytest.param(
            {"current": an_authority("one", start=NOW - 4000 * DAY)}, "next", id="expired"
        ),
    ],
)
def test_the_successor_signs_when_all_trust_it(rotation: dict[str, Any], expected: str) -> None:
    assert signer(held(**rotation), NOW) == expected


@given(
    wanted=st.timedeltas(min_value=timedelta(hours=1), max_value=3650 * DAY),
    left=st.timedeltas(min_value=-DAY, max_value=3650 * DAY),
)
def test_no_certificate_outlives_its_authority(wanted: timedelta, left: timedelta) -> None:
    if left < SHORTEST:
        with pytest.raises(InvalidSpec):
            lifetime_within(NOW + left, wanted, NOW)
    else:
        assert lifetime_within(NOW + left, wanted, NOW) == min(wanted, left)
