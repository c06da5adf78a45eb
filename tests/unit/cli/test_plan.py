"""`orrery plan`: what manifests are taken, and how the forecast is laid out."""

import pytest
from tests.builders import a_deployment
from tests.unit.cli.hubs import a_secret_manifest

from orrery.cli.changes import Change
from orrery.cli.dryrun import Action, Outcome
from orrery.cli.forecast import Forecast
from orrery.cli.manifests import Manifest
from orrery.cli.output import WIDTH, rendered
from orrery.cli.plan import accept_all, as_json, exit_code, lines, namespaces_in, secrets_in
from orrery.errors import InvalidSpec
from orrery.ports import Secret


@pytest.mark.parametrize("second", ["a.yaml", "b.yaml"])
def test_the_same_deployment_twice_is_refused(second: str) -> None:
    twins = [Manifest("a.yaml", a_deployment("shop")), Manifest(second, a_deployment("shop"))]

    with pytest.raises(InvalidSpec) as refused:
        accept_all(twins)

    assert refused.value.message == (
        f"GlobalDeployment shop in {second} was read before, from a.yaml: plan one of them"
    )


def test_string_data_of_a_secret_wins() -> None:
    manifest = a_secret_manifest("db", namespace="team-b", a="old", b="2") | {
        "stringData": {"a": "new"}
    }

    secrets = secrets_in([Manifest("f", manifest)], "team-a")

    expected = Secret("team-b", "db", "Opaque", {}, {"a": b"new", "b": b"2"})
    assert secrets == {("team-b", "db"): expected}


def test_every_problem_of_every_manifest_is_named() -> None:
    broken = [
        Manifest("a.yaml", a_deployment("one", scaling={"count": -1})),
        Manifest("b.yaml", a_deployment("two", dockr={})),
    ]

    with pytest.raises(InvalidSpec) as refused:
        accept_all(broken)

    assert refused.value.message.splitlines() == [
        "GlobalDeployment one in a.yaml is not valid:",
        "  spec.scaling.count: -1 is not allowed, must be a whole number from 0 to 10000",
        "GlobalDeployment two in b.yaml is not valid:",
        "  spec.dockr: unknown field, did you mean docker?",
    ]


FORECAST = Forecast(
    "team-a",
    "shop",
    {
        "was": Outcome(
            Action.UPDATE,
            (Change("resources.memoryMB", "256", "1024"),),
            (("destructive", 10), ("canary", 1)),
            at_a_time=2,
            no_room=("3 machines looked at, 3 full (3 out of memory)",),
        ),
        "fra": Outcome(Action.NOTHING),
        "par": Outcome(Action.NOTHING),
        "sfo": Outcome(Action.UNREACHABLE, notes=("connection refused",)),
        "sin": Outcome(Action.LATER, notes=("will be brought to this spec when it answers",)),
    },
    notes=('region "tyo" is not available',),
)


def test_regions_with_the_same_answer_share_a_paragraph() -> None:
    assert rendered(*lines([FORECAST], ["Secret db in shop.yaml"])) == (
        "GlobalDeployment team-a/shop\n"
        "  update in 1 region: was\n"
        "    resources.memoryMB: 256 -> 1024\n"
        "    instances: 10 to replace, 2 at a time, 1 to start first, as canary\n"
        "    no room: 3 machines looked at, 3 full (3 out of memory)\n"
        "  later in 1 region: sin\n"
        "    will be brought to this spec when it answers\n"
        "  no change in 2 regions: fra, par\n"
        "  not known in 1 region: sfo\n"
        "    connection refused\n"
        '  note: region "tyo" is not available\n'
        "skipped: Secret db in shop.yaml\n"
    )


def test_a_hundred_regions_fit_the_width() -> None:
    outcomes = {f"region-{n}": Outcome(Action.NOTHING) for n in range(100)}

    text = rendered(*lines([Forecast("team-a", "shop", outcomes)], []))

    assert max(map(len, text.splitlines())) <= WIDTH


def test_what_the_hub_will_refuse_of_other_kinds_is_an_error() -> None:
    refused = ["Region fra in f: spec.continent: eu -> na: continent cannot be changed"]

    text = rendered(*lines([FORECAST], ["Region fra in f"], refused))

    assert text.endswith(f"refused: {refused[0]}\nskipped: Region fra in f\n")
    assert exit_code([FORECAST], refused) == 255
    assert as_json([FORECAST], [], refused)["refused"] == refused
    assert as_json([FORECAST], [], refused)["exitCode"] == 255


def test_namespaces_in_the_files_count_as_applied() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    manifests = [Manifest("f", namespace), Manifest("f", a_secret_manifest("db"))]

    assert namespaces_in(manifests) == {"new"}


def test_json_holds_the_same() -> None:
    document = as_json([FORECAST], ["Secret db in shop.yaml"])

    (deployment,) = document["deployments"]
    assert deployment["groups"][0] == {
        "action": "update",
        "regions": ["was"],
        "changes": [{"field": "resources.memoryMB", "old": "256", "new": "1024"}],
        "instances": {"destructive": 10, "canary": 1},
        "atATime": 2,
        "noRoom": ["3 machines looked at, 3 full (3 out of memory)"],
        "notes": [],
    }
    assert document["exitCode"] == 1
