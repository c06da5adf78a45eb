"""Manifests are read from files, folders and standard input."""

from io import StringIO
from pathlib import Path

import pytest

from orrery.cli.manifests import Manifest, deployments_in, in_namespace, read_manifests
from orrery.errors import InvalidSpec

DEPLOYMENT = "apiVersion: orrery.dev/v1alpha1\nkind: GlobalDeployment\nmetadata: {name: shop}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_file_may_hold_several_documents(tmp_path: Path) -> None:
    written(tmp_path, a_yaml=f"{DEPLOYMENT}---\n---\n{SECRET}")

    found = read_manifests(str(tmp_path / "a.yaml"))

    assert [(m.kind, m.name, m.is_deployment) for m in found] == [
        ("GlobalDeployment", "shop", True),
        ("Secret", "db", False),
    ]


def test_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    written(tmp_path, b_yaml=SECRET, a_json='{"kind": "ConfigMap"}', c_yml=DEPLOYMENT, d_md="- x")

    assert [m.kind for m in read_manifests(str(tmp_path))] == [
        "ConfigMap",
        "Secret",
        "GlobalDeployment",
    ]


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(DEPLOYMENT))

    (manifest,) = read_manifests("-")

    assert str(manifest) == "GlobalDeployment shop in standard input"


def test_several_places_are_read_in_their_order(tmp_path: Path) -> None:
    written(tmp_path, a_yaml=SECRET, b_yaml=DEPLOYMENT)

    found = read_manifests(str(tmp_path / "b.yaml"), str(tmp_path / "a.yaml"))

    assert [m.kind for m in found] == ["GlobalDeployment", "Secret"]


def test_standard_input_can_be_read_once() -> None:
    with pytest.raises(InvalidSpec, match="standard input can be read once"):
        read_manifests("-", "-")


def test_list_is_unpacked(tmp_path: Path) -> None:
    written(tmp_path, a_yaml="kind: List\nitems: [{kind: A}, {kind: B}]\n")

    assert [m.kind for m in read_manifests(str(tmp_path))] == ["A", "B"]


def test_date_is_text_as_it_is_for_kubectl(tmp_path: Path) -> None:
    written(tmp_path, a_yaml="day: 2026-03-01\nmoment: 2026-03-01T12:00:00Z\nnumber: 7\n")

    (manifest,) = read_manifests(str(tmp_path))

    assert manifest.document == {"day": "2026-03-01", "moment": "2026-03-01T12:00:00Z", "number": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "a.yaml: line 1: ", id="not-yaml"),
        pytest.param("a: b\nc: d: e\n", "a.yaml: line 2: mapping values", id="a-line-is-named"),
        pytest.param("- a\n", "must be an object, not a list", id="a-list"),
        pytest.param("text", "must be an object, not a single value", id="text"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    written(tmp_path, a_yaml=text)

    with pytest.raises(InvalidSpec) as refused:
        read_manifests(str(tmp_path / "a.yaml"))

    assert message in refused.value.message


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    written(tmp_path, a_yaml="a: [", b_yaml=DEPLOYMENT, c_yaml="- a\n")
    missing = str(tmp_path / "no.yaml")

    with pytest.raises(InvalidSpec) as refused:
        read_manifests(str(tmp_path), missing)

    first, second, third = refused.value.message.splitlines()
    assert first.startswith(f"{tmp_path}/a.yaml: line 1: ")
    assert second == f"{tmp_path}/c.yaml: a manifest must be an object, not a list"
    assert third == f"{missing}: no such file or folder"


def test_missing_file_and_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="no such file or folder"):
        read_manifests(str(tmp_path / "no.yaml"))
    with pytest.raises(InvalidSpec, match=r"no \.yaml, \.yml or \.json file"):
        read_manifests(str(tmp_path))


def test_files_without_a_deployment_say_what_they_hold() -> None:
    others = [
        Manifest("f", {"kind": "Secret", "apiVersion": "v1"}),
        Manifest("f", {"kind": "GlobalDeployment", "apiVersion": "orrery.dev/v1"}),
        Manifest("f", {}),
    ]

    with pytest.raises(InvalidSpec) as refused:
        deployments_in(others, "f")

    assert refused.value.message == (
        "f: no GlobalDeployment of orrery.dev/v1alpha1 is in there, but GlobalDeployment of"
        " orrery.dev/v1, Secret of v1, a document without a kind"
    )


def test_empty_standard_input_is_called_by_its_name() -> None:
    with pytest.raises(InvalidSpec) as refused:
        deployments_in([], "a.yaml", "-")

    assert refused.value.message == (
        "a.yaml, standard input: no GlobalDeployment of orrery.dev/v1alpha1 is in there, but"
        " nothing"
    )


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [("", False, "team-a"), ("team-b", False, "team-b"), ("team-a", True, "team-a")],
)
def test_namespace_of_a_manifest(own: str, given: bool, expected: str) -> None:  # noqa: FBT001 - a row
    metadata = {"name": "shop", "namespace": own} if own else {"name": "shop"}

    placed = in_namespace(Manifest("f", {"metadata": metadata}), "team-a", given=given)

    assert placed.namespace == expected


def test_metadata_that_is_no_object_is_left_to_validation() -> None:
    manifest = Manifest("f", {"metadata": "shop"})

    assert in_namespace(manifest, "team-a", given=False) == manifest


def test_two_namespaces_are_refused() -> None:
    manifest = Manifest("f", {"metadata": {"name": "shop", "namespace": "team-b"}})

    with pytest.raises(InvalidSpec, match='is "team-b", and -n says "team-a"'):
        in_namespace(manifest, "team-a", given=True)
