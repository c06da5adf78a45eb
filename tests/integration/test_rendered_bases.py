"""What `orrery render` writes, in the hands of people without Orrery: the real kubectl."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.lab.rest import Rest

from orrery.cli import main

LEGACY = Path(__file__).parents[2] / "examples" / "legacy"
FRA = ("--address", "fra=203.0.113.10")


@pytest.fixture
def kubectl(kubeconfig: Path) -> Any:
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("needs kubectl: put one on PATH")

    def run(*words: str) -> str:
        command = [path, "--kubeconfig", str(kubeconfig), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def render(*options: str) -> str:
    said = CliRunner().invoke(main, ["render", "-f", str(LEGACY), *FRA, *options])
    assert said.exit_code == 0, said.output
    return said.output


def identities(text: str) -> Counter[tuple[str, str]]:
    documents = [document for document in yaml.safe_load_all(text) if document]
    return Counter((d["kind"], d["metadata"]["name"]) for d in documents)


def test_kustomize_builds_a_continent_out_of_its_bases(kubectl: Any, tmp_path: Path) -> None:
    render("--output-dir", str(tmp_path))

    built = kubectl("kustomize", str(tmp_path / "eu"))

    assert identities(built) == identities(render())


def test_kubectl_applies_what_is_printed_and_then_finds_nothing_to_change(
    kubectl: Any, rest: Rest, tmp_path: Path
) -> None:
    file = tmp_path / "fra.yaml"
    file.write_text(render())

    first = kubectl("apply", "--server-side", "-f", str(file)).splitlines()
    namespace = rest.get("/api/v1/namespaces/orrery-fra").body
    before = rest.get("/apis/apps/v1/namespaces/orrery-fra/statefulsets/fra-nomad").body
    kubectl("apply", "--server-side", "-f", str(file))
    after = rest.get("/apis/apps/v1/namespaces/orrery-fra/statefulsets/fra-nomad").body

    assert len(first) == identities(file.read_text()).total()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_an_overlay_changes_what_a_base_says(kubectl: Any, tmp_path: Path) -> None:
    render("--output-dir", str(tmp_path / "bases"))
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    target = {"kind": "Deployment", "name": "fra-front-door"}
    kustomization = {
        "resources": ["../bases/eu"],
        "patches": [{"target": target, "patch": yaml.safe_dump(patch)}],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    built = kubectl("kustomize", str(overlay))

    (front_door,) = [d for d in yaml.safe_load_all(built) if d["kind"] == "Deployment"]
    assert front_door["spec"]["replicas"] == 4
