"""`orrery render`: what the operator applies, or a sentence that says what is missing."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.builders import a_class, a_continent, a_managed_region, a_region

from orrery.cli import main

EXAMPLES = Path(__file__).parents[3] / "examples"
IMAGE = "docker.io/hashicorp/nomad:2.0.6"
WORLD = [a_continent(), a_class(image=IMAGE), a_managed_region("fra")]


def render(tmp_path: Path, documents: list[dict[str, Any]], *options: str) -> Result:
    file = tmp_path / "world.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return CliRunner().invoke(main, ["render", "-f", str(file), *options])


def test_what_is_printed_is_what_the_examples_show() -> None:
    managed = str(EXAMPLES / "managed")

    said = CliRunner().invoke(main, ["render", "-f", managed, "--address", "fra=203.0.113.10"])

    assert said.exit_code == 0
    assert (EXAMPLES / "rendered" / "managed.yaml").read_text().endswith(said.output)


def test_without_an_address_only_what_needs_none_is_printed(tmp_path: Path) -> None:
    said = render(tmp_path, WORLD)

    kinds = {document["kind"] for document in yaml.safe_load_all(said.output) if document}
    assert "Service" in kinds
    assert "StatefulSet" not in kinds
    assert said.output.endswith("--address fra=ADDRESS shows them.\n")


def test_no_secret_is_printed(tmp_path: Path) -> None:
    said = render(tmp_path, WORLD, "--address", "fra=203.0.113.10")

    kinds = [document["kind"] for document in yaml.safe_load_all(said.output)]
    assert "StatefulSet" in kinds
    assert "Secret" not in kinds


@pytest.mark.parametrize(
    ("documents", "options", "words"),
    [
        pytest.param([a_region("ams")], [], "there is no Managed region", id="none-managed"),
        pytest.param(
            WORLD[1:], [], 'Region "fra" names Continent "eu", which no file holds', id="continent"
        ),
        pytest.param(
            [WORLD[0], WORLD[2]],
            [],
            'Region "fra" names RegionClass "standard", which no file holds',
            id="class",
        ),
        pytest.param(
            [WORLD[0], a_class(), WORLD[2]],
            [],
            'RegionClass "standard": spec.nomad.image is required by Managed regions',
            id="image",
        ),
        pytest.param(
            WORLD,
            ["--address", "par=203.0.113.10"],
            "there is no Managed region 'par', known are fra",
            id="unknown-region",
        ),
        pytest.param(
            WORLD,
            ["--address", "fra=lb.example"],
            "'fra=lb.example' is not allowed, must be REGION=ADDRESS with an IPv4 address",
            id="no-address",
        ),
        pytest.param(WORLD, ["--install", "wr-ong"], "1 to 16 characters of a-z", id="install"),
        pytest.param(
            [*WORLD[:2], a_managed_region("fra", displayname="x")],
            [],
            "unknown field, did you mean displayName?",
            id="typo",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_printed(
    tmp_path: Path, documents: list[dict[str, Any]], options: list[str], words: str
) -> None:
    said = render(tmp_path, documents, *options)

    assert said.exit_code != 0
    assert words in said.output
    assert "kind:" not in said.output
