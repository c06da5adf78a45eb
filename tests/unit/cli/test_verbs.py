"""The command as a whole: quick help, an example in each verb, exit codes of usage."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orrery.cli import VERBS, main
from orrery.cli.reference import render_cli_reference

READING = ("status", "describe", "explain", "plan")
OURS = (*READING, "demo")


def test_list_of_verbs_imports_none_of_them() -> None:
    program = (
        "import sys; from orrery.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'aiohttp', 'pydantic', 'rich', 'kubernetes', 'kopf'} & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert said.splitlines()[-1] == "[]"
    assert all(f"\n  {verb} " in said for verb in VERBS)


@pytest.mark.parametrize("verb", OURS)
def test_help_has_an_example_and_fits_a_terminal(verb: str) -> None:
    said = CliRunner().invoke(main, [verb, "--help"], terminal_width=80).output

    assert f"$ orrery {verb}" in said
    assert max(map(len, said.splitlines())) <= 80


def test_reference_has_a_section_for_every_verb() -> None:
    page = render_cli_reference()

    assert all(f"\n### orrery {verb}\n" in page for verb in VERBS)
    assert "orrery generate" not in page
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("verb", READING)
def test_reading_verbs_have_the_usual_options(verb: str) -> None:
    command = main.commands[verb]

    options = {name for p in command.params if isinstance(p, click.Option) for name in p.opts}

    assert {"--kubeconfig", "--context", "-n", "-o"} <= options


@pytest.mark.parametrize(
    "words",
    [
        ["statuz"],
        ["describe"],
        ["describe", "gx/shop"],
        ["describe", "gd"],
        ["explain", "gd/shop"],
        ["explain", "--region", "fra"],
        ["explain", "gd/shop", "--region", "fra", "--offline"],
        ["explain", "-f", "a.yaml", "-f", "b.yaml", "--region", "fra"],
        ["plan"],
        ["status", "-o", "yaml"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 1),
        (["describe", "gd/shop"], 1),
        (["explain", "gd/shop", "--region", "fra"], 1),
        (["plan", "-f", "shop.yaml"], 255),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_missing_kubeconfig_is_a_problem_in_one_sentence(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(
        "apiVersion: orrery.dev/v1alpha1\nkind: GlobalDeployment\nmetadata: {name: shop}\n"
        "spec: {type: WORKER, docker: {image: a}}\n"
    )

    result = CliRunner().invoke(main, [*words, "--kubeconfig", "missing"])

    assert result.exit_code == code
    assert result.stderr == "Error: kubeconfig: 'missing' does not exist\n"


def test_invalid_manifest_exits_with_255_before_any_hub_is_asked(tmp_path: Path) -> None:
    manifest = tmp_path / "shop.yaml"
    manifest.write_text(
        "apiVersion: orrery.dev/v1alpha1\nkind: GlobalDeployment\nmetadata: {name: shop}\n"
        "spec: {type: WORKER, docker: {image: a}, scaling: {count: -1}}\n"
    )

    result = CliRunner().invoke(main, ["plan", "-f", str(manifest), "--kubeconfig", "missing"])

    assert result.exit_code == 255
    assert "spec.scaling.count: -1 is not allowed" in result.stderr


def test_every_file_is_planned(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(
            f"apiVersion: orrery.dev/v1alpha1\nkind: GlobalDeployment\nmetadata: {{name: {name}}}\n"
            "spec: {type: WORKER, docker: {image: a}, scaling: {count: -1}}\n"
        )
    files = [word for name in ("one", "two") for word in ("-f", str(tmp_path / f"{name}.yaml"))]

    result = CliRunner().invoke(main, ["plan", *files, "--kubeconfig", "missing"])

    assert result.exit_code == 255
    assert all(f"GlobalDeployment {name} in" in result.stderr for name in ("one", "two"))


@pytest.mark.parametrize(
    "words", [["plan", "-f", "shop.yaml"], ["recover", "--from", "fra"]], ids=lambda w: w[0]
)
@pytest.mark.parametrize("given", ["option", "environment"])
def test_install_that_can_be_none_is_refused(words: list[str], given: str) -> None:
    option, environment = (
        (["--install", "wr-ong"], {}) if given == "option" else ([], {"ORRERY_INSTALL": "wr-ong"})
    )

    result = CliRunner().invoke(main, [*words, *option, "--kubeconfig", "missing"], env=environment)

    assert result.exit_code == 2
    assert "install is 'wr-ong', must be 1 to 16 characters of a-z and 0-9" in result.stderr


def test_plugin_calls_itself_what_the_user_typed() -> None:
    context = main.make_context("kubectl-orrery", ["status"], resilient_parsing=True)

    assert context.info_name == "kubectl orrery"
