"""Drift: what somebody changed is found, what Nomad fills in is not."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.drift import differences

JOB: dict[str, Any] = {
    "ID": "shop",
    "Datacenters": ["*"],
    "Meta": {"orrery_install": "orrery"},
    "Affinities": [],
    "UI": {"Description": "revision a"},
    "TaskGroups": [
        {
            "Name": "instances",
            "Count": 3,
            "Networks": [{"DynamicPorts": [{"Label": "p80", "To": 0}, {"Label": "p90", "To": 0}]}],
            "Services": [{"Name": "shop-80", "Tags": ["a", "b"], "Checks": []}],
            "Update": {"MaxParallel": 1, "AutoRevert": True, "MinHealthyTime": 10_000_000_000},
            "Tasks": [
                {
                    "Name": "app",
                    "Config": {"image": "demo:1", "args": ["-v"]},
                    "Env": {"LOG": "info", "EMPTY": ""},
                    "Templates": [],
                }
            ],
        }
    ],
}


def as_nomad_reads_it() -> dict[str, Any]:
    """Fill in defaults, and drop what is empty, as a server does."""
    seen = copy.deepcopy(JOB)
    group = seen["TaskGroups"][0]
    group["Networks"][0]["DynamicPorts"] = [
        {"Label": "p90", "HostNetwork": "default"},
        {"Label": "p80", "HostNetwork": "default"},
    ]
    group["Services"][0] |= {"Checks": None, "Cluster": "default"}
    group["Constraints"] = [{"LTarget": "${attr.nomad.version}"}]
    group["Update"]["Stagger"] = 30_000_000_000
    group["Tasks"][0] |= {"Templates": None, "KillTimeout": 5_000_000_000}
    return seen | {"Affinities": None, "Priority": 50, "UI": None, "Stop": False}


def test_what_nomad_fills_in_is_no_drift() -> None:
    assert differences(JOB, as_nomad_reads_it()) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        pytest.param(
            ["TaskGroups", 0, "Count"], 5, "TaskGroups[instances].Count: 3 -> 5", id="count"
        ),
        pytest.param(
            ["TaskGroups", 0, "Count"], 0, "TaskGroups[instances].Count: 3 -> 0", id="count-zero"
        ),
        pytest.param(
            ["TaskGroups", 0, "Update", "AutoRevert"],
            False,
            "TaskGroups[instances].Update.AutoRevert: True -> False",
            id="flag",
        ),
        pytest.param(
            ["TaskGroups", 0, "Update"],
            None,
            "TaskGroups[instances].Update.AutoRevert: True -> none",
            id="whole-block-removed",
        ),
        pytest.param(
            ["TaskGroups", 0, "Services", 0, "Tags"],
            ["a"],
            "TaskGroups[instances].Services[shop-80].Tags: ['a', 'b'] -> ['a']",
            id="tags",
        ),
        pytest.param(
            ["TaskGroups", 0, "Services"],
            None,
            "TaskGroups[instances].Services[shop-80]: removed",
            id="service-removed",
        ),
        pytest.param(
            ["TaskGroups", 0, "Tasks", 0, "Templates"],
            [{"DestPath": "local/x"}],
            "TaskGroups[instances].Tasks[app].Templates[local/x]: added",
            id="template-added",
        ),
        pytest.param(
            ["Affinities"],
            [{"LTarget": "${node.datacenter}"}],
            "Affinities[${node.datacenter}]: added",
            id="affinity-added",
        ),
        pytest.param(["Meta", "owner"], "me", "Meta.owner: added", id="meta-added"),
        pytest.param(
            ["TaskGroups", 0, "Tasks", 0, "Config", "privileged"],
            True,
            "TaskGroups[instances].Tasks[app].Config.privileged: added",
            id="config-added",
        ),
        pytest.param(
            ["TaskGroups", 0, "Tasks", 0, "Env"],
            {"LOG": "info"},
            "TaskGroups[instances].Tasks[app].Env.EMPTY: removed",
            id="empty-env-removed",
        ),
    ],
)
def test_a_change_by_somebody_else_is_named(
    path: list[str | int], value: object, expected: str
) -> None:
    seen = as_nomad_reads_it()
    target: Any = seen
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value

    assert expected in differences(JOB, seen)


def test_values_of_variables_are_never_quoted() -> None:
    seen = as_nomad_reads_it()
    seen["TaskGroups"][0]["Tasks"][0]["Env"]["LOG"] = "hunter2"

    assert differences(JOB, seen) == ["TaskGroups[instances].Tasks[app].Env.LOG: changed"]


def test_the_description_for_people_is_no_drift() -> None:
    seen = as_nomad_reads_it() | {"UI": {"Description": "revision b"}}

    assert differences(JOB, seen) == []


@pytest.mark.parametrize(
    ("wanted", "seen", "expected"),
    [
        pytest.param(None, [{"Name": "a"}], ["X[a]: added"], id="objects-where-none-is-wanted"),
        pytest.param("a", [], ["X: a -> none"], id="a-text-that-became-an-empty-list"),
        pytest.param([{"MTU": 1}], [{"MTU": 2}], ["X[0].MTU: 1 -> 2"], id="an-object-without-name"),
        pytest.param(
            [{"Name": "a", "To": 1}, {"Name": "a", "To": 2}],
            [{"Name": "a", "To": 9}, {"Name": "a", "To": 2}],
            ["X[a].To: 1 -> 9"],
            id="the-first-of-two-with-one-name",
        ),
        pytest.param(
            [{"Name": "a", "To": 1}, {"Name": "a", "To": 2}],
            [{"Name": "a", "To": 1}],
            ["X[a#1]: removed"],
            id="the-second-of-two-with-one-name",
        ),
        pytest.param(
            [{"To": 1}, {"To": 2}], [{"To": 1}], ["X[1]: removed"], id="the-second-without-name"
        ),
        pytest.param(
            {"Env": {"A": "1"}}, {"Env": None}, ["X.Env.A: removed"], id="a-whole-environment"
        ),
        pytest.param({"A": 1}, "text", ["X: {'A': 1} -> text"], id="another-kind-of-value"),
        pytest.param("a", "b" * 60, [f"X: a -> {'b' * 60}"], id="a-text-that-is-quoted-whole"),
        pytest.param("a", "b" * 61, [f"X: a -> {'b' * 60}..."], id="a-text-that-is-cut"),
    ],
)
def test_a_difference_has_its_path_and_both_values(
    wanted: object, seen: object, expected: list[str]
) -> None:
    assert differences({"X": wanted}, {"X": seen}) == expected


def test_differences_are_sorted_by_their_paths() -> None:
    wanted = dict.fromkeys("dbca", 1)

    assert differences(wanted, {}) == [f"{field}: 1 -> none" for field in "abcd"]


@pytest.mark.parametrize("key", ["Name", "Label", "DestPath", "Attribute", "LTarget", "Value"])
def test_the_order_of_objects_with_names_is_no_drift(key: str) -> None:
    objects = [{key: "a", "To": 1}, {key: "b", "To": 2}]

    assert differences({"X": objects}, {"X": objects[::-1]}) == []


EMPTY: st.SearchStrategy[Any] = st.sampled_from([None, "", 0, False, [], {}])


@given(wanted=EMPTY, seen=EMPTY)
def test_one_kind_of_nothing_does_not_differ_from_another(wanted: object, seen: object) -> None:
    assert differences({"X": wanted}, {"X": seen}) == []
    assert differences({"X": wanted}, {}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcName", max_size=4), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), JSON))
def test_a_document_never_differs_from_itself(document: dict[str, Any]) -> None:
    assert differences(document, document) == []


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif isinstance(document, list) and document:
        for position, value in enumerate(document):
            yield from leaves(value, (*path, position))
    else:
        yield path


@pytest.mark.parametrize("path", [p for p in leaves(JOB) if p[0] != "UI"], ids=str)
def test_every_field_that_is_written_is_watched(path: tuple[str | int, ...]) -> None:
    seen = as_nomad_reads_it()
    seen["TaskGroups"][0]["Networks"] = copy.deepcopy(JOB["TaskGroups"][0]["Networks"])
    target: Any = seen
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = "changed by a human"

    assert differences(JOB, seen)
