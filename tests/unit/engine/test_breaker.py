"""Breaker: opens after failures in a row, tries once, closes on an answer."""

from random import Random

from orrery.engine.breaker import Breaker, BreakerState


def a_breaker(**changes: float) -> Breaker:
    numbers = {"base": 1.0, "limit": 8.0} | changes
    return Breaker(random=Random(0), threshold=3, **numbers)


def opened(breaker: Breaker, now: float = 0.0) -> Breaker:
    for _ in range(3):
        breaker.failed(now)
    return breaker


def test_it_stays_closed_below_the_threshold() -> None:
    breaker = a_breaker()

    breaker.failed(0)
    breaker.failed(0)

    assert breaker.state(0) is BreakerState.CLOSED


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breaker = a_breaker()

    for _ in range(5):
        breaker.failed(0)
        breaker.failed(0)
        breaker.answered()

    assert breaker.state(0) is BreakerState.CLOSED


def test_it_opens_at_the_threshold_and_lets_one_try_after_the_pause() -> None:
    breaker = opened(a_breaker())

    pause = breaker.remaining(0)

    assert breaker.state(0) is BreakerState.OPEN
    assert 0.5 <= pause <= 1.0
    assert breaker.state(pause) is BreakerState.HALF_OPEN


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_the_pause() -> None:
    breaker = opened(a_breaker())
    pause = breaker.remaining(0)

    for _ in range(5):
        breaker.failed(0.1)

    assert breaker.remaining(0) == pause


def test_a_failed_try_opens_it_for_longer_up_to_the_limit() -> None:
    breaker = opened(a_breaker(limit=4.0))
    now, pauses = 0.0, []

    for _ in range(6):
        pauses.append(breaker.remaining(now))
        now += breaker.remaining(now)
        breaker.failed(now)

    bounds = [1, 2, 4, 4, 4, 4]
    assert all(bound / 2 <= p <= bound for bound, p in zip(bounds, pauses, strict=True))


def test_an_answer_closes_it_and_forgets_how_long_it_was_open() -> None:
    breaker = opened(a_breaker())
    breaker.failed(breaker.remaining(0))

    breaker.answered()

    assert breaker.state(0) is BreakerState.CLOSED
    assert opened(breaker).remaining(0) <= 1.0
