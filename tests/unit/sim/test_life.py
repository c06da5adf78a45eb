"""How jobs fare in a simulated region: as their images say, at the pace that is set."""

from tests.unit.sim.planet import Planet, a_job

from orrery.sim import Machine, Timing

SECOND = 1_000_000_000


def test_instances_become_healthy_in_a_moment() -> None:
    planet = Planet()

    planet.region.register(a_job(count=3))
    planet.live(0.2)

    assert [row.healthy for row in planet.running()] == [True] * 3
    assert planet.deployments()[0].status == "successful"
    assert planet.job().stable


def test_nothing_runs_before_its_time() -> None:
    planet = Planet(timing=Timing(start=1.0, healthy=2.0))
    planet.region.register(a_job())

    planet.live(0.9)
    pending = [row.client_status for row in planet.instances()]
    planet.live(0.2)
    running = [(row.client_status, row.healthy) for row in planet.instances()]
    planet.live(2.0)

    assert pending == ["pending"]
    assert running == [("running", None)]
    assert planet.instances()[0].healthy


def test_bad_image_never_runs_and_its_deployment_fails() -> None:
    planet = Planet()

    planet.region.register(a_job(image="shop/web:bad"))
    planet.live(10)

    assert planet.running() == []
    assert planet.deployments()[0].status == "failed"
    assert planet.deployments()[0].description.startswith("Failed due to progress deadline")


def test_bad_image_says_why() -> None:
    planet = Planet()
    policy = {"Attempts": 0, "Unlimited": False}

    planet.region.register(
        a_job(image="shop/web:bad", RestartPolicy={"Attempts": 0}, ReschedulePolicy=policy)
    )
    planet.live(1)

    events = planet.instances()[0].tasks[0].events
    assert [event.type for event in events] == [
        "Received",
        "Task Setup",
        "Driver Failure",
        "Not Restarting",
        "Alloc Unhealthy",
    ]
    assert "shop/web:bad" in events[2].text


def test_bad_update_is_reverted() -> None:
    planet = Planet()
    update = {"AutoRevert": True}
    planet.region.register(a_job(count=2, Update=update))
    planet.live(1)

    planet.region.register(a_job(image="shop/web:bad", count=2, Update=update))
    planet.live(20)

    assert (planet.job().version, planet.job().stable) == (2, True)
    assert [row.healthy for row in planet.running()] == [True, True]
    assert {row.job_version for row in planet.running()} == {2}
    assert [d.status for d in planet.deployments()] == ["successful", "failed", "successful"]


def test_flaky_image_runs_at_the_second_attempt() -> None:
    planet = Planet()

    planet.region.register(a_job(image="shop/web:flaky"))
    planet.live(10)

    first, second = planet.instances()
    assert (first.client_status, first.next) == ("failed", second.id)
    assert (second.client_status, second.healthy, second.previous) == ("running", True, first.id)
    assert planet.deployments()[0].status == "successful"


def test_policies_of_a_job_are_scaled() -> None:
    planet = Planet(timing=Timing(scale=0.001))

    planet.region.register(a_job(image="shop/web:bad"))
    planet.live(0.5)
    running = planet.deployments()[0].status
    planet.live(0.2)

    # Ten minutes of progress deadline are 0.6 seconds.
    assert (running, planet.deployments()[0].status) == ("running", "failed")


def test_full_machines_leave_instances_queued_until_there_is_room() -> None:
    planet = Planet(Machine("small", cpu_mhz=250))
    planet.region.register(a_job("first", count=2))
    planet.live(1)
    planet.region.register(a_job("second"))
    planet.live(1)
    queued = planet.region.summary(planet.job("second"))["Summary"]["instances"]["Queued"]

    planet.region.register(a_job("first", count=1))
    planet.live(1)

    assert queued == 1
    assert len(planet.running("second")) == 1
    summary = planet.region.summary(planet.job("second"))["Summary"]["instances"]
    assert (summary["Queued"], summary["Running"]) == (0, 1)


