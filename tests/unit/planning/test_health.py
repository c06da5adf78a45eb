"""Health: the job's own version is judged, never what another deployment says."""

import pytest

from orrery.planning.health import Health, judge
from orrery.ports import Allocation, JobDeployment


def alloc(
    version: int = 1,
    status: str = "running",
    *,
    desired: str = "run",
    healthy: bool | None = True,
    message: str = "",
) -> Allocation:
    return Allocation(f"a{version}{status}", version, status, desired, healthy, "n1", message)


def deployment(version: int = 1, status: str = "successful", text: str = "") -> JobDeployment:
    return JobDeployment("d", version, status, text, 2, 2, 0)


@pytest.mark.parametrize(
    ("allocations", "deployments", "expected"),
    [
        pytest.param([alloc(), alloc()], [deployment()], Health("Healthy", 2, 2), id="healthy"),
        pytest.param(
            [alloc(), alloc()], [], Health("Healthy", 2, 2), id="no-deployment-running-counts"
        ),
        pytest.param(
            [alloc(healthy=None), alloc()],
            [deployment(status="running")],
            Health("Updating", 1, 2),
            id="not-judged-yet",
        ),
        pytest.param(
            [alloc(version=0), alloc(version=0)],
            [deployment(version=0)],
            Health("Updating", 0, 2),
            id="success-of-another-version-does-not-count",
        ),
        pytest.param(
            [alloc(), alloc(), alloc(version=0)],
            [deployment()],
            Health("Updating", 2, 2),
            id="old-instances-still-run",
        ),
        pytest.param(
            [alloc(healthy=False, message="exit 1")],
            [deployment(status="failed", text="deadline")],
            Health(
                "Failed", 0, 2, "deadline: 0 of 2 instances are healthy, one fails with: exit 1"
            ),
            id="failed-says-why",
        ),
        pytest.param(
            [alloc(), alloc(status="failed", message="exit 1")],
            [deployment()],
            Health("Degraded", 1, 2, "1 of 2 instances are healthy, one fails with: exit 1"),
            id="one-died-later",
        ),
        pytest.param([], [], Health("Updating", 0, 2), id="not-scheduled-yet"),
        pytest.param(
            [], [deployment()], Health("Degraded", 0, 2), id="nothing-is-left-of-a-success"
        ),
        pytest.param(
            [alloc(), alloc(), alloc(status="complete", desired="stop")],
            [deployment()],
            Health("Healthy", 2, 2),
            id="replaced-instances-do-not-count",
        ),
    ],
)
def test_service_is_judged_by_its_own_version(
    allocations: list[Allocation], deployments: list[JobDeployment], expected: Health
) -> None:
    health = judge(
        job_type="service", count=2, version=1, allocations=allocations, deployments=deployments
    )

    assert health == expected


@pytest.mark.parametrize(
    ("allocations", "expected"),
    [
        pytest.param([alloc(status="complete")], Health("Healthy", 1, 1), id="ran-to-its-end"),
        pytest.param([alloc()], Health("Updating", 0, 1), id="runs"),
        pytest.param(
            [alloc(status="failed", message="exit 2")],
            Health("Degraded", 0, 1, "0 of 1 instances ran to their end, one failed with: exit 2"),
            id="failed",
        ),
        pytest.param([], Health("Updating", 0, 1), id="not-placed-yet"),
    ],
)
def test_batch_is_healthy_when_it_ran_to_its_end(
    allocations: list[Allocation], expected: Health
) -> None:
    health = judge(job_type="batch", count=1, version=1, allocations=allocations, deployments=[])

    assert health == expected


def test_system_job_wants_what_nomad_placed() -> None:
    health = judge(
        job_type="system",
        count=0,
        version=1,
        allocations=[alloc(), alloc(), alloc()],
        deployments=[],
    )

    assert health == Health("Healthy", 3, 3)


FAILED = alloc(status="failed", healthy=False, message="exit 1")
SUCCESSOR = alloc(status="pending", healthy=None)
STOPPED = alloc(status="failed", desired="stop", healthy=False, message="exit 1")


@pytest.mark.parametrize(
    ("allocations", "message"),
    [
        pytest.param([FAILED, SUCCESSOR], "one of 2 instances fails with: exit 1", id="failed"),
        pytest.param([FAILED, alloc()], "one of 2 instances fails with: exit 1", id="others-come"),
        pytest.param(
            [STOPPED, SUCCESSOR, alloc()],
            "one of 2 instances fails with: exit 1",
            id="has-a-successor",
        ),
        pytest.param([STOPPED, alloc()], None, id="its-successor-finds-no-place"),
        pytest.param([SUCCESSOR, alloc()], None, id="all-goes-well"),
    ],
)
def test_what_goes_wrong_in_a_roll_out_is_said_alike_until_it_ends(
    allocations: list[Allocation], message: str | None
) -> None:
    health = judge(
        job_type="service",
        count=2,
        version=1,
        allocations=allocations,
        deployments=[deployment(status="running")],
    )

    assert health.phase == "Updating"
    assert health.message == message


def test_an_only_instance_that_fails_is_called_so() -> None:
    health = judge(
        job_type="service",
        count=1,
        version=1,
        allocations=[FAILED],
        deployments=[deployment(status="running")],
    )

    assert health.message == "the only instance fails with: exit 1"
