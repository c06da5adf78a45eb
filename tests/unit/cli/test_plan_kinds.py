"""`orrery plan` of files without a GlobalDeployment: what is judged, and what is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.builders import a_continent, a_managed_region

import orrery.cli.plan
from orrery.cli import main
from orrery.ports import Document


def planned(body: Document, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def nothing_there(*_asked: Any, **_options: Any) -> tuple[list[Any], list[Any], list[str]]:
        return [], [], []

    monkeypatch.setattr(orrery.cli.plan, "ask", nothing_there)
    file = folder / "given.json"
    file.write_text(json.dumps(body))
    return CliRunner().invoke(main, ["plan", "-f", str(file)]).output


@pytest.mark.parametrize("body", [a_managed_region("fra"), a_continent("eu")])
def test_a_region_or_continent_alone_is_judged(
    body: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planned(body, tmp_path, monkeypatch).startswith(f"skipped: {body['kind']} ")


def test_a_file_of_which_nothing_can_be_told_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop"}}

    said = planned(secret, tmp_path, monkeypatch)

    assert "no GlobalDeployment of orrery.dev/v1alpha1 is in there, but Secret" in said
