"""Backoff: pauses grow to a limit, lie anywhere below it, and are kept per key."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from orrery.engine.backoff import Backoff


@given(seed=st.integers(), failures=st.integers(0, 2000))
def test_a_pause_is_never_longer_than_its_ceiling(seed: int, failures: int) -> None:
    backoff: Backoff[str] = Backoff(random=Random(seed), base=0.5, limit=300)

    pauses = [backoff.next("shop") for _ in range(min(failures, 50))]

    assert all(0 <= pause <= backoff.ceiling(n) <= 300 for n, pause in enumerate(pauses))
    assert backoff.ceiling(failures) <= 300


def test_the_ceiling_doubles_until_the_limit() -> None:
    backoff: Backoff[str] = Backoff(random=Random(0), base=0.5, factor=2, limit=3)

    assert [backoff.ceiling(n) for n in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_keys_that_failed_together_come_back_apart() -> None:
    backoff: Backoff[int] = Backoff(random=Random(1), base=10)

    pauses = {backoff.next(key) for key in range(100)}

    assert len(pauses) == 100
    assert max(pauses) - min(pauses) > 8


def test_a_forgotten_key_starts_over_and_takes_no_memory() -> None:
    backoff: Backoff[str] = Backoff(random=Random(0))
    for _ in range(5):
        backoff.next("shop")

    backoff.forget("shop")

    assert backoff.failures("shop") == 0
    assert len(backoff) == 0


def test_failures_of_one_key_do_not_slow_another() -> None:
    backoff: Backoff[str] = Backoff(random=Random(0), base=0.5)
    for _ in range(10):
        backoff.next("shop")

    assert backoff.next("blog") <= 0.5
