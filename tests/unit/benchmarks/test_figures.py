"""Figures: samples and counts become what a table can show."""

from collections import Counter

import pytest
from benchmarks.fanout.figures import Asked, api_requests, api_writes, described, line, quantile


def sample(verb: str, group: str, resource: str, value: int, *, part: str = "") -> str:
    labels = f'code="200",group="{group}",resource="{resource}",subresource="{part}",verb="{verb}"'
    return f"apiserver_request_total{{{labels}}} {value}\n"


METRICS = "".join(
    [
        "# TYPE apiserver_request_total counter\n",
        sample("PATCH", "orrery.dev", "globaldeployments", 2, part="status"),
        sample("PATCH", "orrery.dev", "globaldeployments", 1, part="status").replace("200", "409"),
        sample("APPLY", "orrery.dev", "globaldeployments", 1),
        sample("LIST", "orrery.dev", "regions", 4),
        sample("PUT", "coordination.k8s.io", "leases", 9),
        sample("GET", "", "secrets", 3),
        sample("LIST", "apps", "deployments", 5),
        sample("POST", "", "configmaps", 1),
    ]
)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(0.5, 2, id="half"),
        pytest.param(0.99, 4, id="nearly-all"),
        pytest.param(0.0, 1, id="none"),
        pytest.param(1.0, 4, id="all"),
    ],
)
def test_a_quantile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    assert quantile([4, 1, 3, 2], share) == expected


def test_a_line_splits_what_distance_adds_from_what_it_does_not() -> None:
    start, slope = line([(0.0, 0.04), (0.1, 0.24), (0.3, 0.64)])

    assert start == pytest.approx(0.04)
    assert slope == pytest.approx(2.0)


def test_requests_are_those_for_what_operators_use() -> None:
    found = api_requests(METRICS)

    assert found == Counter(
        {
            Asked("PATCH", "globaldeployments/status"): 3,
            Asked("APPLY", "globaldeployments"): 1,
            Asked("LIST", "regions"): 4,
            Asked("PUT", "leases"): 9,
            Asked("GET", "secrets"): 3,
        }
    )


def test_writes_are_neither_reads_nor_the_lease_nor_what_the_user_applied() -> None:
    found = api_writes(api_requests(METRICS))

    assert described(found) == {"PATCH globaldeployments/status": 3}
