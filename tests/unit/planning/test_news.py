"""News: trouble is told when it begins and when it is over, and nothing else is."""

import pytest

from orrery.api.conditions import Condition
from orrery.planning.news import News, news


def condition(kind: str, status: str, reason: str, message: str) -> Condition:
    return Condition(
        type=kind,
        status=status,  # type: ignore[arg-type]  # one of the three, in a table
        observed_generation=1,
        last_transition_time="2026-01-01T00:00:00Z",
        reason=reason,
        message=message,
    )


WELL = [condition("Ready", "True", "Succeeded", "healthy in 2 regions")]
MOVING = [condition("Ready", "False", "Progressing", "waiting for was")]
DARK = [*WELL, condition("Degraded", "True", "RegionUnreachable", "was does not answer")]
ILL = [*MOVING, condition("Degraded", "True", "Unhealthy", "was: exit 1")]
STUCK = [condition("Reconciling", "True", "SecretNotFound", 'Secret "x" does not exist')]
PAUSED = [condition("Reconciling", "True", "Paused", "spec.paused is true")]
WRONG = [condition("Stalled", "True", "InvalidSpec", "spec.x: no")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param([], MOVING, None, id="beginning"),
        pytest.param(MOVING, WELL, None, id="a-rollout-that-goes-well"),
        pytest.param(WELL, WELL, None, id="nothing"),
        pytest.param(
            WELL, DARK, News("Warning", "RegionUnreachable", "was does not answer"), id="dark"
        ),
        pytest.param(DARK, DARK, None, id="still-dark"),
        pytest.param(DARK, WELL, News("Normal", "Recovered", "healthy in 2 regions"), id="back"),
        pytest.param(DARK, MOVING, None, id="back-and-moving"),
        pytest.param(WELL, ILL, None, id="told-by-the-region"),
        pytest.param(
            WELL,
            STUCK,
            News("Warning", "SecretNotFound", 'Secret "x" does not exist'),
            id="nothing-can-be-done",
        ),
        pytest.param(STUCK, STUCK, None, id="still-nothing-can-be-done"),
        pytest.param(
            STUCK, WELL, News("Normal", "Recovered", "healthy in 2 regions"), id="all-can-be-done"
        ),
        pytest.param(WELL, PAUSED, None, id="paused-on-purpose"),
        pytest.param([], WRONG, News("Warning", "InvalidSpec", "spec.x: no"), id="wrong-spec"),
    ],
)
def test_news(before: list[Condition], after: list[Condition], expected: News | None) -> None:
    assert news(before, after) == expected
