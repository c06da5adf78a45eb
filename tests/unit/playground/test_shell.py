"""Lines for a shell work when copied, whatever the directory is and however we were called."""

import shlex
import sys
from pathlib import Path

import pytest

from orrery.playground import shell

ODD = Path("/tmp/my planet's")


def a_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_paths_with_blanks_are_quoted() -> None:
    lines = [shell.export(ODD), shell.kubectl(ODD, "get", "gd"), shell.orrery("status", ODD)]

    assert [str(ODD) in shlex.split(line)[-1] or str(ODD) in shlex.split(line) for line in lines]
    assert shlex.split(lines[0]) == ["export", f"KUBECONFIG={ODD}"]
    assert shlex.split(lines[1]) == ["kubectl", "--kubeconfig", str(ODD), "get", "gd"]


@pytest.mark.parametrize(
    ("on_path", "place", "expected"),
    [
        pytest.param(["venv/bin/orrery"], "venv/bin", "orrery", id="a-venv-that-is-active"),
        pytest.param([], "venv/bin", "venv/bin/orrery", id="a-venv-that-is-not"),
        pytest.param(["other/orrery"], "venv/bin", "venv/bin/orrery", id="another-is-on-path"),
        pytest.param(["local/orrery"], "", "orrery", id="python-has-none-beside-it"),
        pytest.param([], "", "{python} -m orrery", id="no-program-at-all"),
    ],
)
def test_program_is_the_one_that_runs(
    on_path: list[str], place: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place:
        a_program(tmp_path / place / "orrery")
    folders = [a_program(tmp_path / program).parent for program in on_path]
    python = tmp_path / (place or "usr/bin") / "python"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ":".join(map(str, folders)))
    monkeypatch.setattr(sys, "executable", str(python))

    assert shell.orrery("status") == f"{expected.format(python=python)} status"


def test_program_elsewhere_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = a_program(tmp_path / "a venv" / "bin" / "orrery")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))

    assert shlex.split(shell.orrery("status")) == [str(program), "status"]
