"""What is generated is committed as it is generated."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from orrery.api.conditions import ConditionType, Reason
from orrery.cli import main
from orrery.cli.generate import RENDERED, documented_members, generate, generated, leftovers

ROOT = Path(__file__).parents[3]
GENERATED = generated(ROOT)


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_file_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == GENERATED[path], "run `make generate`"


def test_generated_folders_hold_nothing_else() -> None:
    assert leftovers(ROOT, GENERATED) == set()


def test_generating_twice_gives_the_same_bytes() -> None:
    assert generated(ROOT) == GENERATED


def test_the_page_of_the_command_line_is_what_its_help_prints() -> None:
    page = GENERATED["docs/reference/cli.md"]

    for arguments in ([], ["status"], ["playground", "up"]):
        said = CliRunner().invoke(
            main, [*arguments, "--help"], terminal_width=80, prog_name="orrery"
        )
        assert said.output in page


def test_every_reason_is_explained_under_an_anchor() -> None:
    page = GENERATED["docs/reference/reasons.md"]

    assert [reason for reason in Reason if f"\n## {reason}\n\n" not in page] == []
    assert documented_members(ConditionType).keys() == set(ConditionType)


def test_every_reason_says_what_it_means_and_then_what_to_do() -> None:
    silent = [
        reason
        for reason, text in documented_members(Reason).items()
        if not re.search(r"\. \S", text)
    ]

    assert silent == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a source tree that holds what files are generated from, and none of them."""
    for folder in RENDERED:
        shutil.copytree(ROOT / "examples" / folder, tmp_path / "examples" / folder)
    return tmp_path


def test_check_names_what_is_out_of_date_and_writes_nothing(tree: Path) -> None:
    run = CliRunner().invoke
    run(generate, ["--directory", str(tree)], catch_exceptions=False)
    stale = tree / "crds" / "regions.orrery.dev.yaml"
    stale.write_text("kind: Other\n")
    (tree / "crds" / "old.yaml").touch()

    outcome = run(generate, ["--check", "--directory", str(tree)])

    assert outcome.exit_code == 1
    assert "out of date: crds/regions.orrery.dev.yaml\n" in outcome.output
    assert "not generated any more: crds/old.yaml\n" in outcome.output
    assert outcome.output.count("out of date") == 1
    assert stale.read_text() == "kind: Other\n"


def test_generate_repairs_what_check_complains_about(tree: Path) -> None:
    run = CliRunner().invoke
    (tree / "crds").mkdir()
    (tree / "crds" / "old.yaml").touch()

    run(generate, ["--directory", str(tree)], catch_exceptions=False)

    assert run(generate, ["--check", "--directory", str(tree)]).exit_code == 0
    assert not (tree / "crds" / "old.yaml").exists()
