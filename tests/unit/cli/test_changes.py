"""Nomad's diff is told in the words of the spec."""

import pytest
from tests.unit.cli.diffs import Json, a_diff, a_field, an_object, unchanged

from orrery.cli.changes import Change, changes_of

ADDED, DELETED = "Added", "Deleted"


def a_network(port: int, kind: str) -> Json:
    label = a_field("Label", *(("", f"p{port}") if kind == ADDED else (f"p{port}", "")), kind)
    return an_object("Network", an_object("Dynamic Port", label, kind=kind), kind=kind)


def a_check(*fields: Json) -> Json:
    check = an_object("Check", unchanged("Name", "http-1"), *fields)
    return an_object("Service", unchanged("Name", "shop-3000"), check)


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        pytest.param(a_diff(), [], id="only-the-description-for-people"),
        pytest.param(
            a_diff(group=[a_field("Count", "1", "3")]), ["scaling.count: 1 -> 3"], id="count"
        ),
        pytest.param(
            a_diff(
                task=[
                    an_object(
                        "Resources",
                        a_field("CPU", "50", "60"),
                        unchanged("Cores", "0"),
                        a_field("MemoryMB", "256", "1024"),
                        a_field("MemoryMaxMB", "0", "2048"),
                    )
                ]
            ),
            [
                "resources.cpuMHz: 50 -> 60",
                "resources.memoryMB: 256 -> 1024",
                "resources.memoryMaxMB: 0 -> 2048",
            ],
            id="resources",
        ),
        pytest.param(
            a_diff(
                task=[
                    a_field("Env[A]", "1", "2"),
                    a_field("Env[B.c[0]]", "", "3", ADDED),
                    a_field("Env[C]", "x", "", DELETED),
                    a_field("Env[D]", "x", ""),
                ]
            ),
            ["env.A: 1 -> 2", "env.B.c[0]: none -> 3", "env.C: x -> none", 'env.D: x -> ""'],
            id="env",
        ),
        pytest.param(
            a_diff(task=[an_object("Config", a_field("image", "a:1", "a:2"))]),
            ["docker.image: a:1 -> a:2"],
            id="image",
        ),
        pytest.param(
            a_diff(
                group=[
                    an_object(
                        "Update",
                        unchanged("HealthyDeadline", "300000000000"),
                        a_field("MaxParallel", "1", "2"),
                        a_field("MinHealthyTime", "10000000000", "90000000000"),
                    )
                ]
            ),
            ["update.maxParallel: 1 -> 2", "update.minHealthyTime: 10s -> 1m30s"],
            id="update-with-durations",
        ),
        pytest.param(
            a_diff(
                group=[
                    an_object(
                        "Service",
                        an_object(
                            "Tags",
                            a_field("Tags", "", "orrery.route=/new", ADDED),
                            unchanged("Tags", "orrery.route=/kept"),
                            unchanged("Tags", "orrery.protocol=http"),
                            a_field("Tags", "orrery.route=/", "", DELETED),
                        ),
                    )
                ]
            ),
            ["routes: /, /kept -> /kept, /new"],
            id="routes",
        ),
        pytest.param(
            a_diff(group=[a_check(a_field("Interval", "15000000000", "20000000000"))]),
            ["healthChecks[http-1].interval: 15s -> 20s"],
            id="health-check",
        ),
        pytest.param(
            a_diff(group=[a_network(3000, DELETED), a_network(80, ADDED), a_network(3000, ADDED)]),
            ["ports: 3000 -> 80, 3000"],
            id="ports-in-the-order-of-numbers",
        ),
        pytest.param(
            a_diff(group=[an_object("Service", a_field("Name", "", "shop-80", ADDED), kind=ADDED)]),
            ["service[shop-80]: added"],
            id="a-whole-service",
        ),
        pytest.param(
            a_diff(
                group=[an_object("Service", a_field("Name", "wk-4000", "", DELETED), kind=DELETED)]
            ),
            ["service[wk-4000]: removed"],
            id="a-service-that-goes",
        ),
        pytest.param(
            a_diff(
                job=[
                    an_object(
                        "Affinity",
                        a_field("LTarget", "", "${node.datacenter}", ADDED),
                        a_field("RTarget", "", "fra1", ADDED),
                        kind=ADDED,
                    )
                ]
            ),
            ["placement.dataCenters.preferred: none -> fra1"],
            id="data-centers",
        ),
        pytest.param(
            a_diff(job=[a_field("Stop", "true", "false")]), ["stop: true -> false"], id="nomads-own"
        ),
    ],
)
def test_changes(diff: Json, expected: list[str]) -> None:
    assert [str(change) for change in changes_of(diff)] == expected


def test_template_is_told_by_the_variables_it_fills() -> None:
    old = '{{ with nomadVar "nomad/jobs/shop" }}\nA={{ .env_A.Value | toJSON }}\n{{ end }}\n'
    new = old.replace("{{ end }}", "B={{ .env_B.Value | toJSON }}\n{{ end }}")
    diff = a_diff(
        task=[
            an_object("Template", a_field("EmbeddedTmpl", "", new, ADDED), kind=ADDED),
            an_object("Template", a_field("EmbeddedTmpl", old, "", DELETED), kind=DELETED),
        ]
    )

    assert changes_of(diff) == (Change("env from Secrets", "A", "A, B"),)


def test_long_values_are_cut() -> None:
    change = Change("env.KEY", None, "x" * 500)

    assert str(change) == f"env.KEY: none -> {'x' * 60}..."
