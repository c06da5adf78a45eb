"""The write protocol: every write has its precondition, and nothing foreign is ever written."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery import names
from orrery.planning.protocol import (
    FailedAttempt,
    Foreign,
    Gone,
    Memory,
    Owner,
    Purge,
    Register,
    Reverted,
    Seen,
    Settled,
    Stop,
    needs_no_call,
    next_removal,
    next_write,
)
from orrery.ports import Job, JobDeployment

OWNER = Owner("orrery", "team-a", "shop")
STAMP = names.job_meta("orrery", "team-a", "shop")


def a_job(*, version: int = 0, index: int = 11, stop: bool = False, **meta: str) -> Job:
    stamp = meta or STAMP
    return Job("orrery-team-a", "shop", version, index, stop, stamp, {})


def seen(*, index: int = 11, stop: bool = False) -> Seen:
    return Seen(index, stop, ours=True, running=1)


def a_failure(version: int, *, asked_again: bool = True) -> FailedAttempt:
    deployment = JobDeployment("d", version, "failed", "rolled back", 1, 0, 1)
    return FailedAttempt(deployment, asked_again=asked_again)


def decide(job: Job | None, *, memory: Memory | None = None, **seen: object) -> object:
    facts: dict[str, object] = {"submitted_digest": "new", "differences": (), "failed": None}
    return next_write(
        owner=OWNER,
        digest="new",
        memory=memory or Memory(),
        job=job,
        **(facts | seen),  # type: ignore[arg-type] # a table of facts, checked by its use
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(decide(None), Register(0), id="absent-is-created-if-still-absent"),
        pytest.param(decide(a_job()), Settled(11), id="equal-is-left-alone"),
        pytest.param(
            decide(None, memory=Memory("new", 5), finished=True),
            Settled(5),
            id="what-ran-to-its-end-may-be-forgotten",
        ),
        pytest.param(
            decide(None, memory=Memory("old", 5), finished=True),
            Register(0),
            id="a-new-wish-runs-again",
        ),
        pytest.param(
            decide(a_job(), submitted_digest=None), Settled(11), id="equal-without-note-is-adopted"
        ),
        pytest.param(
            decide(a_job(), submitted_digest="old"), Register(11), id="older-note-is-updated"
        ),
        pytest.param(
            decide(a_job(), differences=("Count: 3 -> 5",)), Register(11), id="different-is-updated"
        ),
        pytest.param(
            decide(a_job(index=14), differences=("Count: 3 -> 5",), memory=Memory("new", 11)),
            Register(14, ("Count: 3 -> 5",)),
            id="edited-by-hand-is-repaired-and-told",
        ),
        pytest.param(
            decide(a_job(index=14, stop=True), memory=Memory("new", 11)),
            Register(14, ("Stop: false -> true",)),
            id="stopped-by-hand-is-started-and-told",
        ),
        pytest.param(
            decide(a_job(orrery_install="other", orrery_namespace="team-a", orrery_name="shop")),
            Foreign("of team-a/shop in installation 'other'"),
            id="other-installation-is-foreign",
        ),
        pytest.param(
            decide(a_job(owner="somebody")),
            Foreign("not managed by Orrery"),
            id="no-stamp-is-foreign",
        ),
        pytest.param(
            decide(
                a_job(version=2, index=20),
                submitted_digest="old",
                failed=a_failure(1),
                memory=Memory("new", 15),
            ),
            Reverted(20, 1, "rolled back"),
            id="auto-revert-is-not-fought",
        ),
        pytest.param(
            decide(a_job(version=2, index=20), submitted_digest="old", failed=a_failure(1)),
            Reverted(20, 1, "rolled back"),
            id="auto-revert-is-recognised-without-memory",
        ),
        pytest.param(
            decide(
                a_job(version=2, index=20),
                submitted_digest="old",
                failed=a_failure(1, asked_again=False),
                memory=Memory("old", 11),
            ),
            Reverted(20, 1, "rolled back"),
            id="auto-revert-is-recognised-with-an-older-memory",
        ),
        pytest.param(
            decide(
                a_job(version=3, index=20),
                submitted_digest="old",
                failed=a_failure(1),
                memory=Memory("old", 20),
            ),
            Register(20),
            id="asking-again-after-something-else-is-tried-again",
        ),
    ],
)
def test_next_write(step: object, expected: object) -> None:
    assert step == expected


@pytest.mark.parametrize(
    ("memory", "repairs"),
    [
        pytest.param(Memory("new", 1), ("the job was purged",), id="as-we-left-it"),
        pytest.param(Memory("new", 0), (), id="never-known-to-have-arrived"),
        pytest.param(Memory("old", 5), (), id="another-spec"),
        pytest.param(Memory(), (), id="never-there"),
    ],
)
def test_a_purge_by_somebody_else_is_told(memory: Memory, repairs: tuple[str, ...]) -> None:
    assert decide(None, memory=memory) == Register(0, repairs)


def test_a_job_that_ran_to_its_end_is_still_brought_to_what_is_wanted_while_it_is_there() -> None:
    left = Memory("new", 11)

    step = decide(a_job(index=14), differences=("x",), memory=left, finished=True)

    assert step == Register(14, ("x",))


def test_a_job_that_differs_though_nobody_wrote_is_brought_to_what_is_wanted_in_silence() -> None:
    assert decide(a_job(), differences=("x",), memory=Memory("new", 11)) == Register(11)


def test_a_job_that_was_reverted_and_is_stopped_is_started() -> None:
    stopped = a_job(version=2, index=20, stop=True)

    step = decide(stopped, submitted_digest="old", failed=a_failure(1), memory=Memory("new", 15))

    assert step == Register(20, ("Stop: false -> true",))


def test_a_failure_of_the_version_that_is_there_is_no_revert() -> None:
    failed = a_failure(2, asked_again=False)

    step = decide(a_job(version=2, index=20), differences=("x",), failed=failed)

    assert step == Register(20)


def test_a_foreign_stamp_with_gaps_is_described_as_far_as_it_goes() -> None:
    assert decide(a_job(orrery_install="other")) == Foreign("of ?/? in installation 'other'")


@pytest.mark.parametrize(
    ("job", "running", "expected"),
    [
        pytest.param(None, 0, Gone(), id="absent"),
        pytest.param(a_job(owner="somebody"), 2, Gone(), id="foreign"),
        pytest.param(a_job(), 2, Stop(11), id="running-is-stopped"),
        pytest.param(a_job(stop=True), 2, Settled(11), id="instances-are-awaited"),
        pytest.param(a_job(stop=True), 0, Purge(), id="ended-is-purged"),
    ],
)
def test_next_removal(job: Job | None, running: int, expected: object) -> None:
    assert next_removal(owner=OWNER, job=job, running=running) == expected


@pytest.mark.parametrize(
    ("memory", "as_seen", "expected"),
    [
        pytest.param(Memory("new", 11), seen(), True, id="as-we-left-it"),
        pytest.param(Memory("old", 11), seen(), False, id="another-spec"),
        pytest.param(Memory("new", 11), seen(index=12), False, id="somebody-wrote"),
        pytest.param(Memory("new", 11), seen(stop=True), False, id="stopped"),
        pytest.param(Memory("new", 11), None, False, id="gone"),
        pytest.param(Memory("new", 0), seen(index=0), False, id="index-not-known"),
    ],
)
def test_needs_no_call(memory: Memory, as_seen: Seen | None, expected: bool) -> None:  # noqa: FBT001 - a table
    assert needs_no_call("new", memory, as_seen) is expected


@pytest.mark.parametrize(
    ("memory", "as_seen", "expected"),
    [
        pytest.param(Memory("new", 11), None, True, id="forgotten-by-nomad"),
        pytest.param(Memory("old", 11), None, False, id="another-spec"),
        pytest.param(Memory("new", 11), seen(index=12), False, id="somebody-wrote"),
    ],
)
def test_a_job_that_ran_to_its_end_may_be_gone(
    memory: Memory,
    as_seen: Seen | None,
    expected: bool,  # noqa: FBT001 - a table
) -> None:
    assert needs_no_call("new", memory, as_seen, finished=True) is expected


@dataclass(slots=True)
class Region:
    """A region reduced to what the protocol is about: one job under compare-and-set."""

    digest: str | None
    index: int
    stop: bool = False

    def job(self) -> Job | None:
        if self.digest is None:
            return None
        return a_job(index=self.index, stop=self.stop)

    def register(self, expected_index: int, digest: str) -> bool:
        present = 0 if self.digest is None else self.index
        if expected_index != present:
            return False
        self.digest, self.index, self.stop = digest, self.index + 1, False
        return True


digests = st.sampled_from(["a", "b", "c"])


@given(
    start=st.builds(Region, st.none() | digests, st.integers(1, 9), st.booleans()),
    memory=st.builds(Memory, digests, st.integers(0, 12)),
    wanted=digests,
)
def test_one_write_is_enough_and_the_next_look_finds_nothing_to_do(
    start: Region, memory: Memory, wanted: str
) -> None:
    region = replace(start)
    if region.digest is None:
        region.stop = False

    writes = 0
    for _ in range(3):
        step = next_write(
            owner=OWNER,
            digest=wanted,
            memory=memory,
            job=region.job(),
            submitted_digest=region.digest,
            differences=() if region.digest == wanted else ("x",),
        )
        if isinstance(step, Settled):
            memory = Memory(wanted, step.index)
            break
        assert isinstance(step, Register)
        assert region.register(step.expected_index, wanted)
        writes += 1

    assert (region.digest, region.stop) == (wanted, False)
    assert writes <= 1
    assert needs_no_call(wanted, memory, seen(index=region.index))
