"""`orrery demo` where its first step fails: the words say what is left, and what to do."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orrery.cli import main

pytestmark = pytest.mark.usefixtures("bare_machine")


def demo(directory: Path, *options: str, **environment: str) -> Result:
    words = ["demo", "--directory", str(directory), "--nomad", "simulated", *options]
    return CliRunner().invoke(main, words, env=environment)


def test_hub_is_chosen_by_the_environment_as_for_a_playground(tmp_path: Path) -> None:
    said = demo(tmp_path / "demo", HUB="kind")

    assert said.exit_code == 1
    assert "a kind hub needs a Docker engine, and none answers" in said.stderr


@pytest.mark.parametrize("options", [(), ("--keep",)], ids=["taken-down", "keep"])
def test_nothing_is_called_running_when_the_planet_did_not_come_up(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    said = demo(tmp_path / "demo", *options)

    assert said.exit_code == 1
    assert "no etcd was found" in said.stderr
    assert "taking down what was started" in said.stdout
    assert "left running" not in said.stdout
    assert f"logs are in {tmp_path}/demo/logs" in said.stderr