def test_new_machine_makes_room() -> None:
    planet = Planet(Machine("small", cpu_mhz=50))
    planet.region.register(a_job())
    planet.live(1)
    before = len(planet.running())

    planet.region.add_nodes([Machine("large")])
    planet.live(1)

    assert (before, [row.node_name for row in planet.running()]) == (0, ["large"])


def test_instances_spread_over_machines() -> None:
    planet = Planet(*(Machine(f"m{i}") for i in range(4)))

    planet.region.register(a_job(count=4))
    planet.live(1)

    assert {row.node_name for row in planet.running()} == {"m0", "m1", "m2", "m3"}


def test_preferred_data_center_is_preferred() -> None:
    planet = Planet(Machine("a", datacenter="fra1"), Machine("b", datacenter="fra2"))
    affinity = {
        "LTarget": "${node.datacenter}",
        "Operand": "set_contains_any",
        "RTarget": "fra2",
        "Weight": 50,
    }

    planet.region.register(a_job() | {"Affinities": [affinity]})
    planet.live(1)

    assert [row.node_name for row in planet.running()] == ["b"]


def test_machine_without_the_driver_is_passed_over() -> None:
    planet = Planet(Machine("bare", drivers=frozenset({"raw_exec"})), Machine("full"))

    planet.region.register(a_job(count=2))
    planet.live(1)

    assert {row.node_name for row in planet.running()} == {"full"}


def test_system_job_runs_once_on_every_machine() -> None:
    planet = Planet(*(Machine(f"m{i}") for i in range(3)))

    planet.region.register(a_job() | {"Type": "system"})
    planet.live(1)

    assert sorted(row.node_name for row in planet.running()) == ["m0", "m1", "m2"]


def test_batch_job_completes() -> None:
    planet = Planet()

    planet.region.register(a_job(count=2) | {"Type": "batch"})
    planet.live(1)

    assert [row.client_status for row in planet.instances()] == ["complete", "complete"]
    assert planet.job().status == "dead"


def test_failing_task_is_restarted_in_place_first() -> None:
    planet = Planet(timing=Timing(scale=1.0))
    job = a_job(RestartPolicy={"Attempts": 2, "Interval": 60 * SECOND, "Delay": SECOND})
    task = job["TaskGroups"][0]["Tasks"][0]
    task |= {"Driver": "mock_driver", "Config": {"run_for": "100ms", "exit_code": 1}}

    planet.region.register(job)
    planet.live(5)

    (instance,) = planet.instances()
    assert instance.tasks[0].restarts == 2
    assert instance.client_status == "failed"


def test_snapshot_brings_old_state_back() -> None:
    planet = Planet()
    planet.region.register(a_job())
    planet.live(1)
    planet.region.snapshot("before")
    index = planet.region.index
    planet.region.register(a_job(image="shop/web:2"))
    planet.region.register(a_job("other"))
    planet.live(1)

    planet.region.restore("before")

    assert planet.region.index == index
    assert [job.id for job in planet.region.list_jobs()] == ["shop"]
    assert planet.job().version == 0
    assert len(planet.running()) == 1


def test_restored_region_lives_on() -> None:
    planet = Planet()
    planet.region.register(a_job())
    planet.region.snapshot()
    planet.live(1)

    planet.region.restore()
    planet.live(1)

    assert planet.deployments()[0].status == "successful"
    assert len(planet.running()) == 1


def test_equal_jobs_of_many_regions_share_their_document() -> None:
    one, other = Planet(), Planet()

    one.region.register(a_job())
    other.region.register(a_job())

    assert one.job().spec is other.job().spec


def test_ports_are_told_apart() -> None:
    planet = Planet(Machine("only"))
    network = {"DynamicPorts": [{"Label": "http"}, {"Label": "admin", "To": 80}]}

    planet.region.register(a_job(count=3, Networks=[network]))
    planet.live(1)

    values = [value for row in planet.running() for _, value, _ in row.ports]
    assert len(set(values)) == len(values) == 6
    assert {(label, to) for row in planet.running() for label, _, to in row.ports} == {
        ("http", 0),
        ("admin", 80),
    }
